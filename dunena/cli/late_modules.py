"""What a server imports when it is first needed, all of it at once.

While a program runs that was unpacked somewhere, its files may go: a cleaner takes those that were
unpacked, an update replaces the executable. A module that is not loaded by then is lost.
"""

import sys
from importlib import import_module
from typing import Final

HTTP_API: Final = ("dunena.dialects.following", "dunena.server.kv_requests")
"""What requests of ``/kv`` need."""

OTHERS: Final = (
    "csv",
    "dunena.backup.form",
    "dunena.backup.pages",
    "dunena.backup.reading",
    "dunena.backup.restore_plan",
    "dunena.backup.transactions",
    "dunena.backup.writing",
    "dunena.dialects.kv_request",
    "dunena.dialects.store_search",
    "dunena.qr_code",
    "dunena.server.access.plain_pages",
    "dunena.server.access.sign_in",
    "dunena.server.get_writes",
    "dunena.server.http.following_request",
    "dunena.server.http.upgrade",
    "dunena.server.restart_command",
    "dunena.server.restores",
    "dunena.server.static.new_pages",
    "dunena.server.static.page_overview",
    "dunena.server.status.openapi",
    "dunena.server.status.store_report",
    "dunena.store.entry",
    "dunena.update_check",
    "email.utils",
    "io",
    "prometheus_client.exposition",
    "prometheus_client.metrics_core",
    "prometheus_client.platform_collector",
    "prometheus_client.process_collector",
    "prometheus_client.registry",
    "secrets",
    "segno",
    "websockets.extensions.permessage_deflate",
)
"""What other requests need, and what of the standard library is used with them."""

WATCHING: Final = ("watchfiles", "watchfiles._rust_notify")
"""What notices changed files, except on Linux, where the server asks the system itself."""


def import_late_modules() -> None:
    """Import everything that requests may need; raise `ImportError` or `OSError`."""
    names: tuple[str, ...] = HTTP_API + OTHERS
    if sys.platform != "linux":
        names += WATCHING
    for name in names:
        import_module(name)
