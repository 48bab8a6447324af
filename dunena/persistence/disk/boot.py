"""Identifying the boot of the machine: data that was written but not forced to the device can only
be lost if the machine was booted since."""

import sys
from pathlib import Path

_LINUX = Path("/proc/sys/kernel/random/boot_id")
_WINDOWS = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"


def boot_id() -> str | None:
    """Return an identifier of the machine's last boot; None if the system has none."""
    try:
        if sys.platform == "win32":
            return _windows_boot_id()
        if sys.platform == "darwin":
            return _macos_boot_id()
        return _LINUX.read_text("ascii").strip() or None
    except OSError:
        return None


if sys.platform == "win32":

    def _windows_boot_id() -> str:
        """Return the number of boots, which Windows counts in its registry."""
        import winreg

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _WINDOWS) as key:
            return str(winreg.QueryValueEx(key, "BootId")[0])


if sys.platform == "darwin":

    def _macos_boot_id() -> str | None:
        """Return the output of ``sysctl kern.bootsessionuuid``; None if it is empty."""
        import ctypes

        system = ctypes.CDLL(None)
        text = ctypes.create_string_buffer(64)
        size = ctypes.c_size_t(len(text))
        failed = system.sysctlbyname(
            b"kern.bootsessionuuid", text, ctypes.byref(size), None, ctypes.c_size_t(0)
        )
        return None if failed else text.value.decode("ascii")
