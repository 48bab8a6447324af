"""Runs a command where programs for ARM64 start like those of this machine.

    namespace.py [--overlay FOLDER=TARGET] [--bind PATH=TARGET] [--root FOLDER] COMMAND...

Linux has a program of another processor run by an interpreter, here qemu, which it looks up in a
table. This one is that of a new user namespace (since Linux 6.7): nothing changes for the rest of
the machine, and it is gone with its last process, as is what is mounted. Users have the same
numbers in it. A program by itself, as it becomes the command. For root on Linux only.
"""

import argparse
import ctypes
import os
import subprocess
import sys
from pathlib import Path

assert sys.platform == "linux"

TABLE = Path("/proc/sys/fs/binfmt_misc")
ENTRY = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
"""How programs for ARM64 are recognised and what runs them, in Debian's own words."""

_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000  # of <sched.h>
_USERS = 65536


def main(words: list[str]) -> None:
    """Become the command. Ends with a line that says why if that cannot be."""
    asked = parse(words)
    try:
        _leave()
        _mount("-t", "binfmt_misc", "binfmt_misc", str(TABLE))
        (TABLE / "register").write_bytes(ENTRY.read_bytes())
        for folder, target in asked.overlay:
            _mount("-t", "overlay", "-o", f"lowerdir={folder}:{target}", "overlay", target)
        for path, target in asked.bind:
            _mount("--rbind", path, target)
        if asked.root:
            os.chroot(asked.root)
            os.chdir("/")
        os.execvp(asked.command[0], asked.command)
    except OSError as error:
        sys.exit(f"namespace: {error}")


def parse(words: list[str]) -> argparse.Namespace:
    """The words of the command line; what follows the first that is no option is the command."""
    parser = argparse.ArgumentParser(prog="namespace.py", description=__doc__)
    for name in ("--overlay", "--bind"):
        parser.add_argument(name, action="append", default=[], type=_pair)
    parser.add_argument("--root")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    asked = parser.parse_args(words)
    if not asked.command:
        parser.error("a command is missing")
    return asked


def _pair(word: str) -> tuple[str, str]:
    first, _, second = word.partition("=")
    return first, second


def _leave() -> None:
    """Go into new namespaces. Who is who in them can only be said by a process that stays out."""
    reading, writing = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(_name_users(parent))
    os.close(reading)
    # Python has it since 3.12.
    library = ctypes.CDLL(None, use_errno=True)
    failed = library.unshare(_NEW_MOUNTS | _NEW_USERS) != 0
    error = ctypes.get_errno()
    os.close(writing)
    _, status = os.waitpid(child, 0)
    if failed:
        raise OSError(error, f"no namespace of its own: {os.strerror(error)}")
    if status != 0:
        raise OSError("no users in a namespace of its own")


def _name_users(process: int) -> int:
    """Give users and groups of a process's namespace the numbers they have here; 0 if it worked."""
    try:
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{process}/{name}").write_text(f"0 0 {_USERS}\n", encoding="ascii")
    except OSError:
        return 1
    return 0


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        # What follows the first line is advice.
        raise OSError(done.stderr.partition("\n")[0])


if __name__ == "__main__":
    main(sys.argv[1:])
