"""A plugin of pytest, for the Windows Python under Wine: `-p winekit.pytest_wine`.

It expects the failures of what Wine cannot do. And it does what Wine lacks and every test of a
server needs: a Ctrl-Break that arrives.
"""

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from winekit.beyond import BEYOND_WINE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        reason = BEYOND_WINE.get(item.nodeid.partition("[")[0])
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason))


def pytest_configure() -> None:
    if sys.platform == "win32":
        os.kill = _kill


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _system_kill = os.kill
    _PYTHON = f"python{sys.version_info.major}{sys.version_info.minor}.dll"
    _ALL_ACCESS = 0x1FFFFF
    _SNAPSHOT_PROCESSES, _SNAPSHOT_MODULES = 0x2, 0x8

    class _Process(ctypes.Structure):
        """PROCESSENTRY32W."""

        _fields_ = (
            ("size", wintypes.DWORD),
            ("usage", wintypes.DWORD),
            ("number", wintypes.DWORD),
            ("heap", ctypes.c_size_t),
            ("module", wintypes.DWORD),
            ("threads", wintypes.DWORD),
            ("parent", wintypes.DWORD),
            ("priority", wintypes.LONG),
            ("flags", wintypes.DWORD),
            ("file", wintypes.WCHAR * 260),
        )

    class _Module(ctypes.Structure):
        """MODULEENTRY32W."""

        _fields_ = (
            ("size", wintypes.DWORD),
            ("module", wintypes.DWORD),
            ("process", wintypes.DWORD),
            ("global_usage", wintypes.DWORD),
            ("process_usage", wintypes.DWORD),
            ("base", ctypes.c_void_p),
            ("length", wintypes.DWORD),
            ("handle", ctypes.c_void_p),
            ("name", wintypes.WCHAR * 256),
            ("path", wintypes.WCHAR * 260),
        )

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    for _name in ("CreateToolhelp32Snapshot", "OpenProcess", "CreateRemoteThread"):
        getattr(_kernel, _name).restype = ctypes.c_void_p

    def _kill(process: int, number: int) -> None:
        """`os.kill`, whose Ctrl-Break reaches a process group as it does on Windows.

        Wine passes it on as a Ctrl-C, which a group of its own ignores; and its C library knows no
        SIGBREAK. So Python is told of the signal inside the process that it is for.
        """
        if number != signal.CTRL_BREAK_EVENT:
            _system_kill(process, number)
            return
        for member in (process, *_descendants(process)):
            _interrupt(member)

    def _interrupt(process: int) -> None:
        """Call PyErr_SetInterruptEx(SIGBREAK) in a process, if there is a Python in it."""
        base = next((one.base for one in _modules(process) if one.name.lower() == _PYTHON), None)
        if base is None:
            return
        function = ctypes.cast(ctypes.pythonapi.PyErr_SetInterruptEx, ctypes.c_void_p).value or 0
        # The DLL may lie elsewhere in the other process, but the function at the same place in it.
        place = ctypes.c_void_p(base + function - ctypes.pythonapi._handle)
        handle = ctypes.c_void_p(_kernel.OpenProcess(_ALL_ACCESS, False, process))
        if not handle:
            raise ctypes.WinError(ctypes.get_last_error())
        argument = ctypes.c_void_p(int(signal.SIGBREAK))
        thread = ctypes.c_void_p(
            _kernel.CreateRemoteThread(handle, None, ctypes.c_size_t(0), place, argument, 0, None)
        )
        _kernel.CloseHandle(handle)
        if not thread:
            raise ctypes.WinError(ctypes.get_last_error())
        _kernel.CloseHandle(thread)

    def _descendants(process: int) -> Iterator[int]:
        for child in [one.number for one in _processes() if one.parent == process]:
            yield child
            yield from _descendants(child)

    def _processes() -> Iterator[_Process]:
        entry = _Process(size=ctypes.sizeof(_Process))
        yield from _entries(_SNAPSHOT_PROCESSES, 0, entry, "Process32")

    def _modules(process: int) -> Iterator[_Module]:
        entry = _Module(size=ctypes.sizeof(_Module))
        yield from _entries(_SNAPSHOT_MODULES, process, entry, "Module32")

    def _entries(kind: int, process: int, entry: Any, name: str) -> Iterator[Any]:
        """What a snapshot holds; each is the same `entry`, filled anew."""
        handle = ctypes.c_void_p(_kernel.CreateToolhelp32Snapshot(kind, process))
        try:
            more = getattr(_kernel, f"{name}FirstW")(handle, ctypes.byref(entry))
            while more:
                yield entry
                more = getattr(_kernel, f"{name}NextW")(handle, ctypes.byref(entry))
        finally:
            _kernel.CloseHandle(handle)
