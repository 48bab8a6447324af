"""How this client proves who it is to NATS servers, and how it knows them."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from dunena.persistence.jetstream.credentials import (
    CredentialsError,
    UserKey,
    parse_credentials,
)
from dunena.persistence.policy import StoreSettings
from dunena.plain_files import read_plain

_T = TypeVar("_T")

_FILE_BYTES_MAX = 64 * 1024


class LoginError(Exception):
    """A login cannot be tried; the text says why."""


class Login:
    """The login of one attempt to connect: files are read anew, as they may have been renewed.

    ``options`` are for `nats.aio.client.Client.connect`. ``public_nkey`` is that of the user, if it
    has one and no JWT.
    """

    def __init__(self, store: StoreSettings, server: str) -> None:
        """Prepare a login at a server, given as URL; raise `LoginError`."""
        self._context = _tls_context(store, server)
        self.public_nkey: str | None = None
        self.options: dict[str, Any] = {"tls": self._context} | self._proof(store)

    def check_encryption(self) -> None:
        """Raise `ssl.SSLError` if TLS was asked for and has not begun.

        A server, or who pretends to be one, says itself whether it speaks TLS. Without this check
        a password would be told to one that does not.
        """
        if self._context is not None and not self._context.is_used:
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, "the server does not speak TLS")

    def _proof(self, store: StoreSettings) -> dict[str, Any]:
        if store.user is not None:
            password = _secret(store.password_file, store.password)
            return {"user": store.user, "password": self._guarded(lambda: password)}
        if store.token is not None or store.token_file is not None:
            token = _secret(store.token_file, store.token)
            return {"token": self._guarded(lambda: token)}
        if store.nkey_file is not None:
            return self._key_proof(store.nkey_file)
        if store.creds_file is not None:
            return self._credentials_proof(store.creds_file)
        return {}

    def _key_proof(self, file: Path) -> dict[str, Any]:
        key = _use(file, UserKey)
        self.public_nkey = key.public
        return {"signature_cb": key.sign}

    def _credentials_proof(self, file: Path) -> dict[str, Any]:
        credentials = _use(file, parse_credentials)
        key = _use(file, lambda _: UserKey(credentials.seed))
        jwt = credentials.jwt.encode()
        return {"signature_cb": key.sign, "user_jwt_cb": self._guarded(lambda: jwt)}

    def _guarded(self, secret: Callable[[], _T]) -> Callable[[], _T]:
        """Return a function that tells a secret when it is sent, to none but whom it is for."""

        def tell() -> _T:
            self.check_encryption()
            return secret()

        return tell


class _Context(ssl.SSLContext):
    """Settings of TLS that know whether a connection has begun to speak it with them."""

    is_used = False

    def wrap_bio(self, *args: Any, **named: Any) -> ssl.SSLObject:
        """Begin TLS, as event loops do."""
        self.is_used = True
        return super().wrap_bio(*args, **named)


def _tls_context(store: StoreSettings, server: str) -> _Context | None:
    """Return the settings of TLS; None if it is not asked for, and used where a server wants it."""
    is_asked_for = server.startswith("tls://") or store.ca_file or store.cert_file
    if not is_asked_for:
        return None
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if store.ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(store.ca_file)
        if store.cert_file is not None:
            context.load_cert_chain(store.cert_file, store.key_file)
    except OSError as error:
        files = ", ".join(
            str(one) for one in (store.ca_file, store.cert_file, store.key_file) if one
        )
        raise LoginError(f"no certificates in {files}: {error.strerror or error}") from None
    return context


def _secret(file: Path | None, given: str | None) -> str:
    """Return a secret: that of the file if there is one, without white space around it."""
    return given or "" if file is None else _use(file, str)


def _use(file: Path, make: Callable[[str], _T]) -> _T:
    """Make something of the text of a file, without white space around it; raise `LoginError`."""
    try:
        return make(read_plain(str(file), _FILE_BYTES_MAX).decode().strip())
    except OSError as error:
        raise LoginError(f"{file} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise LoginError(f"{file} is no text") from None
    except CredentialsError as error:
        raise LoginError(f"{file}: {error}") from None
