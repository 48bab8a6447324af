"""The rooms of one server as each of its grants sees them."""

from collections.abc import Collection

from dunena.dialects.core import Core, Repeated
from dunena.dialects.grants import EVERYTHING, Grant
from dunena.dialects.guarded_store import GuardedStore


class Views:
    """One `Core` for each grant that leaves something out; the whole one for all others."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._guarded: dict[Grant, tuple[Core, GuardedStore]] = {}

    def of(self, grant: Grant) -> Core:
        """What a grant's requests are carried out on; the same object for the same grant."""
        if grant is EVERYTHING or grant.is_whole:
            return self._core
        known = self._guarded.get(grant)
        if known is None:
            known = self._guarded[grant] = self._made(grant)
        return known[0]

    def keep(self, grants: Collection[Grant]) -> None:
        """These are all there are from now on."""
        self._guarded = {grant: known for grant, known in self._guarded.items() if grant in grants}
        self._core.hub.audiences.clear()
        for core, store in self._guarded.values():
            self._announce_to(core, store)

    def _made(self, grant: Grant) -> tuple[Core, GuardedStore]:
        whole = self._core
        store = GuardedStore(whole.store.whole, grant)
        core = Core(
            store,
            whole.hub,
            whole.limits,
            Repeated(),
            whole.tally,
            grant.events_channel,
            default_ttl_ms=whole.default_ttl_ms,
        )
        self._announce_to(core, store)
        return core, store

    def _announce_to(self, core: Core, store: GuardedStore) -> None:
        if core.events is not None:
            self._core.hub.audiences[core.events] = store.may_read
