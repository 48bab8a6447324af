"""What the store holds, and what happens to it."""

from enum import Enum

from dunena.store.values import text_size

EntryId = tuple[str, str]
"""What an entry is found by: namespace ("" for none) and key."""


class Entry:
    """A key's value at one revision; never changed after it was made.

    ``ns`` is "" for a key without a namespace; ``value`` is compact JSON text; ``expires_at`` is
    Unix ms, or None for no expiry. ``update`` is a place for the finished message that tells of
    it, once somebody made one.
    """

    __slots__ = ("expires_at", "key", "ns", "revision", "update", "value")

    def __init__(
        self, ns: str, key: str, value: bytes, expires_at: int | None, revision: int
    ) -> None:
        self.ns = ns
        self.key = key
        self.value = value
        self.expires_at = expires_at
        self.revision = revision
        self.update: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of the value's UTF-8 text."""
        return text_size(self.value)

    def __repr__(self) -> str:
        return f"Entry({self.ns!r}, {self.key!r}, {self.value[:40]!r}, r{self.revision})"


class ChangeKind(Enum):
    """The four things that can happen to a store; the value is the event's name."""

    SET = "set"
    DELETE = "delete"
    EXPIRED = "expired"
    CLEAR = "clear"


Namespaces = dict[str, dict[str, Entry]]
"""Namespace -> key -> entry, in the order of first setting; no namespace is empty."""


class Change:
    """One change, with what is needed to keep it and to undo it.

    ``entry`` is what a set put there; ``replaced`` is what stood there before; a clear has an
    empty ``key`` and holds all that went in ``cleared``. ``from_disk`` says that the change came
    from the place where values are kept (a file edited by hand), so it need not be written again;
    ``is_durable`` that its sender waits until it is on the device.
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


class EvictionChange(Change):
    """The delete of an entry that had to leave a full store; nobody asked for it."""

    __slots__ = ()

    def __init__(self, revision: int, entry: Entry) -> None:
        super().__init__(ChangeKind.DELETE, entry.ns, entry.key, revision, replaced=entry)
