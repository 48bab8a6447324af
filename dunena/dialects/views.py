"""The `Services` of one server for each of its grants."""

from collections.abc import Collection

from dunena.dialects.grants import EVERYTHING, ChannelRights, Grant
from dunena.dialects.guarded_store import GuardedStore
from dunena.dialects.services import GetCache, Services


class Views:
    """Makes one `Services` for each restricted grant; all other grants share the complete one."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._guarded: dict[Grant, tuple[Services, GuardedStore]] = {}

    def of(self, grant: Grant) -> Services:
        """Return the services for a grant's requests, the same object at each call."""
        if grant is EVERYTHING or grant.is_complete:
            return self._services
        known = self._guarded.get(grant)
        if known is None:
            known = self._guarded[grant] = self._made(grant)
        return known[0]

    def keep(self, grants: Collection[Grant]) -> None:
        """Forget the services of all grants but these, and publish events to these only."""
        self._guarded = {grant: known for grant, known in self._guarded.items() if grant in grants}
        self._services.hub.audiences.clear()
        for services, store in self._guarded.values():
            self._add_audience(services, store)

    def _made(self, grant: Grant) -> tuple[Services, GuardedStore]:
        unrestricted = self._services
        store = GuardedStore(unrestricted.unrestricted_store, grant)
        services = Services(
            store,
            unrestricted.unrestricted_store,
            unrestricted.hub,
            unrestricted.limits,
            GetCache(),
            unrestricted.stats,
            grant.events_channel,
            default_ttl_ms=unrestricted.default_ttl_ms,
            watches=unrestricted.watches,
            answers=unrestricted.answers,
            scope=grant.scope,
            channel_rights=ChannelRights(grant),
            grant=grant,
        )
        self._add_audience(services, store)
        return services, store

    def _add_audience(self, services: Services, store: GuardedStore) -> None:
        if services.events is not None:
            self._services.hub.audiences[services.events] = store.may_read
