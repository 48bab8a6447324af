"""Who gets in: host, origin, token; one answer for every request and every upgrade.

Origin (neither source document looks at it, so any web page a user visits could use a store on
the user's machine): let in are requests without one, the same origin, loopback origins, and
``http://absolute``, which OBS sends for a local file. ``null`` is what a browser sends for a page
opened from disk, but also for a sandboxed frame on any web site, so it is let in only by name or
by a person's decision (`dunena.server.access.null_origin`).

Host (DNS rebinding: a web site points its own name at this machine, and its pages are then of the
same origin): on a loopback address the request must have been meant for this machine. On another
one a token keeps such a page out, which has no cookie; without a token the name must be one that
nobody outside can point anywhere, or one that ``--allow-host`` names.

Sec-Fetch-Site: a page can ask for anything without an Origin (an image, a script, a frame), and
whether that loads tells it a key from none. So without an Origin nothing is answered to another
site's page but pages: what is public, and the user's own folder. No program sends this header.

Token: RFC 6750, or a cookie that `/session` hands out. The cookie is derived from the token: it
outlives a restart and ends with the token. Wrong ones are counted for each address of another
machine; one that showed too many is not listened to for a while, right token or not, or it could go
on guessing.
"""

import math
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from dunena.dialects.grants import EVERYTHING, Grant
from dunena.server.access.authority import read_host, read_origin
from dunena.server.access.null_origin import DISK_ORIGINS, NULL_ORIGIN, NullOriginPolicy
from dunena.server.access.peers import NOBODY, group_of
from dunena.server.access.refusals import NAME_CHARS_MAX, Refusals
from dunena.server.access.token_rate_limiter import TokenRateLimiter
from dunena.server.access.tokens import Tokens
from dunena.server.http.message import JSON, Request, Response
from dunena.settings import Settings, is_loopback_host
from dunena.telemetry import Telemetry

OBS_ORIGIN = "http://absolute"
ANY_ORIGIN = "*"
ANY_HOST = "*"
PREFLIGHT_SECONDS = 600  # how long a browser may remember what it was allowed

# Who is let in anyway; an IPv6 address cannot be written in a policy.
_LOOPBACK_ANCESTORS = [
    f"{scheme}://{host}:*" for host in ("localhost", "127.0.0.1") for scheme in ("http", "https")
]
_IN_A_POLICY = re.compile(r"https?://[!-+\--:<-~]+").fullmatch  # no space, comma or semicolon
_ORIGINS_KEPT_MAX = 100  # for the test page; a flood of made-up ones is no list
_PresentedToken = tuple[Callable[[bytes], Grant | None], bytes]
"""What looks a secret up, and the secret."""

_OWN_SITES = ("none", "same-origin")  # a person typed the address, or a page of ours asks

_KNOWN_HEADERS = ("Authorization", "Content-Type")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch  # a token: RFC 9110, 5.6.2

_PRIVATE_DOMAINS = (".local", ".home.arpa", ".internal")


@dataclass(slots=True)
class RefusedOrigin:
    """An origin whose pages were refused, how often, and when last (Unix ms)."""

    origin: str
    count: int = 0
    last_at_ms: int = 0


class Admission:
    """The rules for one server, at the port it got."""

    def __init__(
        self,
        settings: Settings,
        port: int,
        telemetry: Telemetry,
        disk_pages: NullOriginPolicy | None = None,
        *,
        tokens: Tokens | None = None,
        refusals: Refusals | None = None,
        clock_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._clock_seconds = clock_seconds
        self._tokens = tokens or Tokens(settings.token, settings.tokens)
        self._token_rate_limiter = TokenRateLimiter()
        self._refusals = refusals or Refusals(settings, port)
        self._telemetry = telemetry
        self.disk_pages = disk_pages or NullOriginPolicy(None)
        self.disk_pages.always |= bool(settings.allow_origins & {NULL_ORIGIN, ANY_ORIGIN})
        # Browsers do not tell ports apart in cookies: the name does.
        self._cookie_name = f"dunena_session_{port}"
        self._own_names = {settings.host.lower(), socket.gethostname().lower()} - {""}
        self._refused: dict[str, RefusedOrigin] = {}

    def refusal(
        self, request: Request, *, needs_token: bool, is_page: bool = False
    ) -> Response | None:
        """Why a request is not let in; None if it is, and then it knows its grant.

        ``is_page`` says that any site may show what is asked for, or lead to it.
        """
        host = request.headers.get("host")
        if host is None and not request.is_http_1_0:
            return Response.error(400, "Missing Host header")  # RFC 9112, 3.2
        if host is not None and not self.allows_host(host):
            self._report_host(host)
            return Response.error(403, "Host not allowed")
        origin = request.headers.get("origin")
        if origin is not None and not self.allows_origin(origin, host):
            self._report_origin(origin)
            return Response.error(403, "Origin not allowed")
        if origin is None and not is_page and self._is_foreign(request):
            self._telemetry.refused_origins += 1
            self._refusals.tell_cross_site(request.path)
            return Response.error(403, "Cross-site request not allowed")
        return self._refusal_of_token(request) if needs_token else None

    def allows_host(self, host: str) -> bool:
        """Whether requests may be meant for this Host header."""
        authority = read_host(host)
        if authority is None:
            return False
        settings, name = self._settings, authority.host.rstrip(".")
        if is_loopback_host(name) or settings.allow_hosts & {name, ANY_HOST}:
            return True
        if settings.is_loopback:
            return False
        return (
            self.wants_token
            or _is_address(name)
            or name in self._own_names
            or (_is_private_name(name))
        )

    def allows_origin(self, origin: str, host: str | None) -> bool:
        """Whether a page of this origin may use the server at ``host`` (a Host header)."""
        allowed = self._settings.allow_origins
        if origin in allowed or ANY_ORIGIN in allowed or origin == OBS_ORIGIN:
            return True
        if origin in DISK_ORIGINS:
            return self.disk_pages.are_let_in
        place = read_origin(origin)
        return place is not None and (is_loopback_host(place.host) or _is_same_origin(origin, host))

    def refusal_of_decision(self, request: Request) -> Response | None:
        """Why a request that was let in may still not decide who else is; None if it may.

        Only the server's own pages may: neither another page of this machine nor one that was let
        in by name. The JSON type makes a browser ask first for any other page. Without a token,
        the host must be an address or loopback, which no foreign name server can point here.
        """
        host = request.headers.get("host", "")
        if not _is_same_origin(request.headers.get("origin", ""), host):
            return Response.error(403, "Only a page of this server may decide that")
        authority = read_host(host)
        if authority is None or not (self.wants_token or _is_address(authority.host)):
            return Response.error(403, "Open the test page by the server's address to decide that")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            return Response.error(400, "Content-Type must be application/json")
        return None

    def refused_origins(self) -> list[RefusedOrigin]:
        """Whose pages were refused, the latest first."""
        return sorted(self._refused.values(), key=lambda one: one.last_at_ms, reverse=True)

    def refusals_from_disk(self) -> int:
        """How often pages opened from disk were refused."""
        return sum(one.count for one in self._refused.values() if one.origin in DISK_ORIGINS)

    def cors_headers(self, request: Request, *, is_page: bool) -> dict[str, str]:
        """What lets the page that asked read the answer, and keeps it from others' pages.

        It was let in already. The policy (Fetch standard, Cross-Origin-Resource-Policy) holds where
        a page asks without CORS: browsers that send no Sec-Fetch-Site know it.
        """
        origin = request.headers.get("origin")
        is_for_all = is_page or origin is not None or self._lets_all_in
        headers = {
            "Vary": "Origin",
            "Cross-Origin-Resource-Policy": "cross-origin" if is_for_all else "same-origin",
        }
        if origin is not None:
            headers["Access-Control-Allow-Origin"] = origin
        return headers

    def framing_headers(self) -> dict[str, str]:
        """What keeps a user's own page out of the frames of pages that are not let in.

        A page in another's frame can be made to be clicked on (CSP, ``frame-ancestors``). The
        loader page lies on disk; a sandboxed frame of a web site, whose origin is "null" too, is
        none of ``file:``. Once these are let in there is nothing left to forbid.
        """
        if self._lets_all_in:
            return {}
        allowed = self._settings.allow_origins
        named = sorted(origin for origin in allowed if _IN_A_POLICY(origin))
        ancestors = ["'self'", "file:", *_LOOPBACK_ANCESTORS, OBS_ORIGIN, *named]
        return {"Content-Security-Policy": f"frame-ancestors {' '.join(ancestors)}"}

    def preflight(self, request: Request, methods: str) -> Response:
        """The answer to OPTIONS (Fetch standard, CORS preflight); any page let in may ask."""
        headers = {"Allow": methods}
        if "access-control-request-method" in request.headers:
            headers["Access-Control-Allow-Methods"] = methods
            headers["Access-Control-Allow-Headers"] = _allowed_headers(request)
            headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
            if "access-control-request-private-network" in request.headers:
                headers["Access-Control-Allow-Private-Network"] = "true"
        return Response(204, headers=headers)

    @property
    def wants_token(self) -> bool:
        """Whether there is one."""
        return self._tokens.are_needed

    def shows_token(self, request: Request) -> bool:
        """Whether a request has anything that is to stand for a token, right or wrong."""
        return bool(self._presented_tokens(request))

    def session(self, request: Request, token: str) -> Response:
        """The cookie that stands for a token, which a page sent."""
        refusal = self._refusal_of(request, [(self._tokens.grant_of, token.encode())])
        if refusal is not None:
            return refusal
        cookie = f"{self._cookie_name}={self._tokens.cookie_of(token)}"
        return Response(204, headers={"Set-Cookie": f"{cookie}; {self._cookie_attributes()}"})

    def expired_cookie(self) -> str:
        """The Set-Cookie value that takes it back."""
        return f"{self._cookie_name}=; Max-Age=0; {self._cookie_attributes()}"

    @property
    def _lets_all_in(self) -> bool:
        """Whether a page of any site can come in: one in a sandbox looks like one from disk."""
        return ANY_ORIGIN in self._settings.allow_origins or self.disk_pages.are_let_in

    def _is_foreign(self, request: Request) -> bool:
        """Whether a page of another origin asks, by a browser's word (Fetch Metadata, 2.3)."""
        site = request.headers.get("sec-fetch-site", "none")
        return site not in _OWN_SITES and not self._lets_all_in

    def _cookie_attributes(self) -> str:
        secure = "; Secure" if self._settings.is_encrypted else ""
        return f"HttpOnly; SameSite=Strict; Path=/{secure}"

    def _refusal_of_token(self, request: Request) -> Response | None:
        if not self._tokens.are_needed:
            request.grant = EVERYTHING
            return None
        return self._refusal_of(request, self._presented_tokens(request))

    def _presented_tokens(self, request: Request) -> list[_PresentedToken]:
        """Everything in a request that may stand for a token.

        Another server of this host can have set a cookie of the same name: one that is right
        counts, wherever it stands.
        """
        presented: list[_PresentedToken] = []
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            presented.append((self._tokens.grant_of, credentials.strip().encode("latin-1")))
        for part in request.headers.get("cookie", "").split(";"):
            name, _, value = part.partition("=")
            if name.strip() == self._cookie_name:
                presented.append((self._tokens.grant_of_cookie, value.strip().encode("latin-1")))
        return presented

    def _refusal_of(self, request: Request, presented: list[_PresentedToken]) -> Response | None:
        """Look tokens and cookies up, unless their sender showed too many wrong ones."""
        if not presented:
            return self._unauthorized()
        group, now = group_of(request.address), self._clock_seconds()
        # Behind a proxy that nobody named everyone looks like a program of this machine: slowed
        # down, any of them could lock out all others.
        seconds = 0.0 if group == NOBODY else self._token_rate_limiter.seconds_to_wait(group, now)
        if seconds > 0:
            self._telemetry.refused_tries += 1
            self._refusals.tell_guesser(group)
            return Response.error(
                429, "Too many wrong tokens", {"Retry-After": str(math.ceil(seconds))}
            )
        for grant_of, secret in presented:
            grant = grant_of(secret)
            if grant is not None:
                request.grant = grant
                return None
            self._token_rate_limiter.failed(group, secret, now)
        return self._unauthorized()

    def _unauthorized(self) -> Response:
        self._telemetry.refused_tokens += 1
        return Response.error(401, "Unauthorized", {"WWW-Authenticate": "Bearer"})

    def _report_host(self, host: str) -> None:
        self._telemetry.refused_hosts += 1
        authority = read_host(host)
        self._refusals.tell_host(host, None if authority is None else authority.host)

    def _report_origin(self, origin: str) -> None:
        self._telemetry.refused_origins += 1
        self._refusals.tell_origin(origin)
        name = origin[:NAME_CHARS_MAX]
        refused = self._refused.get(name)
        if refused is None:
            # Those that have a remedy on the test page are never lost in a flood.
            if len(self._refused) >= _ORIGINS_KEPT_MAX and name not in DISK_ORIGINS:
                return
            refused = self._refused[name] = RefusedOrigin(name)
        refused.count += 1
        refused.last_at_ms = time.time_ns() // 1_000_000


def _allowed_headers(request: Request) -> str:
    """What a page that was let in may send: what it asks for, and what the server looks at.

    Frameworks add headers of their own, such as X-Requested-With; none of them decides anything.
    """
    asked = [
        name.strip()
        for name in request.headers.get("access-control-request-headers", "").split(",")
    ]
    known = {name.lower() for name in _KNOWN_HEADERS}
    added = [name for name in asked if _HEADER_NAME(name) and name.lower() not in known]
    return ", ".join([*_KNOWN_HEADERS, *dict.fromkeys(added)])


def _is_same_origin(origin: str, host: str | None) -> bool:
    """Whether a page of this origin came from the server that is reached at ``host``."""
    scheme, _, place = origin.partition("://")
    # A proxy that ends TLS makes an https page of a server that speaks http.
    return scheme in ("http", "https") and bool(host) and place.lower() == (host or "").lower()


def _is_private_name(name: str) -> bool:
    """Whether no public name server can answer for a name.

    A single label, and what RFC 6762 (``.local``), RFC 8375 and ICANN keep for private networks.
    """
    return bool(name) and ("." not in name or name.endswith(_PRIVATE_DOMAINS))


def _is_address(name: str) -> bool:
    """Whether a host's name is an IP address or means this machine."""
    if is_loopback_host(name):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
