"""A blocking client for the requests that only HTTP offers, and for commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import orjson

from dunena.client.address import path_of
from dunena.client.errors import RefusedError, RequestError
from dunena.client.options import (
    NOWHERE,
    Options,
    error_text,
    no_answer_error,
    not_dunena_error,
    unreachable_error,
)
from dunena.client.wire import Wire, WireError

_OK = 200
_REFUSALS = (401, 403)
_NO_CONTENT = 204


class Http:
    """One connection to a server, opened at the first request, for ``with``.

    Every request raises a `dunena.Error` if the server cannot be reached or refuses.
    """

    PAGE_MAX = 1000
    """The most entries that the server lists in one answer."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._wire = Wire(options.address, options.timeout, options.tls)

    # --- the store ---

    def entry(self, key: str, ns: str) -> dict[str, Any] | None:
        """Return a key's value, size, revision and expiry; None if the key does not exist."""
        answer = self.ask("GET", path_of("entries", key), {"ns": ns})
        entry: dict[str, Any] | None = answer["entry"]
        return entry

    def set(
        self, key: str, value: object, ns: str, ttl: int | None = None, *, durable: bool = False
    ) -> dict[str, Any]:
        """Store a value or an `orjson.Fragment` for ``ttl`` ms; return the entry as stored."""
        fields: dict[str, object] = {"key": key, "value": value}
        if ns:
            fields["ns"] = ns
        if ttl is not None:
            fields["ttl"] = ttl
        if durable:
            fields["durable"] = True
        answer: dict[str, Any] = self.ask("POST", "/set", body=orjson.dumps(fields))
        return answer

    def delete(self, key: str, ns: str) -> bool:
        """Delete a key; return whether it existed."""
        return bool(self.ask("DELETE", path_of("entries", key), {"ns": ns})["deleted"])

    def keys(self, pattern: str, ns: str) -> list[str]:
        """Return all keys that match ``pattern``, sorted."""
        found: list[str] = []
        cursor = 0
        while True:
            query = {"pattern": pattern, "ns": ns, "cursor": cursor, "count": self.PAGE_MAX}
            page = self.ask("GET", "/keys", query)
            found += page["keys"]
            cursor = page["cursor"]
            if not cursor:
                return found

    # --- any request ---

    def ask(
        self,
        method: str,
        path: str,
        query: dict[str, object] | None = None,
        body: bytes | None = None,
    ) -> Any:
        """Make one request and return the decoded JSON of its answer; None for status 204.

        Raise `RefusedError` or `RequestError` with the server's text for an error status,
        `ConnectError` if no server answers, `WrongAddressError` if it is no dunena, and
        `NoAnswerError` after the timeout.
        """
        address = self._options.address
        status, answer = self._exchange(method, address.target(path, query or {}), body)
        self._raise_error(status, answer)
        if status == _NO_CONTENT:
            return None
        try:
            return orjson.loads(answer)
        except orjson.JSONDecodeError:
            raise not_dunena_error(address, "no JSON") from None

    def download(self, path: str, query: dict[str, object]) -> Iterator[bytes]:
        """Yield the body of the answer to a GET, in pieces; raise as `ask`.

        Who stops before the end closes the connection.
        """
        options = self._options
        with self._failing_as_client():
            target = options.address.target(path, query)
            status, pieces = self._wire.exchange("GET", target, None, options.headers)
            if status == _OK:
                yield from pieces
                return
            answer = b"".join(pieces)
        self._raise_error(status, answer)
        raise not_dunena_error(options.address, f"HTTP {status}")

    def close(self) -> None:
        """Close the connection; a later request would open another one."""
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside ---

    def _raise_error(self, status: int, answer: bytes) -> None:
        """Raise the error that an answer is, if it is one."""
        if status >= 400:
            text = error_text(answer)
            if text is None or status == NOWHERE:
                raise not_dunena_error(self._options.address, f"HTTP {status}")
            raise RefusedError(text, status) if status in _REFUSALS else RequestError(text)

    def _exchange(self, method: str, target: str, body: bytes | None) -> tuple[int, bytes]:
        """Make one request; return status and body of the answer."""
        with self._failing_as_client():
            status, pieces = self._wire.exchange(method, target, body, self._options.headers)
            return status, b"".join(pieces)

    @contextmanager
    def _failing_as_client(self) -> Iterator[None]:
        """Raise the client's errors for those of the connection, and close it after any."""
        options = self._options
        try:
            yield
        except TimeoutError:
            self.close()
            raise no_answer_error(options) from None
        except (OSError, WireError) as error:
            self.close()
            raise unreachable_error(options.address, error) from None
        except BaseException:
            self.close()
            raise
