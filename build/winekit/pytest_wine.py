"""A plugin of pytest, for the Windows Python under Wine: `-p winekit.pytest_wine`.

It writes what came of each test into the file that DUNENA_WINE_RESULTS names, a line of JSON as
soon as it is known, so that a test which hangs takes nothing with it. And it does what Wine lacks
and every test of a server needs: a Ctrl-Break that arrives.
"""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from winekit.results import (
    ENDED,
    FAILED,
    PASSED,
    RESULTS_VARIABLE,
    SKIPPED,
    STARTED,
    read_results,
    write_result,
)

_WORST_LAST = (PASSED, SKIPPED, FAILED)


class Results:
    """Writes the outcome of each test when its last phase is over; leaves out those written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = {name for name, _ in read_results(path)}
        self._outcome = PASSED

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Begin behind the test that the process before this one hung in."""
        known = [item for item in items if item.nodeid in self._known]
        items[:] = [item for item in items if item.nodeid not in self._known]
        config.hook.pytest_deselected(items=known)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._outcome = PASSED
        self._write(nodeid, STARTED)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._outcome = max(self._outcome, report.outcome, key=_WORST_LAST.index)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write(nodeid, self._outcome)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that cannot be imported has no tests, and must not count as one without."""
        if report.outcome != PASSED and report.nodeid:
            self._write(report.nodeid, report.outcome)

    def pytest_sessionfinish(self) -> None:
        self._write("", ENDED)

    def _write(self, test: str, outcome: str) -> None:
        write_result(self._path, test, outcome)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get(RESULTS_VARIABLE):
        config.pluginmanager.register(Results(Path(os.environ[RESULTS_VARIABLE])))
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
