/* The system calls of connections, without what Python's own do around each one.

   Sockets here never block, so the interpreter's lock is kept: giving it up and taking it again
   costs a tenth of a small message. It is given up where the system works long: while a poll waits,
   and for large pieces. `system_calls.py` says what the functions do, and does it without this. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

#define RECEIVED_MAX 65536
#define LONG_BYTES 65536 /* from here on the lock is given up */
#define EVENTS_MAX 512

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* Python ignores SIGPIPE where this does not exist */
#endif

static int would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

static PyObject *receive(PyObject *Py_UNUSED(module), PyObject *given) {
    long fd = PyLong_AsLong(given);
    if (fd == -1 && PyErr_Occurred()) return NULL;
    char received[RECEIVED_MAX];
    ssize_t size = recv((int)fd, received, RECEIVED_MAX, 0);
    if (size >= 0) return PyBytes_FromStringAndSize(received, size);
    if (would_block()) Py_RETURN_NONE;
    return PyErr_SetFromErrno(PyExc_OSError);
}

static PyObject *send_some(PyObject *Py_UNUSED(module), PyObject *const *given, Py_ssize_t count) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "send needs a descriptor and bytes");
        return NULL;
    }
    long fd = PyLong_AsLong(given[0]);
    if (fd == -1 && PyErr_Occurred()) return NULL;
    Py_buffer data;
    if (PyObject_GetBuffer(given[1], &data, PyBUF_SIMPLE) < 0) return NULL;
    ssize_t sent;
    int error;
    if (data.len >= LONG_BYTES) {
        Py_BEGIN_ALLOW_THREADS
        sent = send((int)fd, data.buf, (size_t)data.len, MSG_NOSIGNAL);
        error = errno;
        Py_END_ALLOW_THREADS
    } else {
        sent = send((int)fd, data.buf, (size_t)data.len, MSG_NOSIGNAL);
        error = errno;
    }
    PyBuffer_Release(&data);
    if (sent >= 0) return PyLong_FromSsize_t(sent);
    errno = error;
    if (would_block()) return PyLong_FromLong(0);
    return PyErr_SetFromErrno(PyExc_OSError);
}

#ifdef __linux__
static PyObject *wait_events(PyObject *Py_UNUSED(module), PyObject *const *given,
                             Py_ssize_t count) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "wait needs a descriptor and milliseconds");
        return NULL;
    }
    long fd = PyLong_AsLong(given[0]);
    if (fd == -1 && PyErr_Occurred()) return NULL;
    long milliseconds = PyLong_AsLong(given[1]);
    if (milliseconds == -1 && PyErr_Occurred()) return NULL;
    struct epoll_event events[EVENTS_MAX];
    int found = epoll_wait((int)fd, events, EVENTS_MAX, 0);
    if (found == 0 && milliseconds != 0) {
        int error;
        Py_BEGIN_ALLOW_THREADS
        found = epoll_wait((int)fd, events, EVENTS_MAX, (int)milliseconds);
        error = errno;
        Py_END_ALLOW_THREADS
        errno = error;
    }
    if (found < 0) {
        if (errno != EINTR) return PyErr_SetFromErrno(PyExc_OSError);
        if (PyErr_CheckSignals() < 0) return NULL;
        found = 0;
    }
    PyObject *list = PyList_New((Py_ssize_t)found * 2);
    if (list == NULL) return NULL;
    for (int at = 0; at < found; at++) {
        PyObject *ready = PyLong_FromLong(events[at].data.fd);
        PyObject *bits = PyLong_FromUnsignedLong(events[at].events);
        if (ready == NULL || bits == NULL) {
            Py_XDECREF(ready);
            Py_XDECREF(bits);
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, at * 2, ready);
        PyList_SET_ITEM(list, at * 2 + 1, bits);
    }
    return list;
}
#endif

static PyMethodDef functions[] = {
    {"receive", receive, METH_O, NULL},
    {"send", (PyCFunction)(void (*)(void))send_some, METH_FASTCALL, NULL},
#ifdef __linux__
    {"wait", (PyCFunction)(void (*)(void))wait_events, METH_FASTCALL, NULL},
#endif
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_system_calls",
    .m_size = 0,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__system_calls(void) { return PyModule_Create(&module); }
