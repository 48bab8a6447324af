"""The examination of `dunena doctor` of a store that is shared with other servers."""

from urllib.parse import urlsplit

from dunena.cli.finding import Finding, Level
from dunena.persistence.policy import StoreSettings
from dunena.settings import is_loopback_host


def examine_shared_store(store: StoreSettings, value_bytes_max: int) -> list[Finding]:
    """Examine whether a server could use the store; return the findings as they are shown.

    ``value_bytes_max`` is what values may have that the store has to take; 0 for as much as it
    takes.
    """
    try:
        from dunena.persistence.jetstream.examination import examine_store
    except ModuleNotFoundError as error:
        if error.name != "nats":
            raise
        text = "the package nats-py is missing"
        return [Finding(Level.BAD, "store", text, 'pip install "dunena[nats]"')]
    found = [
        Finding(Level(one.level), one.about, one.text, one.advice)
        for one in examine_store(store, value_bytes_max)
    ]
    return [Finding(Level.GOOD, "store", f"bucket {store.bucket}"), *found, *_login(store)]


def _login(store: StoreSettings) -> list[Finding]:
    """Examine whether somebody who listens to the network could learn a password."""
    is_told = store.user is not None or store.token is not None or store.token_file is not None
    open_hosts = [
        urlsplit(server).hostname or "" for server in store.servers if server.startswith("nats://")
    ]
    far = [host for host in open_hosts if not is_loopback_host(host)]
    if not is_told or not far or store.ca_file is not None or store.cert_file is not None:
        return []
    text = f"who listens to the network learns it, unless {far[0]} asks for TLS"
    return [Finding(Level.NOTE, "login", text, "begin the URLs with tls://, or use an nkey")]
