"""The tokens of a server and their grants, from `--token` and a file.

The file is TOML with a table for each token; the table's name identifies the token in logs:

    [overlay]
    token = "..."
    rights = ["read"]            # read, write, admin
    keys = ["score", "team-*"]   # globs; all when left out
    namespaces = ["show"]        # globs; "" is no namespace; all when left out
    channels = ["chat"]          # globs; when left out as `Grant` says
    get = "..."                  # a secret for GET writes with these rights

The file is read again when it changes. A file that cannot be used prevents the start; later, such a
change is logged and the former tokens stay valid.
"""

import hashlib
import hmac
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dunena.dialects.grants import ANY, EVERYTHING, Grant, Right
from dunena.plain_files import FileTooLargeError, read_plain
from dunena.server.access.get_secret import SECRET_FORM, is_get_secret
from dunena.server.limits import TOKENS_FILE_BYTES_MAX

COMMAND_LINE = "--token"
"""The name of the grant of the token from the command line."""

_COOKIE_PURPOSE = b"dunena session cookie"
FILE_FIELDS = {"token", "rights", "keys", "namespaces", "channels", "get"}

SHARED = "this network"
"""The name of the grant of the token that is made when a server is shared on the network."""

GET_WRITES = "--get-writes"
"""The name of the grant of the secret from the command line."""

_log = logging.getLogger(__name__)


class TokensError(Exception):
    """The file of tokens cannot be used; the text says why in one line, without any token."""


class _Known(NamedTuple):
    """A token with its grant, and its secret for GET writes if it has one."""

    token: str
    grant: Grant
    get_secret: str | None


class Tokens:
    """The tokens of one server: ``token`` with all rights, and those of ``file``.

    Besides these, the secrets that stand in the addresses of GET writes: those of the file have the
    rights of their tables, the server's own may read and write every key.

    Raises `TokensError` if the file cannot be used.
    """

    def __init__(self, token: str | None = None, file: Path | None = None) -> None:
        self._own = [] if token is None else [_Known(token, _everything(token), None)]
        self._file = file
        self._seen = self._signature()
        self._grants: dict[bytes, Grant] = {}
        self._cookies: dict[bytes, bytes] = {}
        self._cookie_values: dict[bytes, bytes] = {}
        self._shared: list[_Known] = []
        self._get_secrets: dict[bytes, Grant] = {}
        self._own_get_secrets: dict[bytes, Grant] = {}
        self._changed: Callable[[], None] = lambda: None
        self._take(_read(file) if file is not None else [])
        if file is not None:
            _warn_of_readers(file)

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever other tokens may be valid from now on."""
        self._changed = changed

    @property
    def are_needed(self) -> bool:
        """Whether the server has tokens, so that every client needs one."""
        return bool(self._own) or self._file is not None

    @property
    def shared_token(self) -> str | None:
        """The token that clients of other machines need, while those of this one need none."""
        return self._shared[0].token if self._shared else None

    def share(self, token: str | None) -> None:
        """Want this token of clients of other machines from now on; None for no longer.

        It may read and write everything, and not administer the server. The server has no others.
        """
        rights = frozenset((Right.READ, Right.WRITE))
        self._shared = []
        if token is not None:
            grant = Grant(SHARED, rights, digest=_digest(token.encode()))
            self._shared = [_Known(token, grant, None)]
        self._take([])

    @property
    def have_get_secrets(self) -> bool:
        """Whether there is a secret for GET writes."""
        return bool(self._get_secrets)

    def add_get_secret(self, secret: str) -> None:
        """Let a secret of the server's own write with GET, besides those of the file."""
        digest = _digest(secret.encode())
        self._own_get_secrets[digest] = Grant(
            GET_WRITES, frozenset((Right.READ, Right.WRITE)), digest=digest
        )
        self._get_secrets |= self._own_get_secrets

    def grant_of_get_secret(self, secret: bytes) -> Grant | None:
        """Return the grant of a secret for GET writes, looked up as by `grant_of`."""
        return self._get_secrets.get(_digest(secret))

    @property
    def grants(self) -> frozenset[Grant]:
        """Return all grants that are valid now."""
        return frozenset(self._grants.values())

    def grant_of(self, token: bytes) -> Grant | None:
        """Return the grant of a token (UTF-8); None if it is not valid.

        It is looked up by its digest: so the time of the look-up reveals nothing about tokens.
        """
        return self._grants.get(_digest(token))

    def grant_of_cookie(self, cookie: bytes) -> Grant | None:
        """Return the grant of the session whose cookie has this value; None if it is not valid."""
        digest = self._cookies.get(_digest(cookie))
        return None if digest is None else self._grants.get(digest)

    def cookie_of(self, token: str) -> str:
        """Return the value of the cookie for a token: valid as long as the token is."""
        return _cookie(token).decode()

    def cookie_of_grant(self, grant: Grant) -> str | None:
        """Return the value of the cookie for a grant's token; None if that is no longer valid."""
        value = self._cookie_values.get(grant.digest)
        return None if value is None else value.decode()

    def current_grant(self, grant: Grant) -> Grant | None:
        """Return the present grant of a grant's token; None if the token is no longer valid.

        The grant of clients that need no token stays.
        """
        if grant is EVERYTHING and not self.are_needed:
            return grant
        return self._grants.get(grant.digest)

    def grant_of_scope(self, scope: bytes) -> Grant | None:
        """Return the grant that has a scope; None if no valid token has it."""
        grants = self.grants if self.are_needed else (*self.grants, EVERYTHING)
        return next((grant for grant in grants if grant.scope == scope), None)

    def reload_if_changed(self) -> bool:
        """Read the file again if it changed; return whether other tokens may be valid now.

        Log a file that cannot be used, and keep the former tokens.
        """
        seen = self._signature()
        if self._file is None or seen == self._seen:
            return False
        self._seen = seen
        try:
            read = _read(self._file)
        except TokensError as error:
            _log.error("the tokens stay as they were: %s", error)
            return False
        self._take(read)
        _log.info("%s is used from now on: %d tokens", self._file, len(read))
        return True

    def _take(self, read: list[_Known]) -> None:
        tokens = [*read, *self._own, *self._shared]
        self._grants = {known.grant.digest: known.grant for known in tokens}
        self._cookie_values = {known.grant.digest: _cookie(known.token) for known in tokens}
        self._cookies = {_digest(value): digest for digest, value in self._cookie_values.items()}
        self._get_secrets = {
            _digest(known.get_secret.encode()): known.grant
            for known in tokens
            if known.get_secret is not None
        } | self._own_get_secrets
        self._changed()

    def _signature(self) -> tuple[int, int, int] | None:
        """Return what changes when the file does: time, size and inode; None if it is missing."""
        try:
            found = None if self._file is None else self._file.stat()
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)


def _everything(token: str) -> Grant:
    return Grant(COMMAND_LINE, EVERYTHING.rights, digest=_digest(token.encode()))


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _cookie(token: str) -> bytes:
    return hmac.new(token.encode(), _COOKIE_PURPOSE, hashlib.sha256).hexdigest().encode()


# --- the file ---


def _read(file: Path) -> list[_Known]:
    """Return the tokens of the file with their grants; raise `TokensError`."""
    import tomllib  # imported here, as most servers have no such file

    try:
        data = read_plain(str(file), TOKENS_FILE_BYTES_MAX)
        tables = tomllib.loads(data.decode("utf-8-sig"))
    except FileTooLargeError:
        raise TokensError(f"{file} has more than {TOKENS_FILE_BYTES_MAX} bytes") from None
    except OSError as error:
        raise TokensError(f"{file} cannot be read: {error.strerror or error}") from None
    except ValueError:
        # The parser's message may quote a token, so it is not repeated.
        raise TokensError(f"{file} is no TOML{_place_of_fault(data)}") from None
    if not tables:
        raise TokensError(f"{file} has no tokens: each is a table, [name]")
    found: list[_Known] = []
    owners: dict[str, str] = {}  # token or secret -> table
    for name, table in tables.items():
        try:
            known = _known(name, table)
        except TokensError as error:
            raise TokensError(f"{file}, [{name}]: {error}") from None
        for what, secret in (("token", known.token), ("get", known.get_secret)):
            if secret is None:
                continue
            if secret in owners:
                raise TokensError(f"{file}, [{name}]: the {what} of [{owners[secret]}]")
            owners[secret] = name
        found.append(known)
    return found


def _known(name: str, table: Any) -> _Known:
    if not isinstance(table, dict):
        raise TokensError("no table")
    if not name.isprintable() or name == COMMAND_LINE:
        raise TokensError("this cannot be a name")
    if unknown := sorted(table.keys() - FILE_FIELDS):
        raise TokensError(f"unknown field: {unknown[0]}")
    token = table.get("token")
    if not isinstance(token, str) or not token or token != token.strip():
        raise TokensError("token must be a text without spaces around it")
    rights = _texts(table, "rights", ())
    known = {right.value: right for right in Right}
    if not rights or not known.keys() >= set(rights):
        raise TokensError(f"rights must be some of {', '.join(known)}")
    grant = Grant(
        name,
        frozenset(known[right] for right in rights),
        _texts(table, "keys", ANY),
        _texts(table, "namespaces", ANY),
        _texts(table, "channels", ()) if "channels" in table else None,
        _digest(token.encode()),
    )
    return _Known(token, grant, _get_secret(table))


def _get_secret(table: Mapping[str, Any]) -> str | None:
    secret = table.get("get")
    if secret is None or (isinstance(secret, str) and is_get_secret(secret)):
        return secret
    raise TokensError(f"get must be a secret that has {SECRET_FORM}")


def _texts(table: Mapping[str, Any], field: str, default: tuple[str, ...]) -> tuple[str, ...]:
    values = table.get(field, default)
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise TokensError(f"{field} must be a list of texts")
    return tuple(values)


def _place_of_fault(data: bytes) -> str:
    """Describe where a text stops being TOML; "" if that is not known."""
    import tomllib

    try:
        tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return " (not UTF-8)"
    except tomllib.TOMLDecodeError as error:
        _, mark, position = str(error).rpartition("(at ")
        return f" ({position}" if mark else ""
    return ""


def _warn_of_readers(file: Path) -> None:
    """Log if other users can read the file of tokens; Windows has no such mode bits."""
    if sys.platform != "win32" and file.stat().st_mode & 0o077:
        _log.warning("%s can be read by other users: chmod 600", file)
