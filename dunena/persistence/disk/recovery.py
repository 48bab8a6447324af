"""What the files and the journal say together, when a folder is opened.

A clean stop leaves an empty journal, and the files are the truth. After a crash the journal holds
changes that files may not show. They are applied in their order, with one exception: a file that
was changed after the journal's last write shows at least what the journal does, or another hand
has edited it since.
"""

from collections.abc import Callable

from dunena.persistence.disk.journal import Recorded, Replay, Segment
from dunena.persistence.effects import Effect, Place
from dunena.store.entry import ChangeKind, Entry


def recover(
    entries: list[Entry], replay: Replay, modified_ns: Callable[[Place], int | None]
) -> tuple[dict[Place, Entry], dict[Place, Effect]]:
    """The entries that stand, and the effects that files do not show yet.

    ``modified_ns`` says when a key's file was changed; None without a file.
    """
    standing = {(entry.ns, entry.key): entry for entry in entries}
    effects: dict[Place, Effect] = {}
    for segment, commit in replay.commits:
        for recorded in commit:
            for place in _places(recorded, standing):
                if not _is_older(segment, modified_ns(place)):
                    _apply(place, recorded, standing, effects)
    return standing, effects


def last_revision(replay: Replay) -> int:
    """Of the latest change in the journal; 0 in an empty one."""
    return max((commit[-1].revision for _, commit in replay.commits), default=0)


def _places(recorded: Recorded, standing: dict[Place, Entry]) -> list[Place]:
    if recorded.kind is ChangeKind.CLEAR:
        return list(standing)
    return [(recorded.ns, recorded.key)]


def _is_older(segment: Segment, modified_ns: int | None) -> bool:
    """Whether a segment's last write was before its key's file was changed."""
    return modified_ns is not None and segment.modified_ns < modified_ns


def _apply(
    place: Place,
    recorded: Recorded,
    standing: dict[Place, Entry],
    effects: dict[Place, Effect],
) -> None:
    before = standing.pop(place, None)
    after = None
    if recorded.value is not None:
        after = Entry(*place, recorded.value, recorded.expires_at, recorded.revision)
        standing[place] = after
    effect = effects.get(place)
    if effect is None:
        effects[place] = Effect(before, after, is_stored=False)
    else:
        effect.after = after
