"""What is told to all watches with the same selector, form and rights."""

from dunena.hub import Batch, MayRead, Topic
from dunena.store.entry import Change
from dunena.watches.selector import Selector
from dunena.watches.updates import KeyState, UpdateForm, UpdatePart, take_part


class UpdateBatch(Batch):
    """The frames of a feed in one tick, and what they tell: ``parts`` has one for each frame.

    A reader that is too slow for the frames is told of the changes later. The feed of a paced watch
    has empty frames, as only the changes are needed.
    """

    __slots__ = ("feed", "parts")

    def __init__(self, feed: "WatchFeed", part: UpdatePart, frame: bytes) -> None:
        super().__init__(None, frame)
        self.feed = feed
        self.parts = [part]

    def add_part(self, part: UpdatePart, frame: bytes) -> None:
        """Append a frame and what it tells; the batch must be open."""
        self.add(frame)
        self.parts.append(part)

    def rest(self, start: int) -> "UpdateBatch":
        """Return a new batch of the frames from index ``start`` on."""
        rest = UpdateBatch(self.feed, self.parts[start], self.frames[start])
        for index in range(start + 1, len(self.parts)):
            rest.add_part(self.parts[index], self.frames[index])
        return rest


class WatchFeed(Topic):
    """The watches with one selector, form and rights; ``published`` is as for `Topic`.

    ``may_read`` says which keys of a namespace are told of, None for all. A ``is_paced`` feed makes
    no frames. ``told_at`` (Unix ms) and ``told_revision`` are of the newest update.
    """

    __slots__ = (
        "form",
        "is_paced",
        "matches",
        "may_read",
        "selector",
        "told_at",
        "told_revision",
    )

    def __init__(
        self,
        selector: Selector,
        form: UpdateForm,
        published: list[Topic],
        may_read: MayRead | None = None,
        *,
        is_paced: bool = False,
    ) -> None:
        super().__init__(None, published)
        self.selector = selector
        self.matches = selector.matcher()
        self.form = form
        self.may_read = may_read
        self.is_paced = is_paced
        self.told_at = 0
        self.told_revision = 0

    def shows(self, key: str) -> bool:
        """Return whether the watches may know of a matching key."""
        return self.may_read is None or self.may_read(self.selector.ns, key)

    def is_told_of(self, change: Change) -> bool:
        """Return whether the change of a matching key changes what the watches are shown."""
        if self.may_read is not None and not self.may_read(change.ns, change.key):
            return False
        return self.selector.path is None or self.form.is_other_value(change)

    def tell(self, update: UpdatePart) -> None:
        """Send an update to all watches, in parts if it is large."""
        self.told_at = update.now
        self.told_revision = update.revision
        if self.is_paced:
            self._push(update, b"")
            return
        form = self.form
        left: list[KeyState] = update.changes[::-1]
        is_reset = update.is_reset
        while True:
            first = len(update.changes) - len(left)
            frames = take_part(form, left, shows_missing=True)
            frame = form.frame(
                frames, update.revision, update.now, is_reset=is_reset, has_more=bool(left)
            )
            if first == 0 and not left:
                self._push(update, frame)
                return
            changes = update.changes[first : len(update.changes) - len(left)]
            self._push(
                UpdatePart(
                    changes,
                    update.revision,
                    update.now,
                    is_reset=is_reset,
                    replaced_bytes=update.replaced_bytes,
                ),
                frame,
            )
            if not left:
                return
            is_reset = False

    def tell_position(self, revision: int, now: int) -> None:
        """Tell all watches the present position, since nothing else was told for long."""
        self.told_at = now
        self.told_revision = revision
        frame = b"" if self.is_paced else self.form.bookmark(revision, now)
        self._push(UpdatePart([], revision, now), frame)

    def _push(self, part: UpdatePart, frame: bytes) -> None:
        batch = self._batch
        if isinstance(batch, UpdateBatch) and batch.is_open:
            batch.add_part(part, frame)
            return
        batch = self._batch = UpdateBatch(self, part, frame)
        self._published.append(self)
        for follower in self._followers:
            follower.push(batch)
