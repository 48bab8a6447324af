"""The program in a terminal of its own, as somebody at a keyboard has it."""

import os
import re
import subprocess
import sys
import threading
from typing import Self

from tests.e2e.processes import PROGRAM, ROOT, SECONDS_MAX

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """A process that thinks somebody looks; POSIX alone."""

    def __init__(self, *arguments: str, environment: dict[str, str], columns: int = 80) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        variables = {**os.environ, "PYTHONUTF8": "1", "TERM": "xterm-256color", **environment}
        variables.pop("COLUMNS", None)
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env=variables,
            start_new_session=True,
        )
        os.close(slave)
        self._seen = ""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def raw(self) -> str:
        """Everything it wrote, colours included."""
        return self._seen

    @property
    def text(self) -> str:
        """Everything it wrote, as it is read."""
        return _STYLE.sub("", self._seen).replace("\r\n", "\n")

    def wait_for(self, text: str) -> None:
        """Until that is on the screen."""
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.text, SECONDS_MAX), self.text

    def press(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def end(self) -> int:
        """The exit code, when it has ended."""
        code = self.process.wait(SECONDS_MAX)
        self._reader.join(SECONDS_MAX)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.end()
        os.close(self._master)

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 65_536):
                with self._changed:
                    self._seen += data.decode("utf-8", "replace")
                    self._changed.notify_all()
        except OSError:
            return  # the last one who had it open has gone


IS_POSSIBLE = sys.platform != "win32"
