"""What an examination by `dunena doctor` has found."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The result of a finding: in order, worth knowing, or preventing a server."""

    GOOD = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for one examined thing; ``advice`` says what to do, "" if nothing."""

    level: Level
    about: str
    text: str
    advice: str = ""
