"""The entries of the store and their changes.

All are acyclic: they hold bytes, texts, numbers and older entries, never anything that could hold
them. So the garbage collector, which looks only for cycles, need not know of them when they are
compiled. Otherwise it would look through every entry of a store again and again, during which
nobody is answered.
"""

from collections.abc import Sequence
from enum import Enum
from operator import attrgetter
from typing import Final

from dunena.store.compiler_hints import mypyc_attr
from dunena.store.values import text_size

EntryId = tuple[str, str]
"""What an entry is found by: namespace ("" for none) and key."""

BY_REVISION: Final = attrgetter("revision")
"""What entries, removals and records are sorted by."""

ENTRY_BYTES: Final = 300
"""What an entry takes in memory besides the bytes of its names, its value and its ``then``."""


@mypyc_attr(acyclic=True)
class Entry:
    """A key's value at one revision; it is immutable.

    ``ns`` is "" for a key without a namespace; ``value`` is compact JSON; ``expires_at`` is Unix
    ms, or None for no expiry. ``then`` is compact JSON that is merged into the value at
    ``expires_at``, and the key stays without an expiry; None if the key goes then. ``update``
    caches the finished frame that announces the entry; None until it is made. ``written_at`` is
    since when the value has stood, Unix ms; 0 if that is not known.
    """

    __slots__ = ("expires_at", "key", "ns", "revision", "then", "update", "value", "written_at")

    def __init__(
        self,
        ns: str,
        key: str,
        value: bytes,
        expires_at: int | None,
        revision: int,
        written_at: int = 0,
        then: bytes | None = None,
    ) -> None:
        self.ns = ns
        self.key = key
        self.value = value
        self.expires_at = expires_at
        self.revision = revision
        self.written_at = written_at
        self.then = then
        self.update: bytes | None = None

    @property
    def size(self) -> int:
        """Size of the value's UTF-8 text in bytes."""
        return text_size(self.value)

    @property
    def memory_bytes(self) -> int:
        """About what the entry takes in memory, without a cached frame."""
        size = ENTRY_BYTES + len(self.ns) + len(self.key) + len(self.value)
        return size if self.then is None else size + len(self.then)

    def __repr__(self) -> str:
        return f"Entry({self.ns!r}, {self.key!r}, {self.value[:40]!r}, r{self.revision})"


@mypyc_attr(acyclic=True)
class EphemeralEntry(Entry):
    """An entry that ends with the session whose public id is ``owner``; it is never on disk."""

    __slots__ = ("owner",)

    def __init__(
        self,
        ns: str,
        key: str,
        value: bytes,
        expires_at: int | None,
        revision: int,
        written_at: int,
        then: bytes | None,
        owner: str,
    ) -> None:
        super().__init__(ns, key, value, expires_at, revision, written_at, then)
        self.owner = owner


def make_entry(
    ns: str,
    key: str,
    value: bytes,
    expires_at: int | None,
    revision: int,
    written_at: int,
    then: bytes | None,
    owner: str | None,
) -> Entry:
    """Make an entry, which is ephemeral if it has an ``owner``."""
    if owner is None:
        return Entry(ns, key, value, expires_at, revision, written_at, then)
    return EphemeralEntry(ns, key, value, expires_at, revision, written_at, then, owner)


def owner_of(entry: Entry | None) -> str | None:
    """Return the session that an entry ends with; None for an ordinary one, or none."""
    return entry.owner if isinstance(entry, EphemeralEntry) else None


class ChangeKind(Enum):
    """The four kinds of changes; the value is the name of the event."""

    SET = "set"
    DELETE = "delete"
    EXPIRED = "expired"
    CLEAR = "clear"


_SET: Final = ChangeKind.SET  # in Python 3.11, naming a member of an enumeration calls a function

Namespaces = dict[str, dict[str, Entry]]
"""Namespace -> key -> entry, in the order in which keys were first set; no namespace is empty."""


@mypyc_attr(acyclic=True)
class Change:
    """One change of the store, with everything needed to store it and to undo it.

    ``entry`` is the new entry of a set; ``replaced`` is the entry that the key had before. A clear
    has an empty ``key`` and all removed entries in ``cleared``. ``from_disk``: the change was read
    from the disk (a file edited by hand), so it need not be written. ``is_durable``: its sender
    waits until it is on the device.
    """

    __slots__ = (
        "cleared",
        "entry",
        "from_disk",
        "is_durable",
        "key",
        "kind",
        "ns",
        "replaced",
        "revision",
    )

    def __init__(
        self,
        kind: ChangeKind,
        ns: str,
        key: str,
        revision: int,
        *,
        entry: Entry | None = None,
        replaced: Entry | None = None,
        cleared: Namespaces | None = None,
        from_disk: bool = False,
        is_durable: bool = False,
    ) -> None:
        self.kind = kind
        self.ns = ns
        self.key = key
        self.revision = revision
        self.entry = entry
        self.replaced = replaced
        self.cleared = cleared
        self.from_disk = from_disk
        self.is_durable = is_durable

    def __repr__(self) -> str:
        return f"Change({self.kind.value}, {self.ns!r}, {self.key!r}, r{self.revision})"


@mypyc_attr(acyclic=True)
class SetChange(Change):
    """The change of a set: everything but the two flags is known from its entries.

    It does not call `Change`, whose keywords would cost each set as much as the rest of this.
    """

    __slots__ = ()

    def __init__(
        self,
        entry: Entry,
        replaced: Entry | None,
        from_disk: bool = False,
        is_durable: bool = False,
    ) -> None:
        self.kind = _SET
        self.ns = entry.ns
        self.key = entry.key
        self.revision = entry.revision
        self.entry = entry
        self.replaced = replaced
        self.cleared = None
        self.from_disk = from_disk
        self.is_durable = is_durable


@mypyc_attr(acyclic=True)
class EvictionChange(Change):
    """The deletion of an entry to make room in a full store, requested by no client."""

    __slots__ = ()

    def __init__(self, revision: int, entry: Entry) -> None:
        super().__init__(ChangeKind.DELETE, entry.ns, entry.key, revision, replaced=entry)


@mypyc_attr(acyclic=True)
class EphemeralSet(SetChange):
    """The set of an ephemeral entry."""

    __slots__ = ()


@mypyc_attr(acyclic=True)
class EphemeralRemoval(Change):
    """The deletion or expiry of an ephemeral entry, or a clear that removed some."""

    __slots__ = ()


@mypyc_attr(acyclic=True)
class EphemeralEviction(EvictionChange):
    """The eviction of an ephemeral entry."""

    __slots__ = ()


def _is_ephemeral(change: Change) -> bool:
    # With the classes in place: compiled code then compares three pointers.
    return isinstance(change, (EphemeralSet, EphemeralRemoval, EphemeralEviction))


def stored_value(entry: Entry | None) -> bytes | None:
    """Return what a disk has of a key: nothing without an entry, or for an ephemeral one."""
    return None if entry is None or isinstance(entry, EphemeralEntry) else entry.value


def stored_changes(changes: Sequence[Change]) -> Sequence[Change]:
    """Return the changes that a disk has to know of: all but those of ephemeral entries.

    Where an ephemeral entry replaces a stored one, that is the deletion of the stored one.
    """
    for change in changes:  # at each commit: compiled, this is the quickest look at them
        if _is_ephemeral(change):
            break
    else:
        return changes
    return [stored for change in changes if (stored := _stored_change(change)) is not None]


def _stored_change(change: Change) -> Change | None:
    if not _is_ephemeral(change):
        return change
    if change.cleared is not None:
        stored = {
            ns: {key: entry for key, entry in keys.items() if not isinstance(entry, EphemeralEntry)}
            for ns, keys in change.cleared.items()
        }
        return Change(
            ChangeKind.CLEAR, "", "", change.revision, cleared=stored, from_disk=change.from_disk
        )
    replaced = change.replaced
    if change.entry is None or replaced is None or isinstance(replaced, EphemeralEntry):
        return None
    return Change(
        ChangeKind.DELETE,
        change.ns,
        change.key,
        change.revision,
        replaced=replaced,
        is_durable=change.is_durable,
    )
