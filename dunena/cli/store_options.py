"""The options on a store that several servers share, checked and made into `StoreSettings`."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from typer import BadParameter

from dunena.persistence.policy import Fsync, StoreSettings, WatchMode
from dunena.plain_files import read_plain
from dunena.setting_table import MAKE_SECRET, GivenSettings, rows
from dunena.store.limits import Eviction

NATS_PORT = 4222
"""The port of NATS servers where a URL names none."""

SERVERS_MAX = 100
"""Most servers of a list: a cluster of NATS has a few, and a client needs one of them."""

_SCHEMES = ("nats", "tls")
_SECRET_BYTES_MAX = 4096

_is_bucket = re.compile(r"[A-Za-z0-9_-]{1,200}").fullmatch
"""What a NATS server takes as the name of a bucket; a stream's name may have 255 characters."""

_is_domain = re.compile(r"[^\s.*>/\\]{1,200}").fullmatch
"""What can be one part of a NATS subject, and of the name of a file, as a domain becomes both."""


def store_of(given: GivenSettings, sources: Mapping[str, str | None]) -> StoreSettings:
    """Make the settings of a shared store; raise `BadParameter` with what to do instead.

    ``sources`` are the flags and variables by which settings were given, by their names.
    """
    _require_store(given)
    _check_folder_options(given, sources)
    servers = _servers(given.store or "")
    if not _is_bucket(given.bucket):
        raise _wrong("bucket", "a bucket's name has 1 to 200 letters, digits, - and _")
    if given.store_domain is not None and not _is_domain(given.store_domain):
        raise _wrong("store_domain", "a domain is one word without . * > and /")
    _check_login(given)
    _check_secret(given.store_password_file, "store_password_file")
    _check_secret(given.store_token_file, "store_token_file")
    if (given.store_cert is None) != (given.store_key is None):
        raise _wrong("store_cert", "--store-cert and --store-key go together")
    return StoreSettings(
        servers=servers,
        bucket=given.bucket,
        timeout_s=given.store_timeout,
        domain=given.store_domain,
        replicas=given.store_replicas,
        is_reader=given.store_read_only,
        user=given.store_user,
        password=given.store_password,
        password_file=given.store_password_file,
        token=given.store_token,
        token_file=given.store_token_file,
        nkey_file=given.store_nkey,
        creds_file=given.store_creds,
        ca_file=given.store_ca,
        cert_file=given.store_cert,
        key_file=given.store_key,
    )


def _wrong(name: str, reason: str) -> BadParameter:
    return BadParameter(reason, param_hint=rows()[name].flag)


def _require_store(given: GivenSettings) -> None:
    """Refuse options on a store where none is named."""
    if given.store is not None:
        return
    for row in rows().values():
        if row.held_as.startswith("store.") and getattr(given, row.name) != row.default:
            raise _wrong(row.name, f"{row.flag} needs --store, which names the NATS servers")


def _check_folder_options(given: GivenSettings, sources: Mapping[str, str | None]) -> None:
    """Refuse what needs a folder of values, or another full store, than there is with a store.

    The variable of the folder is no contradiction: packages set it for all their servers.
    """
    instead = "the values are at NATS with --store, so there is no folder of values"
    cache_dir = rows()["cache_dir"]
    if given.cache_dir is not None and sources.get("cache_dir") != cache_dir.variable:
        raise _wrong("cache_dir", f"leave it out: {instead}")
    if given.no_persist:
        raise _wrong("no_persist", "leave it out: with --store the values are kept, at NATS")
    if given.fsync is not Fsync.EVERYSEC or sources.get("fsync"):
        raise _wrong("fsync", f"{instead}; NATS has sync_interval for that")
    if given.no_watch:
        raise _wrong("no_watch", f"leave it out: {instead}")
    if given.watch is not WatchMode.AUTO or sources.get("watch"):
        raise _wrong("watch", f"leave it out: {instead}")
    if given.eviction is Eviction.LRU:
        reason = "with --store a full store refuses: servers would not agree on what is unused"
        raise _wrong("eviction", reason)
    if given.get_writes == MAKE_SECRET:
        reason = "give the secret itself, the same to all servers: with --store none can be kept"
        raise _wrong("get_writes", reason)


def _servers(text: str) -> tuple[str, ...]:
    """Return the URLs of the servers, each with its port; one without a scheme has the first's."""
    typed = [part.strip() for part in text.split(",") if part.strip()]
    if not typed:
        raise _wrong("store", "it needs a server, like nats://localhost")
    if len(typed) > SERVERS_MAX:
        raise _wrong("store", f"at most {SERVERS_MAX} servers; a client needs one of a cluster")
    scheme = typed[0].split("://")[0] if "://" in typed[0] else _SCHEMES[0]
    urls = [_server(part if "://" in part else f"{scheme}://{part}") for part in typed]
    return tuple(dict.fromkeys(urls))


def _server(url: str) -> str:
    """Return the URL of one server with its port; raise `BadParameter` for what is none."""
    try:
        parts = urlsplit(url)
        port = NATS_PORT if parts.port is None else parts.port
    except ValueError:
        raise _wrong("store", f"{url} is no URL of a server") from None
    if parts.username is not None:
        # Not repeated: it may have a password in it.
        reason = "no login in the URL; give it with --store-user and --store-password-file"
        raise _wrong("store", f"{reason}, or --store-token-file")
    if parts.scheme not in _SCHEMES:
        raise _wrong("store", f"{url} does not begin with nats:// or tls://")
    host = parts.hostname
    has_more = parts.path.strip("/") or parts.query or parts.fragment
    if not host or has_more or not port or not host.isprintable() or " " in host:
        raise _wrong("store", f"{url} is no URL of a server, like nats://localhost:{NATS_PORT}")
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _check_login(given: GivenSettings) -> None:
    """Refuse a login that is not complete, and two at once."""
    for name in ("store_password", "store_token"):
        if getattr(given, name) == "":
            raise _wrong(name, "it is empty; leave it out")
        if getattr(given, name) is not None and getattr(given, f"{name}_file") is not None:
            flag = rows()[name].flag
            raise _wrong(name, f"either {flag} or {flag}-file")
    has_password = (given.store_password or given.store_password_file) is not None
    if (given.store_user is not None) != has_password:
        raise _wrong("store_user", "--store-user and --store-password-file go together")
    ways = {
        "store_user": given.store_user,
        "store_token": given.store_token or given.store_token_file,
        "store_nkey": given.store_nkey,
        "store_creds": given.store_creds,
    }
    used = [rows()[name].flag for name, value in ways.items() if value is not None]
    if len(used) > 1:
        raise _wrong("store", f"one way to log in, not several: {' and '.join(used)}")


def _check_secret(file: Path | None, name: str) -> None:
    """Refuse a file without a secret in it. It is read again at each login, as it may change."""
    if file is None:
        return
    try:
        text = read_plain(str(file), _SECRET_BYTES_MAX).decode().strip()
    except UnicodeDecodeError:
        raise _wrong(name, f"{file} is no text") from None
    except OSError as error:
        raise _wrong(name, f"{file} cannot be read: {error.strerror or error}") from None
    if not text:
        raise _wrong(name, f"{file} is empty")
