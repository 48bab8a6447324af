"""Finding out whether there is a newer release: one request to the project's list of releases.

It is made only when a person asks for it. The request says nothing about this machine or what is
stored: it names no version, and has no body and no cookie.
"""

import http.client
import os
import re
import ssl
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

import orjson

from dunena import NAME, __version__
from dunena.tls_trust import make_context

REPOSITORY: Final = "dunena/dunena"
FEED: Final = f"https://api.github.com/repos/{REPOSITORY}/releases/latest"
"""The newest release that is no pre-release (docs.github.com, REST API, "Get the latest release").
"""

FEED_VARIABLE: Final = "DUNENA_RELEASES_URL"
"""Environment variable with another address for it, such as that of a copy inside a network."""

PROJECT: Final = f"https://github.com/{REPOSITORY}"

TIMEOUT_SECONDS: Final = 5.0
"""Time for the connection, and for each part of the answer."""

ANSWER_SECONDS_MAX: Final = 10.0
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
"""The notes of a release are in it, and each of its files with a page of fields."""

_RATE_LIMITED: Final = frozenset({403, 429})  # docs.github.com, "Rate limits for the REST API"
_VERSION: Final = re.compile(
    r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?([-.+a-zA-Z0-9]{0,40})", re.ASCII
)


class UpdateCheckError(Exception):
    """It could not be found out; the text says why in one sentence.

    ``is_unreachable``: nothing answered.
    """

    def __init__(self, reason: str, *, is_unreachable: bool = False) -> None:
        super().__init__(reason)
        self.is_unreachable = is_unreachable


@dataclass(frozen=True, slots=True)
class Release:
    """The newest release: its version, its page, and whether it is newer than this program."""

    version: str
    url: str
    is_newer: bool


def find_newest(feed: str | None = None) -> Release:
    """Ask for the newest release; raise `UpdateCheckError`.

    ``feed`` is the address to ask; None is for the project's own, or what the environment says.
    """
    address = feed or os.environ.get(FEED_VARIABLE) or FEED
    return read_release(_fetch(address), urlsplit(address).hostname or address)


def read_release(answer: bytes, host: str) -> Release:
    """Read what ``host`` answered; raise `UpdateCheckError` if it is no release."""
    try:
        fields: Any = orjson.loads(answer)
    except orjson.JSONDecodeError:
        fields = None
    tag = fields.get("tag_name") if isinstance(fields, dict) else None
    found = _VERSION.fullmatch(tag) if isinstance(tag, str) else None
    if found is None:
        raise UpdateCheckError(f"what {host} answers is no release of {NAME}")
    version = found[0].removeprefix("v")
    if fields.get("prerelease") is True or fields.get("draft") is True or _is_early(version):
        raise UpdateCheckError(f"{host} knows no release but {version}, which is not final")
    return Release(version, f"{PROJECT}/releases/tag/{found[0]}", is_newer_version(version))


def is_newer_version(version: str, own: str = __version__) -> bool:
    """Return whether a version is a later one; a pre-release comes before its release."""
    return _order_of(version) > _order_of(own)


def _order_of(version: str) -> tuple[int, int, int, bool]:
    found = _VERSION.fullmatch(version)
    if found is None:
        return 0, 0, 0, False
    major, minor, patch, _ = found.groups(default="0")
    return int(major), int(minor), int(patch), not _is_early(version)


def _is_early(version: str) -> bool:
    """Return whether a version is that of a pre-release: 1.0.0-rc.1, 1.0.0rc1, 1.0.0.dev3."""
    found = _VERSION.fullmatch(version)
    return found is not None and any(map(str.isalpha, found[4].partition("+")[0]))


# --- the request ---


def _fetch(address: str) -> bytes:
    """Return the body of the answer to one request; raise `UpdateCheckError`."""
    url = urlsplit(address)
    host = url.hostname
    if url.scheme not in ("https", "http") or not host:
        raise UpdateCheckError(f"{address} is no address for releases")
    connection = None
    try:
        connection, target, login = _connected(url, host)
        # GitHub refuses requests without a User-Agent.
        headers = {"Accept": "application/vnd.github+json", "User-Agent": NAME, **login}
        connection.request("GET", target, headers=headers)
        with connection.getresponse() as response:
            if response.status != 200:
                raise _refused(response, host)
            return _body(response, host)
    except TimeoutError:
        reason = f"{host} does not answer"
        raise UpdateCheckError(reason, is_unreachable=True) from None
    except ssl.SSLCertVerificationError as error:
        reason = f"the certificate of {host} is not trusted: {error.verify_message}"
        raise UpdateCheckError(reason, is_unreachable=True) from None
    except OSError as error:
        why = (error.strerror or str(error)).rstrip(".")
        reason = (
            f"{host} cannot be reached ({why}); see whether this machine is connected, or whether"
            " it needs a proxy, which HTTPS_PROXY names"
        )
        raise UpdateCheckError(reason, is_unreachable=True) from None
    except (http.client.HTTPException, ValueError):
        raise UpdateCheckError(f"what {host} answers is no HTTP") from None
    finally:
        if connection is not None:
            connection.close()


def _body(response: http.client.HTTPResponse, host: str) -> bytes:
    ends_at = time.monotonic() + ANSWER_SECONDS_MAX
    pieces: list[bytes] = []
    size = 0
    while piece := response.read1(65_536):
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_BYTES_MAX:
            raise UpdateCheckError(f"what {host} answers is no release of {NAME}: it is too large")
        if time.monotonic() > ends_at:
            raise TimeoutError
    return b"".join(pieces)


def _refused(response: http.client.HTTPResponse, host: str) -> UpdateCheckError:
    status = response.status
    if status in _RATE_LIMITED:
        until = _free_at(response)
        again = f"try again after {until}" if until else "try again in an hour"
        return UpdateCheckError(
            f"{host} answers only so many requests an hour from one address ({status}); {again}"
        )
    if status == 404:
        return UpdateCheckError(f"{host} knows no release of {NAME} yet")
    if 300 <= status < 400:
        return UpdateCheckError(f"the releases have moved ({status}); look at {PROJECT}")
    return UpdateCheckError(f"{host} answers with {status}; try again later")


def _free_at(response: http.client.HTTPResponse) -> str:
    """Return the time of day from which requests are answered again; "" if it is not told."""
    reset, wait = response.getheader("x-ratelimit-reset"), response.getheader("retry-after")
    try:
        at = time.time() + int(wait) if wait else int(reset or "")
        return time.strftime("%H:%M", time.localtime(at))
    except (ValueError, OverflowError, OSError):
        return ""


# --- proxies ---


def _connected(
    url: SplitResult, host: str
) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
    """Return a connection to a host or to the proxy for it, and the target and headers to send."""
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    proxy = proxy_for(url.scheme, host, os.environ)
    at = (host, url.port) if proxy is None else (proxy.hostname or "", proxy.port or 80)
    if url.scheme == "http":
        plain = http.client.HTTPConnection(*at, timeout=TIMEOUT_SECONDS)
        if proxy is None:
            return plain, target, {}
        # RFC 9112, 3.2.2: a proxy gets the whole address.
        return plain, url.geturl(), _login(proxy)
    connection = http.client.HTTPSConnection(*at, timeout=TIMEOUT_SECONDS, context=make_context())
    if proxy is not None:
        connection.set_tunnel(host, url.port or 443, headers=_login(proxy))
    return connection, target, {}


def proxy_for(
    scheme: str, host: str, environment: "os._Environ[str] | dict[str, str]"
) -> SplitResult | None:
    """Return the proxy for a host, as curl and other programs read the environment; None for none.

    ``HTTPS_PROXY`` (``HTTP_PROXY`` for http) or ``ALL_PROXY`` is its address, and ``NO_PROXY`` has
    the ends of names that are reached without it. Small letters do as well.
    """

    def value(name: str) -> str:
        return environment.get(name.lower()) or environment.get(name.upper()) or ""

    address = value(f"{scheme}_proxy") or value("all_proxy")
    exempt = [one.strip().lstrip("*.").lower() for one in value("no_proxy").split(",")]
    if not address or any(_ends_with(host.lower(), one) for one in exempt):
        return None
    if value("no_proxy").strip() == "*":
        return None
    proxy = urlsplit(address if "://" in address else f"http://{address}")
    if proxy.scheme != "http" or not proxy.hostname:
        raise UpdateCheckError(f"the proxy {proxy.scheme}://{proxy.hostname} is none of HTTP")
    return proxy


def _ends_with(host: str, end: str) -> bool:
    return bool(end) and (host == end or host.endswith(f".{end}"))


def _login(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    text = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(text.encode()).decode()}"}
