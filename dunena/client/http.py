"""The requests that are HTTP's alone, by the standard library; they block."""

import http.client
from typing import Any

import orjson

from dunena.client.errors import ConnectError, NoAnswerError, RefusedError, RequestError
from dunena.client.options import Options, error_text, unreachable

_PAGE_KEYS = 1000  # the most that the server gives at once
_REFUSALS = (401, 403)


def ask(
    options: Options,
    method: str,
    path: str,
    query: dict[str, object] | None = None,
    *,
    is_failure_told: bool = False,
) -> Any:
    """One request; the decoded JSON of its answer, or a `dunena.Error`.

    With ``is_failure_told`` the answer counts whatever its status, as that of `/health` does.
    """
    address = options.address
    connection = _connection(options)
    try:
        connection.request(method, address.target(path, query or {}), headers=_headers(options))
        response = connection.getresponse()
        status, body = response.status, response.read()
    except TimeoutError:
        raise NoAnswerError(f"No answer from {address.url} in {options.timeout:g} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise unreachable(address, error) from None
    finally:
        connection.close()
    if status >= 400 and not is_failure_told:
        text = error_text(body)
        if text is None:
            raise ConnectError(f"What answers at {address.url} is no dunena (HTTP {status})")
        raise RefusedError(text, status) if status in _REFUSALS else RequestError(text)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ConnectError(f"What answers at {address.url} is no dunena") from None


def keys(options: Options, pattern: str, ns: str) -> list[str]:
    """All keys that match, sorted."""
    found: list[str] = []
    cursor = 0
    while True:
        query = {"pattern": pattern, "ns": ns, "cursor": cursor, "count": _PAGE_KEYS}
        page = ask(options, "GET", "/keys", query)
        found += page["keys"]
        cursor = page["cursor"]
        if not cursor:
            return found


def _headers(options: Options) -> dict[str, str]:
    return {"Connection": "close", **options.headers}


def _connection(options: Options) -> http.client.HTTPConnection:
    address = options.address
    if address.is_secure:
        return http.client.HTTPSConnection(
            address.host, address.port, timeout=options.timeout, context=options.tls
        )
    return http.client.HTTPConnection(address.host, address.port, timeout=options.timeout)
