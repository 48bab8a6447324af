"""Following the keys that have text files, as a client with a watch follows them."""

from collections.abc import Callable, Iterable

from dunena.dialects.messages import WatchUpdates
from dunena.dialects.services import Services
from dunena.server.committed import CommittedOutbox
from dunena.server.outbox import Outbox, Piece
from dunena.store.entry import EntryId
from dunena.telemetry import Telemetry
from dunena.watches.feed import UpdateBatch
from dunena.watches.selector import Selector
from dunena.watches.updates import UpdatePart
from dunena.watches.watch_table import FeedId

Take = Callable[[Selector, UpdatePart], None]
"""Takes an update of what a selector selects, after its commit."""


def text_outbox(
    schedule_flush: Callable[[Outbox], None], telemetry: Telemetry, take: Take
) -> CommittedOutbox:
    """Return what the text files receive, in the tick's view an outbox like that of a connection.

    So what is handed over was committed, and what is refused never comes here.
    """

    def take_updates(pieces: list[Piece]) -> None:
        for piece in pieces:
            assert isinstance(piece, UpdateBatch), "nothing else is pushed by a feed"
            for part in piece.parts:
                take(piece.feed.selector, part)

    return CommittedOutbox(schedule_flush, telemetry, take_updates)


def follow(services: Services, selectors: Iterable[Selector], outbox: Outbox) -> None:
    """Begin to follow the keys of the selectors, all of which are those of one outbox."""
    table = services.watches

    def begin(selector: Selector) -> None:
        # Updates are paced by whoever takes them: so no frames are made.
        feed_id = FeedId(selector, WatchUpdates, is_paced=True)
        table.follow(
            feed_id,
            lambda: WatchUpdates(selector, services.epoch, table.parts),
            None,
            outbox,
        )

    for selector in selectors:
        begin(selector)


def standing(services: Services, selectors: Iterable[Selector]) -> dict[EntryId, bytes | None]:
    """Return the present values (JSON) of the selected keys; None for a named key without one."""
    found: dict[EntryId, bytes | None] = {}
    for selector in selectors:
        ns, named_keys = selector.ns, selector.named_keys
        entries = services.unrestricted_store.table.namespaces.get(ns, {})
        if named_keys is None:
            matches = selector.matcher()
            found |= {(ns, key): entry.value for key, entry in entries.items() if matches(key)}
            continue
        for key in named_keys:
            # A program is told of its file before the key has its first value.
            found[ns, key] = entries[key].value if key in entries else None
    return found


def vanishing(
    services: Services, selectors: Iterable[Selector], *, are_values_kept: bool
) -> list[EntryId]:
    """Return the selected keys that the store will not have after a restart."""
    if not are_values_kept:
        return list(standing(services, selectors))
    ephemeral = services.unrestricted_store.table.ephemeral
    matchers = [(selector.ns, selector.matcher()) for selector in selectors]
    return [
        (ns, key)
        for ns, key in (() if ephemeral is None else ephemeral)
        if any(ns == selected and matches(key) for selected, matches in matchers)
    ]
