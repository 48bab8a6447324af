"""Admission of requests and upgrades by their host, origin and token.

Origin: without this check any web page that a user visits could use a store on the user's machine
(neither source document has one). Admitted are requests without an Origin, the same origin,
loopback origins, and ``http://absolute``, which OBS sends for a local file. Browsers send ``null``
for a page opened from disk, but also for a sandboxed frame on any web site: it is admitted only by
a setting or by a person's decision (`dunena.server.access.null_origin`).

Host: a web site can point its own name at this machine, so that its pages have the same origin (DNS
rebinding). On a loopback address the Host must mean this machine. On another address a token keeps
such a page out, as it has no cookie; without a token the name must be one that no public name
server can answer for, or one of ``--allow-host``.

Sec-Fetch-Site: a page can request anything without an Origin, as an image, a script or a frame, and
can observe whether it loads, which tells an existing key from a missing one. So a page of another
site that sends no Origin gets only public pages and the user's own folder of pages. Only browsers
send this header.

Token: as in RFC 6750, or a cookie of `/session`, which is derived from the token: it stays valid
after a restart and ends with the token. Wrong tokens are counted for each address of another
machine. An address that presented too many is refused for a while even with a right token;
otherwise it could go on guessing.
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
from dunena.server.http.admitted_head import AdmissionState, AdmittedHead
from dunena.server.http.known_heads import KnownHead
from dunena.server.http.message import JSON, Request, Response
from dunena.settings import Settings, is_loopback_host
from dunena.telemetry import Telemetry

OBS_ORIGIN = "http://absolute"
ANY_ORIGIN = "*"
ANY_HOST = "*"
_UNAUTHORIZED = 401
PREFLIGHT_SECONDS = 600  # how long a browser may cache the answer to a preflight

# Origins that are always admitted; a policy (CSP) cannot express an IPv6 address.
_LOOPBACK_ANCESTORS = [
    f"{scheme}://{host}:*" for host in ("localhost", "127.0.0.1") for scheme in ("http", "https")
]
_IN_A_POLICY = re.compile(r"https?://[!-+\--:<-~]+").fullmatch  # no space, comma or semicolon
_ORIGINS_KEPT_MAX = 100  # for the test page; a client may send any number of made-up ones
_PresentedToken = tuple[Callable[[bytes], Grant | None], bytes]
"""A function that looks a secret up, and the secret."""

_WRONG_SECRET = "Wrong secret: the server shows the right address when it starts"

_OWN_SITES = ("none", "same-origin")  # the user typed the address, or it is a page of this server

_KNOWN_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch  # a token: RFC 9110, 5.6.2

_PRIVATE_DOMAINS = (".local", ".home.arpa", ".internal")


@dataclass(slots=True)
class RefusedOrigin:
    """An origin whose pages were refused: how often, and when last (Unix ms)."""

    origin: str
    count: int = 0
    last_at_ms: int = 0


class Admission:
    """Applies the rules of admission for one server.

    ``port`` is the one the server listens on. ``disk_pages`` is the decision on pages from disk.
    ``state`` changes with everything that decisions depend on besides the request.
    """

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
        # Browsers send a cookie to all ports of a host, so its name has the port.
        self._cookie_name = f"dunena_session_{port}"
        self.state = AdmissionState()
        self._tokens.on_change(self.state.change)
        self.disk_pages.on_change(self.state.change)
        self._own_names = {settings.host.lower(), socket.gethostname().lower()} - {""}
        self._refused: dict[str, RefusedOrigin] = {}

    def refusal(
        self, request: Request, *, needs_token: bool, is_page: bool = False
    ) -> Response | None:
        """Return the response that refuses a request; None if it is admitted.

        An admitted request has its ``grant`` set. ``is_page``: any site may show or link to the
        requested path.
        """
        refusal = self._refusal_of_host(request)
        if refusal is not None:
            return refusal
        host = request.headers.get("host")
        origin = request.headers.get("origin")
        if origin is not None and not self.allows_origin(origin, host):
            self._report_origin(origin)
            return Response.error(403, "Origin not allowed")
        if origin is None and not is_page and self._is_foreign(request):
            self._telemetry.refused_origins += 1
            self._refusals.tell_cross_site(request.path)
            return Response.error(403, "Cross-site request not allowed")
        if not needs_token:
            return None
        refusal = self._refusal_of_token(request)
        if refusal is None and request.head is not None and not is_page:
            self._remember(request, request.head)
        return refusal

    def is_slowed(self, address: str) -> bool:
        """Return whether the clients of an address have to wait before they present a token."""
        return self._seconds_to_wait(group_of(address), self._clock_seconds()) > 0

    def refusal_of_page(self, request: Request) -> Response | None:
        """Return the response that refuses a GET write to a page; None if no page sent it.

        Not even an admitted page needs them, and a page that an admitted one shows could send them
        too. Of requests without an origin, those of this server's own pages are let through.
        """
        refusal = self._refusal_of_host(request)
        if refusal is not None:
            return refusal
        site = request.headers.get("sec-fetch-site", "none")
        if "origin" not in request.headers and site in _OWN_SITES:
            return None
        self._telemetry.refused_origins += 1
        self._refusals.tell_get_write_of_page(request.headers.get("origin", site))
        return Response.error(403, "GET writes are not for pages: use fetch() with another method")

    @property
    def has_get_secrets(self) -> bool:
        """Whether there is a secret for GET writes."""
        return self._tokens.have_get_secrets

    def refusal_of_get_secret(self, request: Request, secret: bytes) -> Response | None:
        """Return the response that refuses a secret for GET writes; None if it is right.

        The request then has its ``grant`` set. A wrong one counts like a wrong token.
        """
        refusal = self._refusal_of(request, [(self._tokens.grant_of_get_secret, secret)])
        if refusal is not None and refusal.status == _UNAUTHORIZED:
            # 401 would ask for a token (RFC 9110, 15.5.2), which is of no use here.
            return Response.error(403, _WRONG_SECRET)
        return refusal

    def allows_host(self, host: str, *, is_shared: bool = False) -> bool:
        """Return whether a request with this Host header may be admitted.

        ``is_shared``: it came where the server is shared, and so needs a token.
        """
        authority = read_host(host)
        if authority is None:
            return False
        settings, name = self._settings, authority.host.rstrip(".")
        if is_loopback_host(name) or settings.allow_hosts & {name, ANY_HOST}:
            return True
        if settings.is_loopback and not is_shared:
            return False
        return (
            self._tokens.are_needed
            or is_shared
            or _is_address(name)
            or name in self._own_names
            or (_is_private_name(name))
        )

    def allows_origin(self, origin: str, host: str | None) -> bool:
        """Return whether a page of an origin may use the server reached at ``host`` (Host)."""
        allowed = self._settings.allow_origins
        if origin in allowed or ANY_ORIGIN in allowed or origin == OBS_ORIGIN:
            return True
        if origin in DISK_ORIGINS:
            return self.disk_pages.are_let_in
        parsed = read_origin(origin)
        return parsed is not None and (
            is_loopback_host(parsed.host) or _is_same_origin(origin, host)
        )

    def refusal_of_decision(self, request: Request) -> Response | None:
        """Return the response that refuses an admitted request the decision on pages from disk.

        Return None if it may decide. Only the server's own pages may, neither other pages of this
        machine nor origins admitted by a setting. The JSON type forces a preflight for any other
        page. Without a token the host must be an address or loopback: no foreign name server can
        point these here.
        """
        host = request.headers.get("host", "")
        if not _is_same_origin(request.headers.get("origin", ""), host):
            return Response.error(403, "Only a page of this server may decide that")
        authority = read_host(host)
        if authority is None or not (self._tokens.are_needed or _is_address(authority.host)):
            return Response.error(403, "Open the test page by the server's address to decide that")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            return Response.error(400, "Content-Type must be application/json")
        return None

    def refused_origins(self) -> list[RefusedOrigin]:
        """Return the origins that were refused, the latest first."""
        return sorted(self._refused.values(), key=lambda one: one.last_at_ms, reverse=True)

    def refusals_from_disk(self) -> int:
        """Return how often pages opened from disk were refused."""
        return sum(one.count for one in self._refused.values() if one.origin in DISK_ORIGINS)

    def cors_headers(self, request: Request, *, is_page: bool) -> dict[str, str]:
        """Return headers that let the requesting page, which was admitted, read the answer.

        They also keep the answer from pages of other sites. The policy (Fetch standard,
        Cross-Origin-Resource-Policy) applies to requests without CORS, also in browsers that send
        no Sec-Fetch-Site.
        """
        origin = request.headers.get("origin")
        is_for_all = is_page or origin is not None or self._lets_all_in
        headers = {
            "Vary": "Origin",
            "Cross-Origin-Resource-Policy": "cross-origin" if is_for_all else "same-origin",
        }
        if origin is not None:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = "ETag"
        return headers

    def framing_headers(self) -> dict[str, str]:
        """Return headers that forbid pages that are not admitted to frame the user's own pages.

        A framing page could trick a user into clicking (CSP, ``frame-ancestors``). The OBS loader
        page is a file on disk, so ``file:`` may frame; it does not match a sandboxed frame of a web
        site, whose origin is "null" too. If such frames are admitted, nothing is forbidden.
        """
        if self._lets_all_in:
            return {}
        allowed = self._settings.allow_origins
        named = sorted(origin for origin in allowed if _IN_A_POLICY(origin))
        ancestors = ["'self'", "file:", *_LOOPBACK_ANCESTORS, OBS_ORIGIN, *named]
        return {"Content-Security-Policy": f"frame-ancestors {' '.join(ancestors)}"}

    def preflight(self, request: Request, methods: str) -> Response:
        """Answer OPTIONS of an admitted page (Fetch standard, CORS preflight)."""
        headers = {"Allow": methods}
        if "access-control-request-method" in request.headers:
            headers["Access-Control-Allow-Methods"] = methods
            headers["Access-Control-Allow-Headers"] = _allowed_headers(request)
            headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
            if "access-control-request-private-network" in request.headers:
                headers["Access-Control-Allow-Private-Network"] = "true"
        return Response(204, headers=headers)

    def wants_token(self, request: Request) -> bool:
        """Return whether a request needs a token: all do if the server has tokens.

        Where it is shared they do even after its end, when no token is right: a connection may
        outlast the listener.
        """
        return self._tokens.are_needed or request.is_shared

    def shows_token(self, request: Request) -> bool:
        """Return whether a request presents a token or a cookie, right or wrong."""
        return bool(self._presented_tokens(request))

    def session(self, request: Request, token: str) -> Response:
        """Answer a page's token with the cookie that stands for it, or with a refusal."""
        refusal = self._refusal_of(request, [(self._tokens.grant_of, token.encode())])
        if refusal is not None:
            return refusal
        return Response(204, headers={"Set-Cookie": self._cookie(self._tokens.cookie_of(token))})

    def refusal_of_secret(
        self, request: Request, secret: str, find: Callable[[bytes], Grant | None]
    ) -> Response | None:
        """Return the response that refuses a secret that ``find`` looks up; None if it is right.

        The request then has its ``grant`` set. A wrong one counts like a wrong token.
        """
        return self._refusal_of(request, [(find, secret.encode())])

    def cookie_of_grant(self, grant: Grant) -> str | None:
        """Return the Set-Cookie value that signs a browser in; None if its token is gone."""
        value = self._tokens.cookie_of_grant(grant)
        return None if value is None else self._cookie(value)

    def expired_cookie(self) -> str:
        """Return the Set-Cookie value that deletes the session cookie."""
        return f"{self._cookie_name}=; Max-Age=0; {self._cookie_attributes()}"

    @property
    def _lets_all_in(self) -> bool:
        """Whether a page of any site can be admitted: a sandboxed one looks like one from disk."""
        return ANY_ORIGIN in self._settings.allow_origins or self.disk_pages.are_let_in

    def _refusal_of_host(self, request: Request) -> Response | None:
        host = request.headers.get("host")
        if host is None and not request.is_http_1_0:
            return Response.error(400, "Missing Host header")  # RFC 9112, 3.2
        if host is not None and not self.allows_host(host, is_shared=request.is_shared):
            self._report_host(host)
            return Response.error(403, "Host not allowed")
        return None

    def _is_foreign(self, request: Request) -> bool:
        """Return whether Sec-Fetch-Site names another site (Fetch Metadata, 2.3)."""
        site = request.headers.get("sec-fetch-site", "none")
        return site not in _OWN_SITES and not self._lets_all_in

    def _cookie(self, value: str) -> str:
        return f"{self._cookie_name}={value}; {self._cookie_attributes()}"

    def _cookie_attributes(self) -> str:
        secure = "; Secure" if self._settings.is_encrypted else ""
        return f"HttpOnly; SameSite=Strict; Path=/{secure}"

    def _refusal_of_token(self, request: Request) -> Response | None:
        if not self.wants_token(request):
            request.grant = EVERYTHING
            return None
        return self._refusal_of(request, self._presented_tokens(request))

    def _presented_tokens(self, request: Request) -> list[_PresentedToken]:
        """Return all tokens and cookies that a request presents.

        Another server of this host can have set a cookie of the same name: the request is admitted
        if any of them is right.
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
        """Look tokens and cookies up, unless their sender presented too many wrong ones."""
        if not presented:
            return self._unauthorized()
        group, now = group_of(request.address), self._clock_seconds()
        seconds = self._seconds_to_wait(group, now)
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

    def _seconds_to_wait(self, group: str, now: float) -> float:
        # Behind a proxy that is no setting, all clients look like programs of this machine. If
        # these were slowed down, one client could lock out all others.
        return 0.0 if group == NOBODY else self._token_rate_limiter.seconds_to_wait(group, now)

    def _remember(self, request: Request, head: KnownHead) -> None:
        """Remember that requests with a header block were admitted, until `state` changes.

        A wrong token before the right one counts each time, so such a block is decided on anew.
        """
        has_token = self.wants_token(request)
        if has_token:
            find, secret = self._presented_tokens(request)[0]
            if find(secret) is not request.grant:
                return
        lines = [
            f"{name}: {value}\r\n"
            for name, value in self.cors_headers(request, is_page=False).items()
        ]
        head.admitted = AdmittedHead(
            self.state.number,
            request.grant,
            "".join(lines).encode("latin-1"),
            is_shared=request.is_shared,
            has_token=has_token,
        )

    def _unauthorized(self) -> Response:
        self._telemetry.refused_tokens += 1
        return Response.error(_UNAUTHORIZED, "Unauthorized", {"WWW-Authenticate": "Bearer"})

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
            # Pages from disk are always recorded: the test page offers to admit them.
            if len(self._refused) >= _ORIGINS_KEPT_MAX and name not in DISK_ORIGINS:
                return
            refused = self._refused[name] = RefusedOrigin(name)
        refused.count += 1
        refused.last_at_ms = time.time_ns() // 1_000_000


def _allowed_headers(request: Request) -> str:
    """Return the headers that an admitted page may send: those it asks for, and those used here.

    Frameworks add headers such as X-Requested-With; the server ignores them.
    """
    asked = [
        name.strip()
        for name in request.headers.get("access-control-request-headers", "").split(",")
    ]
    known = {name.lower() for name in _KNOWN_HEADERS}
    added = [name for name in asked if _HEADER_NAME(name) and name.lower() not in known]
    return ", ".join([*_KNOWN_HEADERS, *dict.fromkeys(added)])


def _is_same_origin(origin: str, host: str | None) -> bool:
    """Return whether a page of an origin came from the server reached at ``host``."""
    scheme, _, parsed = origin.partition("://")
    # Behind a proxy that terminates TLS, a server that speaks http has https pages.
    return scheme in ("http", "https") and bool(host) and parsed.lower() == (host or "").lower()


def _is_private_name(name: str) -> bool:
    """Return whether no public name server can answer for a name.

    These are single labels, and the domains that RFC 6762 (``.local``), RFC 8375 and ICANN reserve
    for private networks.
    """
    return bool(name) and ("." not in name or name.endswith(_PRIVATE_DOMAINS))


def _is_address(name: str) -> bool:
    """Return whether a host is an IP address or a loopback name."""
    if is_loopback_host(name):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
