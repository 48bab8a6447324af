"""Quick answers: the routes give the same, to the same requests, in the same state."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects.views import Views
from dunena.server.access.admission import Admission
from dunena.server.access.null_origin import NullOriginPolicy
from dunena.server.access.peers import Proxies
from dunena.server.access.refusals import Refusals
from dunena.server.access.tokens import Tokens
from dunena.server.compression import Compressors
from dunena.server.context import Context
from dunena.server.http.connection import HttpConnection
from dunena.server.http_date import HttpDate
from dunena.server.quick_answers import ANSWER_BYTES_MAX, ANSWERS_MAX, QuickAnswers
from dunena.server.registry import Registry
from dunena.server.routes import Routes
from dunena.settings import Settings
from tests.support.rooms import FlakyEngine, Rooms
from tests.unit.test_http_connection import HttpTransport
from tests.unit.test_websocket_connection import StillLoop

HOST = {"Host": "localhost"}
TOKEN = {**HOST, "Authorization": "Bearer right"}


class RemoteTransport(HttpTransport):
    """A transport to another machine."""

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.1", 5000) if name == "peername" else None


class World:
    """A server with one connection, with quick answers or without."""

    def __init__(self, *, is_quick: bool, **settings: Any) -> None:
        self.engine = FlakyEngine()
        self.rooms = Rooms(engine=self.engine)
        given = Settings(**settings)
        self.tokens = Tokens(given.token, given.tokens)
        self.disk_pages = NullOriginPolicy(None)
        self.admission = Admission(
            given, 3000, self.rooms.telemetry, self.disk_pages, tokens=self.tokens
        )
        self.views = Views(self.rooms.services)
        loop: Any = StillLoop()
        nobody: Any = None
        no_files: Any = SimpleNamespace(constant={}, loader=None)
        date = HttpDate()
        self.quick = QuickAnswers(self.views, self.admission, date) if is_quick else None
        self.context = Context(
            loop=loop,
            settings=given,
            views=self.views,
            tick=self.rooms.tick,
            sessions=self.rooms.sessions_on(loop),
            bulk=nobody,
            admission=self.admission,
            routes=Routes(
                self.views,
                self.admission,
                *(nobody, nobody, nobody, {}, no_files, nobody, nobody, nobody, nobody),
            ),
            registry=Registry(loop, 1000),
            refusals=Refusals(given, 3000),
            proxies=Proxies([]),
            telemetry=self.rooms.telemetry,
            compressors=Compressors(),
            pacer=self.rooms.pacer,
            new_id=lambda: "id",
            date=date.text,
            quick=self.quick,
        )
        self.connect()

    def connect(self) -> None:
        self.transport = RemoteTransport()
        transport: Any = self.transport
        self.connection = HttpConnection(self.context)
        transport.set_protocol(self.connection)
        self.connection.connection_made(transport)

    def answer(self, *requests: bytes) -> list[tuple[str, list[str], str]]:
        """Send requests in one piece each; the answers, with the headers in no order."""
        before = len(self.transport.written)
        for request in requests:
            self.connection.data_received(request)
            self.rooms.tick.end()
        return answers_in(bytes(self.transport.written[before:]))


def answers_in(written: bytes) -> list[tuple[str, list[str], str]]:
    answers = []
    while written:
        head, _, written = written.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        assert len({line.partition(":")[0].lower() for line in lines}) == len(lines)
        lengths = [int(line[16:]) for line in lines if line.startswith("Content-Length: ")]
        size = sum(lengths)
        body, written = written[:size], written[size:]
        answers.append((first, sorted(x for x in lines if x[:6] != "Date: "), body.decode()))
    return answers


def request(
    method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
) -> bytes:
    """A request; a body that is no bytes is sent as JSON."""
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (headers or HOST).items()]
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    if body is not None:
        lines.append(f"Content-Length: {len(data)}")
    return "\r\n".join([*lines, "", ""]).encode() + data


def pair(**settings: Any) -> tuple[World, World]:
    """Two servers alike but for the quick answers, to which both kinds of requests were sent."""
    worlds = World(is_quick=True, **settings), World(is_quick=False, **settings)
    headers = TOKEN if settings else HOST
    for world in worlds:
        for _ in range(2):  # the second body is admitted by a head that is known
            world.answer(
                request("PUT", "/kv/-", 1, headers), request("GET", "/get/-", None, headers)
            )
    return worlds


KEYS = ["a", "b", "a b", "ü", "%FF", "a/b", "", "x" * 513, "+", "a?ns=n", "a?x=1", "-"]
TARGETS = [
    *(f"{path}{key}" for path in ("/get/", "/kv/", "/cache/") for key in KEYS),
    *("/set", "/set?ns=n", "/kv", "/get", "/txn", "/nothing", "//kv/a", "/kv/a?path=/b"),
]
BODIES = [
    *(None, b"", b"1", b"nonsense", b'"\xff"', b'\xef\xbb\xbf{"a":1}', b'{"a":1,"a":2}', b"-0"),
    *({"key": "a", "value": 1}, {"key": "b", "value": None}, {"key": 5, "value": 1}, {"key": "a"}),
    *({"key": "", "value": 1}, {"key": "a", "value": 1, "ns": "n"}, {"value": 1}, [1], "text"),
    *({"key": "a", "value": 1, "ttl": 5}, {"key": "a", "value": 1, "ifRev": 3}, b"[" * 2000),
    *({"key": "\x00", "value": 1}, {"key": "x" * 513, "value": 1}, {"key": "a", "path": "/b"}),
]
HEADERS = [
    *({}, {"Origin": "http://localhost:5173"}, {"Origin": "http://other.example"}),
    *({"If-None-Match": "*"}, {"If-Match": '"0000000000-1"'}, {"If-Match": "wrong"}),
    *({"Content-Type": "text/plain"}, {"Content-Type": "application/json"}),
    *({"Idempotency-Key": "once"}, {"Sec-Fetch-Site": "cross-site"}, {"Connection": "close"}),
]
REQUESTS = st.builds(
    request,
    st.sampled_from(["GET", "PUT", "POST", "HEAD", "DELETE", "OPTIONS", "PATCH"]),
    st.sampled_from(TARGETS),
    st.sampled_from(BODIES),
    st.sampled_from(HEADERS).map(lambda more: HOST | more),
)


@given(st.lists(REQUESTS | st.sampled_from([request("GET", "/kv/a"), request("PUT", "/kv/a", 1)])))
def test_the_routes_answer_the_same(requests: list[bytes]) -> None:
    quick, slow = pair()
    for one in requests:
        assert quick.answer(one) == slow.answer(one), one
        assert quick.transport.ends == slow.transport.ends
        if quick.transport.ends:
            quick.connect()
            slow.connect()
    for world in (quick, slow):
        world.rooms.tick.end()
    assert facts(quick) == facts(slow)


def facts(world: World) -> dict[str, Any]:
    """What a server has, and what it has counted."""
    services, telemetry = world.rooms.services, world.rooms.telemetry
    store = services.unrestricted_store
    return {
        "entries": [(e.ns, e.key, e.value, e.revision, e.expires_at) for e in store.entries()],
        "counts": (store.revision, store.hits, store.misses, telemetry.http_requests),
        "refused": (telemetry.refused_origins, telemetry.refused_tokens, telemetry.refused_tries),
        "errors": (services.stats.over_limit, services.stats.forbidden),
    }


@pytest.mark.parametrize(
    ("one", "status"),
    [
        (request("GET", "/get/a"), "200"),
        (request("GET", "/kv/-"), "200"),
        (request("POST", "/set", {"key": "a", "value": [1]}), "200"),
        (request("PUT", "/kv/a", 1), "201"),
        (request("PUT", "/kv/-", 1), "204"),
    ],
)
def test_there_is_a_quick_answer_to_a_known_head(one: bytes, status: str) -> None:
    quick, slow = pair()
    routes: Any = quick.context.routes
    routes.respond = None  # nobody asks it
    assert quick.answer(one) == slow.answer(one)
    assert slow.answer(one)[0][0].split(" ")[1] in (status, "204")


def test_a_write_is_seen_at_once() -> None:
    quick, _ = pair()
    for value in range(3):
        quick.answer(request("PUT", "/kv/a", value))
        assert quick.answer(request("GET", "/kv/a"))[0][2] == str(value)
        assert quick.answer(request("GET", "/get/a"))[0][2] == f'{{"key":"a","value":{value}}}'


def test_a_change_that_cannot_be_stored_is_refused_the_same() -> None:
    for one in (request("PUT", "/kv/a", 1), request("POST", "/set", {"key": "a", "value": 1})):
        quick, slow = pair()
        for world in (quick, slow):
            world.engine.reason = "disk full"
        refused = quick.answer(one)
        assert refused == slow.answer(one)
        assert refused[0][0].startswith("HTTP/1.1 507")
        assert quick.answer(request("GET", "/get/a")) == slow.answer(request("GET", "/get/a"))


def test_a_token_that_is_no_longer_valid_is_refused_at_once(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text('[one]\ntoken = "right"\nrights = ["read", "write"]\n')
    quick, slow = pair(tokens=file)
    one = request("GET", "/kv/-", None, TOKEN)
    assert quick.answer(one) == slow.answer(one)
    assert quick.answer(one)[0][0] == "HTTP/1.1 200 OK"
    for rights, status in (('"write"', "403 Forbidden"), ('"read"', "200 OK")):
        file.write_text(f'[one]\ntoken = "right"\nrights = [{rights}]\n\n')
        os.utime(file, (0, len(rights)))
        for world in (quick, slow):
            assert world.tokens.reload_if_changed()
            world.views.keep(world.tokens.grants)
        for _ in range(3):
            assert quick.answer(one) == slow.answer(one)
        assert quick.answer(one)[0][0] == f"HTTP/1.1 {status}"
    file.write_text('[one]\ntoken = "other"\nrights = ["read"]\n')
    for world in (quick, slow):
        assert world.tokens.reload_if_changed()
    assert quick.answer(one) == slow.answer(one)
    assert quick.answer(one)[0][0] == "HTTP/1.1 401 Unauthorized"


def test_pages_from_disk_are_refused_at_once_when_they_are() -> None:
    quick, slow = pair()
    one = request("GET", "/kv/-", None, {**HOST, "Origin": "null"})
    for world in (quick, slow):
        world.disk_pages.choose(let_in=True)
    for _ in range(3):
        assert quick.answer(one) == slow.answer(one)
    assert quick.answer(one)[0][0] == "HTTP/1.1 200 OK"
    for world in (quick, slow):
        world.disk_pages.choose(let_in=False)
    assert quick.answer(one)[0][0] == "HTTP/1.1 403 Forbidden"


def test_who_guesses_tokens_is_slowed_down_with_a_right_one() -> None:
    quick, slow = pair(token="right")
    right = request("GET", "/kv/-", None, TOKEN)
    statuses = []
    for number in range(200):
        wrong = request("GET", "/kv/-", None, {**HOST, "Authorization": f"Bearer {number}"})
        assert quick.answer(wrong, right) == slow.answer(wrong, right)
        statuses.append(quick.answer(right)[0][0])
        slow.answer(right)
    assert statuses[0] == "HTTP/1.1 200 OK"
    assert statuses[-1] == "HTTP/1.1 429 Too Many Requests"
    assert facts(quick) == facts(slow)


def test_a_wrong_cookie_before_the_right_token_counts_each_time() -> None:
    quick, slow = pair(token="right")
    both = {**TOKEN, "Cookie": "dunena_session_3000=wrong"}
    cookie_first = {**HOST, "Authorization": "Bearer wrong", "Cookie": "dunena_session_3000=x"}
    for headers in (both, cookie_first):
        for _ in range(3):
            one = request("GET", "/kv/-", None, headers)
            assert quick.answer(one) == slow.answer(one)
    assert facts(quick) == facts(slow)


def test_only_so_many_answers_are_kept_and_none_that_is_long() -> None:
    quick, _ = pair()
    assert quick.quick is not None
    long = request("PUT", "/kv/long", "x" * ANSWER_BYTES_MAX)
    quick.answer(long, request("GET", "/kv/long"))
    kept = quick.quick._kv_answers.by_entry
    assert len(kept) == 0
    store = quick.rooms.services.unrestricted_store
    for number in range(ANSWERS_MAX + 5):
        quick.answer(request("PUT", f"/kv/{number}", number), request("GET", f"/kv/{number}"))
    assert store.entry_count > ANSWERS_MAX
    assert 0 < len(kept) <= ANSWERS_MAX
