"""The file names that Windows reserves for devices, in every folder and with any extension.

Source: "Naming Files, Paths, and Namespaces" in Microsoft's documentation.
"""

PLAIN_DEVICES = frozenset(
    ["con", "prn", "aux", "nul"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in range(10)]
)
"""The reserved names of ASCII letters and digits, in lower case."""

_OTHER_DEVICES = frozenset(
    ["conin$", "conout$"] + [f"{port}{digit}" for port in ("com", "lpt") for digit in "¹²³"]
)


def is_device(name: str) -> bool:
    """Return whether Windows takes the name of a file or folder for that of a device.

    Windows compares the part before the first dot, without spaces at its end and in any case.
    """
    stem = name.split(".", 1)[0].rstrip().lower()
    return stem in PLAIN_DEVICES or stem in _OTHER_DEVICES
