"""What a tick's changes come to for each key: only the last of them needs a file."""

from collections.abc import Sequence

from dunena.store.entry import Change, Entry

Place = tuple[str, str]
"""Namespace and key."""


class Effect:
    """A key before and after some changes; None where it did not exist.

    ``is_stored`` says that what stands after is already in its place of keeping.
    """

    __slots__ = ("after", "before", "is_stored")

    def __init__(self, before: Entry | None, after: Entry | None, *, is_stored: bool) -> None:
        self.before = before
        self.after = after
        self.is_stored = is_stored


def net_effects(changes: Sequence[Change]) -> dict[Place, Effect]:
    """The effect of changes, given in the order they were made, on each key they touched."""
    effects: dict[Place, Effect] = {}
    for change in changes:
        if change.cleared is not None:
            for ns, keys in change.cleared.items():
                for key, entry in keys.items():
                    _add(effects, (ns, key), entry, None, is_stored=False)
        else:
            place = (change.ns, change.key)
            _add(effects, place, change.replaced, change.entry, is_stored=change.is_stored)
    return effects


def _add(
    effects: dict[Place, Effect],
    place: Place,
    before: Entry | None,
    after: Entry | None,
    *,
    is_stored: bool,
) -> None:
    effect = effects.get(place)
    if effect is None:
        effects[place] = Effect(before, after, is_stored=is_stored)
    else:
        effect.after = after
        effect.is_stored = is_stored
