"""GET writes without a socket: what happens when nothing can be stored, and what is logged."""

import pytest

from dunena.dialects.message_stats import MessageStats
from dunena.dialects.services import Services
from dunena.dialects.views import Views
from dunena.hub import Hub
from dunena.server.access.admission import Admission
from dunena.server.access.tokens import Tokens
from dunena.server.get_writes import GetWrites
from dunena.server.http.message import Request, Response
from dunena.settings import Settings
from dunena.store.store import Store
from dunena.telemetry import Telemetry

NOW = 1_700_000_000_000
SECRET = "the-secret-of-the-server"


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def get_writes(store: Store) -> GetWrites:
    tokens = Tokens()
    tokens.add_get_secret(SECRET)
    admission = Admission(Settings(), 3000, Telemetry(0), tokens=tokens)
    return GetWrites(Views(Services(store, store, Hub())), admission, MessageStats())


def respond(get_writes: GetWrites, address: str, now: int = NOW) -> Response:
    request = Request(target=f"/do/{SECRET}{address}", headers={"host": "localhost:3000"})
    return get_writes.respond(request, now)


def test_a_change_that_cannot_be_stored_is_507_as_text(get_writes: GetWrites, store: Store) -> None:
    store.refusal = "No space left on device"
    response = respond(get_writes, "/set/k?value=1")
    assert response.status == 507
    assert response.body == b"Storage error: No space left on device; nothing was stored"
    store.refusal = None
    assert respond(get_writes, "/set/k?value=1").status == 200


def test_a_running_timer_shows_what_it_shows_at_the_servers_time(get_writes: GetWrites) -> None:
    assert respond(get_writes, "/timer/clock?do=start&ms=300000&rate=-1").body == b"5:00"
    assert respond(get_writes, "/timer/clock?do=stop", NOW + 61_000).body == b"3:59"
    nested = respond(get_writes, "/timer/match?do=set&ms=90000&path=/clock")
    assert nested.body == b"1:30"


def test_the_path_that_is_logged_has_no_secret() -> None:
    assert Request(target=f"/do/{SECRET}/set/k?value=1").shown_path == "/do/..."
    assert Request(target="/get/k?ns=x").shown_path == "/get/k"


def test_a_path_and_an_origin_are_shown_short_and_without_control_characters() -> None:
    # A request target has no control characters below 128, and may have those above.
    assert Request(target="/get/\x9b31m\x85\xe9").shown_path == r"/get/\x9b31m\x85\xe9"
    assert len(Request(target="/" + "x" * 60_000).shown_path) == 300
    assert len(Request(headers={"origin": "http://" + "x" * 60_000}).origin) == 300
