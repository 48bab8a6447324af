"""The admission rules for origins, hosts and tokens."""

import pytest

from dunena.server.access.admission import Admission
from dunena.server.access.tokens import Tokens
from dunena.server.http.message import Request
from dunena.settings import Settings, is_loopback_host
from dunena.telemetry import Telemetry


def admission(**settings: object) -> Admission:
    return Admission(Settings(**settings), 3000, Telemetry(0))


def status(rules: Admission, *, needs_token: bool = True, **headers: str) -> int:
    named = {"host": "localhost:3000"} | {k.replace("_", "-"): v for k, v in headers.items()}
    refusal = rules.refusal(Request(headers=named), needs_token=needs_token)
    return 200 if refusal is None else refusal.status


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("http://localhost", True),
        ("https://localhost:8443", True),
        ("http://app.localhost:5173", True),
        ("http://127.0.0.1:5173", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:5173", True),
        ("http://absolute", True),
        ("https://absolute", False),
        ("http://absolute.example", False),
        ("null", False),
        ("http://example.com", False),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://127.1", False),
        ("file://", False),
        ("chrome-extension://abc", False),
        ("http://", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_a_request_is_admitted_or_refused_by_its_origin(origin: str, allowed: bool) -> None:
    assert status(admission(), origin=origin) == (200 if allowed else 403)


@pytest.mark.parametrize(
    ("site", "is_page", "allowed"),
    [
        ("cross-site", False, False),
        ("same-site", False, False),
        ("anything", False, False),
        ("same-origin", False, True),
        ("none", False, True),
        ("cross-site", True, True),
        ("same-site", True, True),
    ],
)
def test_a_cross_site_request_without_an_origin_gets_pages_only(
    site: str, is_page: bool, allowed: bool
) -> None:
    request = Request(headers={"host": "localhost", "sec-fetch-site": site})
    refusal = admission().refusal(request, needs_token=False, is_page=is_page)
    assert (refusal is None) == allowed
    for origin in ("http://absolute", "http://localhost:5173"):
        assert status(admission(), sec_fetch_site=site, origin=origin) == 200
    for open_to_all in ("*", "null"):
        rules = admission(allow_origins=frozenset({open_to_all}))
        assert status(rules, sec_fetch_site=site) == 200


def test_the_cross_origin_resource_policy_follows_the_admission_rules() -> None:
    def policy(rules: Admission, *, is_page: bool, **headers: str) -> str:
        answer = rules.cors_headers(Request(headers=headers), is_page=is_page)
        return answer["Cross-Origin-Resource-Policy"]

    assert policy(admission(), is_page=False) == "same-origin"
    assert policy(admission(), is_page=True) == "cross-origin"
    assert policy(admission(), is_page=False, origin="http://absolute") == "cross-origin"
    rules = admission(allow_origins=frozenset({"null"}))
    assert policy(rules, is_page=False) == "cross-origin"


def test_a_same_origin_request_is_admitted_at_any_server_address() -> None:
    rules = admission(host="0.0.0.0", allow_hosts=frozenset({"show.example"}))
    assert status(rules, host="show.example:3000", origin="http://show.example:3000") == 200
    assert status(rules, host="show.example", origin="https://show.example") == 200
    assert status(rules, host="show.example:3000", origin="http://show.example:81") == 403
    assert status(rules, host="show.example:3000", origin="http://other.example:3000") == 403


def test_allow_origins_admits_only_the_listed_origins() -> None:
    rules = admission(allow_origins=frozenset({"https://a.example", "null"}))
    assert status(rules, origin="https://a.example") == 200
    assert status(rules, origin="null") == 200
    assert status(rules, origin="https://b.example") == 403
    assert status(admission(allow_origins=frozenset({"*"})), origin="https://b.example") == 200


def test_every_refused_origin_is_counted_and_the_first_is_logged(caplog) -> None:
    telemetry = Telemetry(0)
    rules = Admission(Settings(), 3000, telemetry)
    for _ in range(3):
        status(rules, origin="https://a.example")
    assert telemetry.refused_origins == 3
    (record,) = caplog.records
    assert "--allow-origin https://a.example" in record.getMessage()


@pytest.mark.parametrize(
    ("host", "bound_to", "expected"),
    [
        ("localhost:3000", "127.0.0.1", 200),
        ("LOCALHOST.", "127.0.0.1", 200),
        ("127.0.0.1:3000", "localhost", 200),
        ("[::1]:3000", "::1", 200),
        ("rebound.example:3000", "127.0.0.1", 403),
        ("192.168.1.5:3000", "127.0.0.1", 403),
        ("", "127.0.0.1", 403),
    ],
)
def test_a_server_on_loopback_requires_a_loopback_host(
    host: str, bound_to: str, expected: int
) -> None:
    assert status(admission(host=bound_to), host=host) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.168.1.5:3000", 200),
        ("[fd00::5]:3000", 200),
        ("localhost:3000", 200),
        ("show-pc:3000", 200),
        ("Show-PC.local.", 200),
        ("show.home.arpa", 200),
        ("dunena.internal:3000", 200),
        ("named.example:3000", 200),
        ("NAMED.example.", 200),
        ("rebound.example:3000", 403),
        ("192.168.1.5.example", 403),
        ("local", 200),
        ("evil-local", 200),  # one label: no public name
        ("evil.notlocal", 403),
        ("", 403),
    ],
)
def test_a_server_on_the_network_admits_only_local_and_allowed_host_names(
    host: str, expected: int
) -> None:
    named = frozenset({"named.example"})
    assert status(admission(host="0.0.0.0", allow_hosts=named), host=host) == expected
    page = f"http://{host}"
    assert status(admission(host="0.0.0.0", allow_hosts=named), host=host, origin=page) == expected


def test_a_token_or_a_wildcard_admits_any_host_name() -> None:
    sent = {"host": "studio.example", "authorization": "Bearer t"}
    assert status(admission(host="0.0.0.0", token="t"), **sent) == 200
    assert status(admission(host="0.0.0.0", allow_hosts=frozenset({"*"})), **sent) == 200
    assert status(admission(host="0.0.0.0"), **sent) == 403


def test_a_server_answers_to_the_name_it_is_bound_to() -> None:
    assert status(admission(host="studio.example"), host="studio.example:3000") == 200


def test_allow_hosts_adds_a_host_name_on_loopback() -> None:
    rules = admission(allow_hosts=frozenset({"proxied.example"}))
    assert status(rules, host="proxied.example") == 200


@pytest.mark.parametrize("bound_to", ["0.0.0.0", "127.0.0.1", "localhost"])
def test_every_refused_host_is_counted_and_the_first_is_logged(caplog, bound_to: str) -> None:
    telemetry = Telemetry(0)
    rules = Admission(Settings(host=bound_to), 3000, telemetry)
    for _ in range(3):
        status(rules, host="rebound.example:3000")
    assert telemetry.refused_hosts == 3
    (record,) = caplog.records
    assert "--allow-host rebound.example" in record.getMessage()


def test_refused_cross_site_requests_without_an_origin_are_logged_once(caplog) -> None:
    rules = admission()
    for _ in range(3):
        status(rules, sec_fetch_site="cross-site")
    (record,) = caplog.records
    assert "crossorigin" in record.getMessage()


def test_a_missing_host_is_refused_except_in_http_1_0() -> None:
    rules = admission()
    refusal = rules.refusal(Request(), needs_token=True)
    assert refusal is not None
    assert refusal.status == 400
    assert rules.refusal(Request(is_http_1_0=True), needs_token=True) is None


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
        ("Bearer  s3cret ", 200),
        ("Bearer wrong", 401),
        ("Bearer s3cretx", 401),
        ("Bearer", 401),
        ("Basic s3cret", 401),
        ("s3cret", 401),
        ("", 401),
    ],
)
def test_a_request_that_needs_a_token_is_checked_against_it(
    authorization: str, expected: int
) -> None:
    rules = admission(token="s3cret")
    assert status(rules, authorization=authorization) == expected
    assert status(rules, needs_token=False, authorization=authorization) == 200


def test_a_token_may_contain_non_ascii_characters() -> None:
    rules = admission(token="schl\u00fcssel")
    sent = "schl\u00fcssel".encode().decode("latin-1")  # as the parser hands headers over
    assert status(rules, authorization=f"Bearer {sent}") == 200


def test_the_session_cookie_hides_its_token_and_is_accepted_for_that_token_only() -> None:
    rules = admission(token="s3cret")
    cookie = rules.session(Request(), "s3cret").headers["Set-Cookie"]
    assert "s3cret" not in cookie
    assert "HttpOnly; SameSite=Strict" in cookie
    pair = cookie.split(";")[0]
    assert status(rules, cookie=f"theme=dark; {pair}") == 200
    assert status(rules, cookie=pair[:-1]) == 401
    assert status(rules, cookie=f"{pair[:-1]}; {pair}") == 200, "another server's, and ours"
    assert status(rules, cookie=pair, authorization="Bearer wrong") == 200
    assert status(rules, cookie="dunena_session_3000=") == 401
    assert status(admission(token="other"), cookie=pair) == 401
    assert status(rules, cookie=rules.expired_cookie().split(";")[0]) == 401


@pytest.mark.parametrize(
    ("allowed", "named"),
    [
        (set(), ""),
        ({"https://b.example", "https://a.example"}, " https://a.example https://b.example"),
        ({"https://a.example; script-src *", "a.example"}, ""),
    ],
)
def test_frame_ancestors_lists_the_admitted_origins(allowed: set[str], named: str) -> None:
    policy = admission(allow_origins=frozenset(allowed)).framing_headers()
    loopback = "http://localhost:* https://localhost:* http://127.0.0.1:* https://127.0.0.1:*"
    assert policy == {
        "Content-Security-Policy": f"frame-ancestors 'self' file: {loopback} http://absolute{named}"
    }


@pytest.mark.parametrize("origin", ["*", "null"])
def test_no_framing_header_is_sent_when_null_or_all_origins_are_allowed(origin: str) -> None:
    assert admission(allow_origins=frozenset({origin})).framing_headers() == {}


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.255.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("a.localhost", True),
        ("notlocalhost", False),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_is_loopback_host_recognizes_loopback_names_and_addresses(
    host: str, loopback: bool
) -> None:
    assert is_loopback_host(host) == loopback


# --- shared on the network ---


def test_what_comes_in_where_the_server_is_shared_needs_a_token() -> None:
    tokens = Tokens()
    tokens.share("guest")
    rules = Admission(Settings(), 3000, Telemetry(0), tokens=tokens)

    def status_of(*, is_shared: bool, **headers: str) -> int:
        request = Request(headers={"host": "192.168.1.10:3000", **headers}, is_shared=is_shared)
        refusal = rules.refusal(request, needs_token=True)
        return 200 if refusal is None else refusal.status

    assert status_of(is_shared=True) == 401
    assert status_of(is_shared=True, authorization="Bearer guest") == 200
    assert status_of(is_shared=True, host="phone-sees-this.example") == 401
    assert status_of(is_shared=False) == 403, "on this machine the host is loopback, as before"
    assert status_of(is_shared=False, host="localhost:3000") == 200
    tokens.share(None)
    assert status_of(is_shared=True) == 401, "a connection that outlasts the listener"
    assert status_of(is_shared=True, authorization="Bearer guest") == 401
    assert status_of(is_shared=False, host="localhost:3000") == 200


@pytest.mark.parametrize(
    ("method", "headers", "is_navigation"),
    [
        ("GET", {"accept": "text/html,*/*;q=0.8"}, True),
        ("HEAD", {"accept": "text/html"}, True),
        ("POST", {"accept": "text/html"}, False),
        ("GET", {"accept": "*/*"}, False),
        ("GET", {}, False),
        ("GET", {"accept": "text/html", "sec-fetch-mode": "navigate"}, True),
        ("GET", {"accept": "text/html", "sec-fetch-mode": "no-cors"}, False),
        ("GET", {"accept": "text/html", "sec-fetch-dest": "iframe"}, False),
    ],
)
def test_a_navigation_is_told_from_other_requests(
    method: str, headers: dict[str, str], is_navigation: bool
) -> None:
    assert Request(method, "/www/", headers).is_navigation is is_navigation


@pytest.mark.parametrize("path", ["/invite/c2VjcmV0", "/do/c2VjcmV0/incr/k"])
def test_a_secret_in_a_path_is_not_shown(path: str) -> None:
    assert "c2VjcmV0" not in Request(target=path).shown_path
