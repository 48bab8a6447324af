"""The conditions of an HTTP request, If-Match and If-None-Match (RFC 9110, 13); no I/O.

Rule (RFC 9110, 13.2.2): If-Match is evaluated first. If it is false the answer is 412. Then
If-None-Match: if it is false the answer to GET and HEAD is 304, and to all else 412. There are no
dates here: nothing that this is for has a Last-Modified.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from dunena.dialects.errors import ClientError, InvalidFieldError

_TAG = re.compile(r'(W/)?("[!#-~\x80-\xff]*")')  # RFC 9110, 8.8.3
_SEPARATOR = re.compile(r"[ \t]*(,[ \t]*)+|[ \t]*$")


class PreconditionError(ClientError):
    """The state is not the one that If-Match or If-None-Match asks for."""

    status = 412
    code = "conflict"

    def __init__(self) -> None:
        super().__init__("Precondition failed")


class Verdict(Enum):
    """What the conditions of a request come to."""

    PROCEED = auto()
    NOT_MODIFIED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class EntityTags:
    """The value of one of the two headers: any tag (``*``), or a list of tags with quotes."""

    is_any: bool
    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()

    def match_strongly(self, tag: str | None) -> bool:
        """Compare with the tag of what there is (8.8.3.2); None has no tag."""
        return tag in self.strong

    def match_weakly(self, tag: str | None) -> bool:
        """Do the same, but as if no tag were weak."""
        return tag in self.strong or tag in self.weak


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The conditions of a request; None for a header that it does not have."""

    if_match: EntityTags | None = None
    if_none_match: EntityTags | None = None

    @property
    def are_given(self) -> bool:
        """Whether there are conditions at all."""
        return self.if_match is not None or self.if_none_match is not None

    def evaluate(self, tag: str | None, *, exists: bool, is_read: bool) -> Verdict:
        """Evaluate them for what has the entity tag ``tag``, None for one without a tag.

        ``exists`` is what ``*`` asks for, and ``is_read`` says that the method is GET or HEAD.
        """
        wanted, unwanted = self.if_match, self.if_none_match
        if wanted is not None and not (exists if wanted.is_any else wanted.match_strongly(tag)):
            return Verdict.FAILED
        if unwanted is not None and (exists if unwanted.is_any else unwanted.match_weakly(tag)):
            return Verdict.NOT_MODIFIED if is_read else Verdict.FAILED
        return Verdict.PROCEED


NO_PRECONDITIONS = Preconditions()


def parse_preconditions(if_match: str | None, if_none_match: str | None) -> Preconditions:
    """Parse the values of the two headers; None for one that the request does not have.

    Raise `InvalidFieldError` for what is neither ``*`` nor a list of entity tags: ignored, it would
    let a request through that was meant to be conditional.
    """
    if if_match is None and if_none_match is None:
        return NO_PRECONDITIONS
    return Preconditions(_tags_of("If-Match", if_match), _tags_of("If-None-Match", if_none_match))


def _tags_of(header: str, text: str | None) -> EntityTags | None:
    if text is None:
        return None
    text = text.strip(" \t")
    if text == "*":
        return EntityTags(is_any=True)
    tags: dict[bool, set[str]] = {False: set(), True: set()}
    position = 0
    # Empty elements of a list are ignored (5.6.1.2).
    text = text.lstrip(", \t")
    while position < len(text):
        match = _TAG.match(text, position)
        end = match and _SEPARATOR.match(text, match.end())
        if not match or not end:
            raise InvalidFieldError(f"{header} must be * or a list of entity tags in quotes")
        tags[match[1] is not None].add(match[2])
        position = end.end()
    return EntityTags(False, frozenset(tags[False]), frozenset(tags[True]))
