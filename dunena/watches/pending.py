"""What one watch of one connection has not been told yet."""

from collections.abc import Callable

from dunena.store.entry import Entry
from dunena.watches.feed import WatchFeed
from dunena.watches.limits import (
    PART_BYTES_MAX,
    SMALL_UPDATE_BYTES_MAX,
    SMALL_UPDATE_CHANGES_MAX,
    SUPERSEDED_BYTES_MAX,
)
from dunena.watches.updates import KeyState, RequestId, UpdatePart, take_part


class PendingUpdate:
    """The keys that a reader was not told of, each with its newest entry or removal.

    `add` takes in committed updates, `next_frame` makes the next frame of what is pending. When an
    update is too large for one frame, it is sent in parts at one revision, and what is added
    meanwhile is the next update. ``revision`` is that of the newest update that was added.

    A first update (``is_first``) answers a request, and may hold what is not committed yet: it is
    queued like a reply. It begins with ``told``, of which it takes possession, in reverse order;
    those for which ``shows`` is false are left out when their turn comes.
    """

    __slots__ = (
        "_has_news",
        "_is_reset",
        "_next",
        "_request_id",
        "_sending",
        "_sending_now",
        "_sending_resets",
        "_sending_revision",
        "_shows",
        "_shows_missing",
        "_superseded_bytes",
        "feed",
        "is_first",
        "now",
        "revision",
    )

    def __init__(
        self,
        feed: WatchFeed,
        told: list[KeyState] | None = None,
        revision: int = 0,
        now: int = 0,
        *,
        is_reset: bool = False,
        request_id: RequestId = None,
        shows: Callable[[KeyState], object] | None = None,
    ) -> None:
        self.feed = feed
        self.is_first = told is not None
        self.revision = revision
        self.now = now
        self._request_id = request_id
        # The next update:
        self._next: dict[str, KeyState] = {}
        self._is_reset = False
        self._has_news = False
        # The update that is being sent, None if none is:
        self._sending: list[KeyState] | None = told
        self._sending_revision = revision
        self._sending_now = now
        self._sending_resets = is_reset
        self._shows_missing = not is_reset
        self._shows = shows
        self._superseded_bytes = 0

    def __len__(self) -> int:
        """Return what it counts for in a queue: more than one part of an update, in bytes."""
        return 2 * PART_BYTES_MAX

    @property
    def is_small(self) -> bool:
        """Whether a first update is made in no time, and fits one frame."""
        told = self._sending or ()
        return (
            self._shows is None
            and len(told) <= SMALL_UPDATE_CHANGES_MAX
            and sum([len(change.value) for change in told if isinstance(change, Entry)])
            <= SMALL_UPDATE_BYTES_MAX
        )

    @property
    def has_news(self) -> bool:
        """Whether it tells more than the position."""
        return bool(self._sending or self._next) or self._sending_resets or self._is_reset

    @property
    def key_count(self) -> int:
        """The number of keys that are not told yet."""
        return len(self._next) + len(self._sending or ())

    @property
    def is_done(self) -> bool:
        """Whether everything was told."""
        return self._sending is None and not self._has_news

    @property
    def is_within_update(self) -> bool:
        """Whether a part of an update was made, and another part of it is to follow."""
        return self._sending is not None

    def add(self, part: UpdatePart) -> None:
        """Take in an update that came after what is pending."""
        if part.is_reset:
            self._forget()
        pending = self._next
        for told in part.changes:
            if self._is_reset and not isinstance(told, Entry):
                pending.pop(told.key, None)  # a reader that forgets everything needs no removals
            else:
                pending[told.key] = told
        self.revision = part.revision
        self.now = part.now
        self._has_news = True
        self._superseded_bytes += part.replaced_bytes
        if self._sending is not None and self._superseded_bytes > SUPERSEDED_BYTES_MAX:
            self._unite()

    def take(self) -> UpdatePart:
        """Remove and return all that is pending as one update; none may be on its way."""
        assert self._sending is None
        part = UpdatePart(
            list(self._next.values()),
            self.revision,
            self.now,
            is_reset=self._is_reset,
            replaced_bytes=self._superseded_bytes,
        )
        self._next = {}
        self._is_reset = self._has_news = False
        self._superseded_bytes = 0
        return part

    def next_frame(self) -> bytes:
        """Make the next frame; there must be something to tell.

        It is empty if nothing is to be told of the entries that were looked at for it, but perhaps
        of others.
        """
        form = self.feed.form
        sending = self._sending
        if sending is None:
            sending = self._begin()
            if not sending and not self._sending_resets:
                self._sending = None
                return form.bookmark(self._sending_revision, self._sending_now)
        shows = self._shows
        changes = take_part(form, sending, shows_missing=self._shows_missing, shows=shows)
        if shows is not None and sending and not changes:
            return b""
        frame = form.frame(
            changes,
            self._sending_revision,
            self._sending_now,
            is_reset=self._sending_resets,
            has_more=bool(sending),
            request_id=self._request_id,
        )
        self._request_id = None
        self._sending_resets = False
        if not sending:
            self._sending = self._shows = None  # the feed is told of nothing that it may not show
        return frame

    def _begin(self) -> list[KeyState]:
        """Begin to send the next update."""
        sending = list(reversed(self._next.values()))
        self._sending = sending
        self._sending_revision, self._sending_now = self.revision, self.now
        self._sending_resets = self._is_reset
        self._shows_missing = not self._is_reset
        self._next = {}
        self._is_reset = self._has_news = False
        self._superseded_bytes = 0
        return sending

    def _forget(self) -> None:
        """Drop everything that is pending: it does not hold any more.

        If some parts of it were sent, the next update follows these, and voids them.
        """
        self._next = {}
        self._sending = None
        self._is_reset = True

    def _unite(self) -> None:
        """Let the next update go on with the rest of the one that is being sent.

        Otherwise the outdated values in that rest would be held until it is read.
        """
        assert self._sending is not None
        pending: dict[str, KeyState] = {told.key: told for told in reversed(self._sending)}
        self._is_reset = self._sending_resets
        pending.update(self._next)
        if self._is_reset:
            pending = {key: told for key, told in pending.items() if isinstance(told, Entry)}
        self._next = pending
        self._sending = None
        self._superseded_bytes = 0
