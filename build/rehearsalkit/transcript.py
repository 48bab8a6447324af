"""What a rehearsal prints: a line for each step, with its time; at the end what was not done."""

import sys
from dataclasses import dataclass, field
from typing import TextIO

_RULE = "=" * 78
_WIDTH = 8


@dataclass(slots=True)
class Transcript:
    """Prints as it goes, at once, and remembers what has to be said again at the end."""

    output: TextIO = field(default_factory=lambda: sys.stdout)
    lacking: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def say(self, text: str = "") -> None:
        """Print a line."""
        print(text, file=self.output, flush=True)

    def begin(self, title: str) -> None:
        """A job begins."""
        self.say(f"\n{title}")

    def done(self, step: str, seconds: float) -> None:
        """A step went through, as it is in the workflow."""
        self._line("ok", seconds, step)

    def done_instead(self, job: str, step: str, seconds: float, reason: str) -> None:
        """Something else went through in the place of a step."""
        self._line("INSTEAD", seconds, step)
        self._lack(f"{job} > {step}: {reason}", reason)

    def left_out(self, job: str, step: str, reason: str) -> None:
        """A step was not done; or a whole job, whose step is empty."""
        self._line("LEFT OUT", None, step or "all of it")
        self._lack(f"{job}{' > ' if step else ''}{step}: {reason}", reason)

    def failed(self, step: str, seconds: float) -> None:
        """A step failed."""
        self._line("FAILED", seconds, step)

    def only_there(self, what: str) -> None:
        """Something is by its nature done by the workflow alone."""
        self.elsewhere.append(what)

    def end(self, version: str, seconds: float, published: list[str]) -> None:
        """All went through: what would be published, and what was not rehearsed."""
        self.say(f"\nWhat a tag would publish, of this machine ({len(published)} files)")
        for line in published:
            self.say(f"  {line}")
        self.say("\nOnly the workflow does this")
        for line in self.elsewhere:
            self.say(f"  {line}")
        if self.lacking:
            self.say(f"\n{_RULE}\nNOT REHEARSED, or not in the way of the workflow")
            for line in self.lacking:
                self.say(f"  {line}")
            self.say(_RULE)
        but = f", but for the {len(self.lacking)} lines above" if self.lacking else ""
        self.say(f"\nrehearse: {version} went through in {_duration(seconds)}{but}")

    def _line(self, word: str, seconds: float | None, step: str) -> None:
        time = f"{seconds:7.1f} s" if seconds is not None else " " * 9
        self.say(f"  {word:<{_WIDTH}} {time}  {step}")

    def _lack(self, line: str, reason: str) -> None:
        self.lacking.append(line)
        self.say(f"  {'':<{_WIDTH}} {'':9}  {reason}")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
