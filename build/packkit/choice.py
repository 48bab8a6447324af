"""Which executables are asked for, and which of them this machine can make.

PyInstaller packs the Python that runs it, so each file is made on its own system and processor.
"""

from collections.abc import Mapping

from releasekit.targets import TARGETS, Target

ALL = "all"
# The words of the command line; the first four are those of the object store's document.
WORDS: Mapping[str, str] = {
    "linux": "linux-x64",
    "windows": "windows-x64",
    "macos-intel": "macos-x64",
    "macos-arm": "macos-arm64",
    "linux-arm64": "linux-arm64",
    "windows-arm64": "windows-arm64",
}

_SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}
_PROCESSORS = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def host_label(system: str, machine: str) -> str:
    """What a build made here is called: `linux-x64`. It need not be one that we publish.

    `system` is a value of `sys.platform`, `machine` one of `platform.machine()`.
    """
    processor = machine.lower()
    return f"{_SYSTEMS.get(system, system)}-{_PROCESSORS.get(processor, processor)}"


def asked_for(word: str, host: str) -> list[Target]:
    """The targets that a word of the command line names; no word is this machine's own.

    Raises KeyError for a word that means nothing.
    """
    if word == ALL:
        return list(TARGETS)
    label = WORDS[word] if word else host
    return [target for target in TARGETS if target.label == label]


def not_here(target: Target) -> str:
    """The line for a target that this machine cannot make: who makes it."""
    return (
        f"{target.executable} can be made only where it runs ({target.title}): "
        "the workflow release.yml does, in its job build, and can be started by hand"
    )
