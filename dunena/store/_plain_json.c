/* Looking whether JSON is a string that is written without escapes.

   To decode one only to find out that it is valid makes a string, which is dropped again. `plain_json.py` says what the function
   does, and does it without this. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *is_plain_string(PyObject *Py_UNUSED(module), PyObject *given) {
    if (!PyBytes_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "is_plain_string needs bytes");
        return NULL;
    }
    const unsigned char *json = (const unsigned char *)PyBytes_AS_STRING(given);
    Py_ssize_t last = PyBytes_GET_SIZE(given) - 1;
    if (last < 1 || json[0] != '"' || json[last] != '"') Py_RETURN_FALSE;
    /* Nothing is left out inside the loop, so that compilers look at many bytes at once. */
    unsigned char differs = 0;
    for (Py_ssize_t at = 1; at < last; at++) {
        unsigned char byte = json[at];
        differs |= (unsigned char)((byte < 0x20) | (byte > 0x7f) | (byte == '"') | (byte == '\\'));
    }
    return PyBool_FromLong(!differs);
}

static PyMethodDef functions[] = {
    {"is_plain_string", is_plain_string, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_plain_json",
    .m_size = 0,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__plain_json(void) { return PyModule_Create(&module); }
