"""Other hands in the folder: they write, replace and remove files while the server runs and while
it does not, date them as they like, and put things there that are no values."""

import itertools
import json
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.history import History
from tests.support.strangers import make_socket, make_sparse

KEYS = 40
PAUSE_SECONDS = 0.003
DATES = (0.0, 1e9, 4e9)
"""1970, 2001 and 2096, as copies and clocks that nobody set leave them."""

CLOCK_STEPS = (0, 3_600, -3_600, 3 * 86_400, -400 * 86_400)


@dataclass
class Counts:
    """What was done and what came of it."""

    edits: int = 0
    removals: int = 0
    came_back: int = 0
    clock_jumps: int = 0


class Hands:
    """Somebody with an editor; ``folder`` is that of the values."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.own = folder / "by-hand"  # a namespace that nobody else writes
        self.random = random.Random(f"{seed} hands")
        self.counts = Counts()
        self._numbers = iter(range(10**9))

    # --- while the server runs ---

    def work(self, is_over: Callable[[], bool]) -> None:
        """At files of a namespace of its own, until it ``is_over``."""
        # One after the other: two changes of a size within a tick of the system leave one stamp.
        for number in itertools.count():
            if is_over():
                return
            path = self.own / f"k{number % KEYS}.json"
            with suppress(FileNotFoundError):  # the server takes an empty folder away
                if self.random.random() < 0.3:
                    path.unlink(missing_ok=True)
                else:
                    self._write(path, self._value())
                self.counts.edits += 1
            time.sleep(PAUSE_SECONDS)

    def own_values(self) -> dict[str, Any]:
        """What the files of that namespace hold."""
        return {path.stem: json.loads(path.read_bytes()) for path in self.own.glob("k*.json")}

    # --- while it does not ---

    def edit(self, history: History) -> None:
        """Change and remove files that a client's keys have, and tell the model."""
        for _ in range(self.random.choice((0, 0, 1, 4))):
            key = self.random.choice(history.keys)
            path = self.folder / history.ns / f"{key}.json"
            if self.random.random() < 0.4:
                if path.exists():
                    path.unlink()
                    history.by_hand[key] = None
                    self.counts.removals += 1
                continue
            value = self._value()
            self._write(path, value)
            history.by_hand[key] = value
            history.ever.setdefault(key, []).append(value)
            self.counts.edits += 1

    def _value(self) -> Any:
        return f"by hand {next(self._numbers)}" + "y" * self.random.choice((0, 10, 5_000))

    def _write(self, path: Path, value: Any) -> None:
        """As one of the ways in which editors save."""
        path.parent.mkdir(exist_ok=True)
        if self.random.random() < 0.5:
            draft = path.with_suffix(".draft")
            draft.write_text(json.dumps(value))
            if self.random.random() < 0.5:
                os.utime(draft, (date := self.random.choice(DATES), date))
            draft.replace(path)
        else:
            path.write_text(json.dumps(value))

    # --- what is no value ---

    def put_odd_files(self, outside: Path) -> None:
        """Some of everything, in the folder and in a namespace."""
        outside.mkdir(exist_ok=True)
        (outside / "secret.json").write_text('"secret"')
        for place in (self.folder, self.own):
            place.mkdir(parents=True, exist_ok=True)
            self._put_odd_files(place, outside)

    def _put_odd_files(self, place: Path, outside: Path) -> None:
        for name in ODD_NAMES:
            if os.path.lexists(place / name):
                return
        (place / "odd-text.json").write_bytes(b'{"half":')
        (place / "odd-folder.json").mkdir()
        make_sparse(place / "odd-sparse.json")
        if sys.platform == "win32":
            return
        os.mkfifo(place / "odd-pipe.json")
        (place / "odd-link.json").symlink_to(outside / "secret.json")
        (place / "odd-nowhere.json").symlink_to(outside / "nothing.json")
        (place / "odd-device.json").symlink_to("/dev/zero")
        make_socket(place / "odd-socket.json")


ODD_NAMES = frozenset(
    f"odd-{what}.json"
    for what in ("text", "folder", "sparse", "pipe", "link", "nowhere", "device", "socket")
)


class Clock:
    """The wall clock of the servers, where it can be set: on Linux, with a compiler."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._library = folder / "clock.so"
        self._file.write_bytes(bytes(8))
        source = Path(__file__).with_name("clock.c")
        command = ["cc", "-shared", "-fPIC", "-o", str(self._library), str(source), "-ldl"]
        subprocess.run(command, check=True)

    @property
    def environment(self) -> dict[str, str]:
        """For a server that is to go by it."""
        return {"LD_PRELOAD": str(self._library), "DUNENA_TEST_CLOCK": str(self._file)}

    def jump(self, seconds: int) -> None:
        """Be so many seconds from the right time, from now on."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", seconds))
