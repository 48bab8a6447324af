"""The file names that Windows reserves for devices, in every folder and with any extension, and the
names of pages.

Every system refuses the same names of pages, so that those that work on one system work on all: a
name that leads up (`..`), is hidden (a leading dot), has a separator or a colon (a drive or a
stream of NTFS), ends in a dot or space (Windows drops them), is not UTF-8 or is that of a Windows
device.

Source: "Naming Files, Paths, and Namespaces" in Microsoft's documentation.
"""

import re

PLAIN_DEVICES = frozenset(
    ["con", "prn", "aux", "nul"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in range(10)]
)
"""The reserved names of ASCII letters and digits, in lower case."""

_OTHER_DEVICES = frozenset(
    ["conin$", "conout$"] + [f"{port}{digit}" for port in ("com", "lpt") for digit in "¹²³"]
)

# Surrogates stand for bytes of a name that are not UTF-8: no address and no JSON can have them.
_BAD_CHARACTER = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]')


def is_device(name: str) -> bool:
    """Return whether Windows takes the name of a file or folder for that of a device.

    Windows compares the part before the first dot, without spaces at its end and in any case.
    """
    stem = name.split(".", 1)[0].rstrip().lower()
    return stem in PLAIN_DEVICES or stem in _OTHER_DEVICES


def is_plain_name(name: str) -> bool:
    """Return whether files and folders of this name may be served."""
    return (
        bool(name)
        and not name.startswith(".")
        and not name.endswith((".", " "))
        and _BAD_CHARACTER.search(name) is None
        and not is_device(name)
    )
