/* Unmasking the payload of a frame in one step (RFC 6455, 5.3).

   websockets has a function for it in C, too. Its arguments are two slices, which have to be made
   for each message, and to read them by name costs more than to unmask a small message.
   `unmasking.py` says what the function does, and does it without this. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

#define MASK_BYTES 4

static PyObject *unmask(PyObject *Py_UNUSED(module), PyObject *const *given, Py_ssize_t count) {
    if (count != 3 || !PyBytes_Check(given[0])) {
        PyErr_SetString(PyExc_TypeError, "unmask needs bytes and two positions");
        return NULL;
    }
    Py_ssize_t start = PyLong_AsSsize_t(given[1]);
    if (start == -1 && PyErr_Occurred()) return NULL;
    Py_ssize_t end = PyLong_AsSsize_t(given[2]);
    if (end == -1 && PyErr_Occurred()) return NULL;
    if (start < MASK_BYTES || end < start || end > PyBytes_GET_SIZE(given[0])) {
        PyErr_SetString(PyExc_ValueError, "unmask needs a mask and a payload within the bytes");
        return NULL;
    }
    Py_ssize_t size = end - start;
    PyObject *payload = PyBytes_FromStringAndSize(NULL, size);
    if (payload == NULL) return NULL;
    const char *from = PyBytes_AS_STRING(given[0]) + start;
    const char *mask = from - MASK_BYTES;
    char *to = PyBytes_AS_STRING(payload);
    uint64_t twice; /* the mask two times: eight bytes at once */
    memcpy(&twice, mask, MASK_BYTES);
    memcpy((char *)&twice + MASK_BYTES, mask, MASK_BYTES);
    Py_ssize_t at = 0;
    for (; at + (Py_ssize_t)sizeof(twice) <= size; at += (Py_ssize_t)sizeof(twice)) {
        uint64_t eight;
        memcpy(&eight, from + at, sizeof(eight));
        eight ^= twice;
        memcpy(to + at, &eight, sizeof(eight));
    }
    for (; at < size; at++) to[at] = (char)(from[at] ^ mask[at % MASK_BYTES]);
    return payload;
}

static PyMethodDef functions[] = {
    {"unmask", (PyCFunction)(void (*)(void))unmask, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_unmasking",
    .m_size = 0,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__unmasking(void) { return PyModule_Create(&module); }
