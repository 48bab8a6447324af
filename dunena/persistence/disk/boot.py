"""Which start of the machine this is: what was written but not forced to the device since then is
still there if the machine did not start anew."""

import sys
from pathlib import Path

_LINUX = Path("/proc/sys/kernel/random/boot_id")
_WINDOWS = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"


def boot_id() -> str | None:
    """A name of the machine's last start; None where the system does not tell."""
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
        """The number of starts that Windows counts."""
        import winreg

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _WINDOWS) as key:
            return str(winreg.QueryValueEx(key, "BootId")[0])


if sys.platform == "darwin":

    def _macos_boot_id() -> str | None:
        """What ``sysctl kern.bootsessionuuid`` prints."""
        import ctypes

        system = ctypes.CDLL(None)
        text = ctypes.create_string_buffer(64)
        size = ctypes.c_size_t(len(text))
        failed = system.sysctlbyname(
            b"kern.bootsessionuuid", text, ctypes.byref(size), None, ctypes.c_size_t(0)
        )
        return None if failed else text.value.decode("ascii")
