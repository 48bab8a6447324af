"""A form of updates that tests can read, and followers that keep what they are pushed."""

from dataclasses import dataclass, field
from typing import Any

from dunena.hub import Batch, Subscriber
from dunena.store.entry import Change, ChangeKind, Entry
from dunena.store.positions import Removal
from dunena.store.store import Store
from dunena.watches.feed import WatchFeed
from dunena.watches.parts import DecodedPath
from dunena.watches.selector import Selector
from dunena.watches.updates import KeyState, RequestId, UpdatePart
from dunena.watches.watch_table import FeedId, WatchTable


class PlainForm:
    """Frames are the text of a tuple: revision, changes, and what else there is to say.

    Values that begin with ``-`` are not shown.
    """

    pointer: DecodedPath | None = None

    def is_other_value(self, change: Change) -> bool:
        return change.entry is None or not change.entry.value.startswith(b"-")

    def change(self, told: KeyState, *, shows_missing: bool) -> bytes | None:
        if not isinstance(told, Entry):
            return f"{told.key}!{told.kind.value}".encode()
        if told.value.startswith(b"-"):
            return f"{told.key}!missing".encode() if shows_missing else None
        return b"%b=%b" % (told.key.encode(), told.value)

    def frame(
        self,
        changes: list[bytes],
        revision: int,
        now: int,
        *,
        is_reset: bool,
        has_more: bool,
        request_id: RequestId = None,
    ) -> bytes:
        more = ["reset"] * is_reset + ["more"] * has_more
        more += [] if request_id is None else [f"id {request_id}"]
        return b" ".join([b"%d" % revision, *changes, *(word.encode() for word in more)])

    def bookmark(self, revision: int, now: int) -> bytes:
        return b"%d" % revision


@dataclass(eq=False)
class Follower(Subscriber):
    """Keeps the frames of all batches that it was pushed."""

    batches: list[Batch] = field(default_factory=list)
    seen: int = 0

    def push(self, batch: Batch) -> None:
        self.batches.append(batch)

    def frames(self) -> list[str]:
        """The frames since the last call."""
        frames = [frame.decode() for batch in self.batches for frame in batch.frames]
        seen, self.seen = self.seen, len(frames)
        return frames[seen:]


class Watched:
    """A store with a watch table; changes are told as they are made."""

    def __init__(self) -> None:
        self.store = Store()
        self.table = WatchTable()
        self.opened: list[Any] = []
        self.table.attach(self.store, self.opened)
        self.store.observe(self.changed)
        self.now = 1000

    def changed(self, change: Change) -> None:
        if self.table.feed_count:
            self.table.changed(change, self.now)

    def follow(self, follower: Follower, **more: Any) -> WatchFeed:
        """Watch, by the fields of a `Selector` and of a `FeedId`."""
        return self.table.follow(self.feed_id(**more), PlainForm, more.get("audience"), follower)

    def feed_id(self, **more: Any) -> FeedId:
        names = ("audience", "is_paced")
        rest = {name: more.pop(name) for name in names if name in more}
        more.setdefault("ns", "")
        return FeedId(Selector(**more), "plain", **rest)

    def set(self, key: str, value: str = "1", ns: str = "") -> None:
        self.store.set(ns, key, value.encode())


def entry(key: str, value: bytes, revision: int = 1) -> Entry:
    """An entry without a namespace."""
    return Entry("", key, value, None, revision)


def removal(key: str, revision: int = 1) -> Removal:
    """A removal without a namespace."""
    return Removal(revision, "", key, ChangeKind.DELETE)


def part(
    *changes: KeyState, revision: int, is_reset: bool = False, replaced: int = 0
) -> UpdatePart:
    """An update."""
    return UpdatePart(list(changes), revision, 1000, is_reset=is_reset, replaced_bytes=replaced)
