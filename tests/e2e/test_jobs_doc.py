"""docs/recipes/jobs.md: each job does what its page says, in every language that it is written in.

Its HTML is tried in tests/browser/test_recipe_pages.py.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dunena
from tests.e2e.folders import until
from tests.protocol.clients import http, now_ms, open_objects
from tests.support.documents import ROOT, SECONDS_MAX
from tests.support.far import Far
from tests.support.node_client import NodeClient
from tests.support.server import ServerProcess

PAGE = (ROOT / "docs" / "recipes" / "jobs.md").read_text("utf-8")

_SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```([a-z]+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

JOBS = {title: _BLOCK.findall(text) for title, text in _SECTION.findall(PAGE)}
"""The code of each job: pairs of language and text."""

AT_ONCE = 5
"""How many do the same at the same moment."""


class Job:
    """A job of the page, on a server of its own; each block must be run at least once."""

    def __init__(self, title: str, server: ServerProcess, node: NodeClient) -> None:
        self.server = server
        self.node = node
        self._blocks = JOBS[title]
        self._not_run = Counter(language for language, _ in self._blocks if language != "html")

    def text(self, language: str) -> str:
        """The only block of a language."""
        (found,) = [text for one, text in self._blocks if one == language]
        self._not_run.pop(language, None)
        return found

    def javascript(self, part: int | None = None, *, and_then: str = "") -> Any:
        """Run it in a page's place, or a part up to an empty line; what ``and_then`` returns."""
        code = self.text("js")
        if part is not None:
            code = code.split("\n\n")[part]
        return self.node.run(
            f"""const {{ store, seen, open }} = state;
            const draw = (...shown) => seen.push(structuredClone(shown));
            {{ const connect = open;
            {code}
            {and_then} }}"""
        )

    def wait_for_drawn(self, *shown: Any) -> None:
        """Wait until the page has drawn this last."""
        wanted = json.dumps(json.dumps(shown, separators=(",", ":")))
        self.node.run(f"await until(() => JSON.stringify(state.seen.at(-1)) === {wanted})")

    def drawn(self) -> list[Any]:
        """All that the page has drawn."""
        return self.node.run("return state.seen")

    def python(self) -> None:
        """Run it below the line that the page names."""
        with dunena.sync.connect(self.server.url) as store:
            exec(self.text("python"), {"store": store})

    def shell(self) -> list[str]:
        """Run each command; what they printed."""
        environment = {**os.environ, "DUNENA_URL": self.server.ws_url}
        printed = []
        for command in self.text("sh").splitlines():
            words = [sys.executable, "-m", *shlex.split(command)]
            done = subprocess.run(
                words, env=environment, capture_output=True, timeout=SECONDS_MAX, check=True
            )
            printed.append(done.stdout.decode().strip())
        return printed

    def value(self, key: str) -> Any:
        """What is stored."""
        return http(self.server, "GET", f"/get/{key}").json["value"]

    def put(self, key: str, value: Any, **more: Any) -> None:
        """Set a value from elsewhere."""
        entry = {"key": key, "value": value, **more}
        assert http(self.server, "POST", "/set", entry).status == 200

    def remove(self, key: str) -> None:
        http(self.server, "DELETE", f"/cache/{key}")

    def expiry(self, key: str, ns: str = "") -> float:
        """In how many seconds a key expires, or its `then` is merged."""
        answer = http(self.server, "GET", f"/entries/{key}?ns={ns}").json
        return (answer["entry"]["expiresAt"] - answer["timestamp"]) / 1000

    def then(self, key: str) -> Any:
        """What is merged into the value of a key when its time comes."""
        return http(self.server, "GET", f"/entries/{key}").json["entry"]["then"]

    def assert_all_was_run(self) -> None:
        assert not self._not_run


@pytest.fixture
def job(
    request: pytest.FixtureRequest,
    server: ServerProcess,
    tmp_path: Path,
    node: Path,
    node_modules: Path,
) -> Iterator[Job]:
    """The job that the test's parameter names, with a page that is connected."""
    with NodeClient(node, node_modules, tmp_path / "client") as client:
        client.open(server.url)
        client.run(
            f"""state.seen = [];
            state.openAt = (url, options) => connect(url, {{ WebSocket, ...options }});
            state.open = (options) => state.openAt("{server.url}", options);"""
        )
        made = Job(request.param, server, client)
        yield made
        made.assert_all_was_run()


TESTED: set[str] = set()


def of(title: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Mark the test of a job, by its heading."""
    TESTED.add(title)
    return pytest.mark.parametrize("job", [title], indirect=True)


def test_each_of_the_ten_jobs_has_a_test():
    assert JOBS.keys() == TESTED
    assert len(JOBS) == 10
    languages = {language for blocks in JOBS.values() for language, _ in blocks}
    assert languages == {"js", "html", "python", "sh", "json"}


@of("A score and its scorer")
def test_score_and_scorer_change_in_one_frame(job: Job):
    job.javascript(and_then="state.goal = goal;")
    job.wait_for_drawn(0, 0, None)
    job.node.run(
        f"await Promise.all(Array.from({{ length: {AT_ONCE} }}, () => state.goal('home', 'Ada')));"
    )
    job.wait_for_drawn(AT_ONCE, 0, "Ada")
    assert [shown for shown in job.drawn() if (shown[2] is None) != (shown[:2] == [0, 0])] == []
    assert 0 < job.expiry("scorer") <= 8
    job.python()
    job.wait_for_drawn(AT_ONCE + 1, 0, "Ada")
    job.remove("scorer")
    job.wait_for_drawn(AT_ONCE + 1, 0, None)


@of("A countdown")
def test_a_countdown_is_three_writes(job: Job):
    job.javascript()
    timer = job.value("clock")["timer"]
    assert (timer["ms"] // 1000 in (309, 310), timer["rate"], timer["running"]) == (True, -1, True)
    assert abs(timer["at"] - now_ms()) < SECONDS_MAX * 1000
    assert job.node.run("return state.store.history('clock')")[0]["rev"] == 3
    job.python()
    assert job.value("clock")["timer"].items() >= {"ms": 300_000, "running": True}.items()


@of("A lower third")
def test_a_lower_third_goes_by_itself_or_when_told(job: Job):
    for show in (lambda: job.javascript(0), job.python):
        show()
        assert job.value("lower") == {"name": "Ada", "role": "Pilot", "on": True}
        assert 0 < job.expiry("lower") <= 8
        assert job.then("lower") == {"on": False}
    job.javascript(1)
    assert job.value("lower") == {"name": "Ada", "role": "Pilot", "on": False}
    assert http(job.server, "GET", "/entries/lower").json["entry"]["expiresAt"] is None
    job.python()
    # Its end is the server's: so it comes without anybody, here soon.
    with dunena.sync.connect(job.server.url) as store:
        store.touch("lower", 50, then={"on": False})
    until(lambda: job.value("lower")["on"] is False, "the end of the lower third")
    assert job.value("lower")["name"] == "Ada"


@of("Who is there")
def test_who_is_there_is_told_and_who_has_gone(job: Job):
    ada, bob = {"name": "Ada", "ready": True}, {"name": "Bob", "ready": True}
    job.javascript(and_then="state.lobby = lobby;")
    job.wait_for_drawn([ada])
    job.python()  # which ends after that
    drawn = "state.seen.map(([players]) => players.map(({ name }) => name).sort().join())"
    job.node.run(f"await until(() => {drawn}.includes('Ada,Bob'))")
    job.wait_for_drawn([ada])
    assert bob in [player for (players,) in job.drawn() for player in players]
    with open_objects(job.server) as other:
        other.send({"action": "watch", "pattern": "*", "ns": "lobby"})
        assert len(other.receive()["update"]["changes"]) == 1
        job.node.run("state.lobby.close()")
        assert other.receive()["update"]["changes"][0]["event"] == "delete"


@of("Sensors")
def test_sensors_appear_and_fall_silent(job: Job):
    job.javascript()
    job.wait_for_drawn({})
    job.python()
    job.wait_for_drawn({"sensor-1": {"celsius": 20.1}})
    assert 0 < job.expiry("sensor-1") <= 15
    job.remove("sensor-1")
    job.wait_for_drawn({})
    job.shell()
    job.wait_for_drawn({"sensor-1": {"celsius": 20.1}})
    assert 0 < job.expiry("sensor-1") <= 15
    drawn = len(job.drawn())
    for number in range(100):
        job.put("sensor-2", number, ttl=1000)
    job.wait_for_drawn({"sensor-1": {"celsius": 20.1}, "sensor-2": 99})
    assert len(job.drawn()) - drawn < 50
    job.wait_for_drawn({"sensor-1": {"celsius": 20.1}})


@of("A chat")
def test_a_chat_keeps_every_line_of_the_last_fifty(job: Job):
    line = {"from": "Ada", "text": "hi"}
    job.put("chat", list(range(50)))
    job.javascript()
    job.wait_for_drawn([*range(1, 50), line])
    job.python()
    job.wait_for_drawn([*range(2, 50), line, line])
    assert job.shell() == ["50"]
    job.wait_for_drawn([*range(3, 50), line, line, line])


@of("Votes")
def test_votes_all_count_and_are_drawn_now_and_then(job: Job):
    job.node.run(
        f"""const fail = async () => {{ throw Object.assign(new Error(), {{ code: "unknown" }}); }};
        const store = {{ incr: fail, watch: () => {{}} }};
        const draw = (text) => (state.said = text);
        {job.text("js")}"""
    )
    assert job.node.run("return state.said").startswith("Your vote may not have counted")
    job.javascript()
    job.wait_for_drawn({"red": 1})
    job.python()
    assert job.shell() == ["3"]
    with Far(job.server.port, 0.005) as link:
        job.node.run(
            f"""const store = state.openAt("http://127.0.0.1:{link.port}");
            const vote = () => store.incr("votes", 1, {{ path: "/red" }});
            state.votes = Promise.all(Array.from({{ length: 500 }}, vote));
            await until(() => store.status === "open");"""
        )
        for _ in range(3):
            link.cut()
            job.node.run("await until(() => state.seen.at(-1)[0].red > 3)")
        job.node.run("await state.votes")
    job.wait_for_drawn({"red": 503})
    assert len(job.drawn()) < 50


@of("Two operators")
def test_two_operators_keep_what_the_other_one_wrote(job: Job):
    job.put("rundown", {"title": "Show"})
    job.javascript()
    assert job.value("rundown") == {"title": "Show", "notes": "Ada is late", "next": 1}
    job.python()
    assert job.value("rundown") == {"title": "Show", "notes": "Ada is late", "next": 2}
    job.remove("rundown")
    with dunena.sync.connect(job.server.url) as store:
        exec(job.text("python").partition("\n")[2], {"store": store})
    assert job.value("rundown") == {"next": 1}
    # As the page has it, by several at once.
    job.node.run(
        f"""const stores = Array.from({{ length: {AT_ONCE} }}, () => state.open({{}}));
        await Promise.all(stores.map((store) => store.update("rundown",
          (rundown) => ({{ ...rundown, next: rundown.next + 1 }}))));
        stores.forEach((store) => store.close());"""
    )
    assert job.value("rundown")["next"] == 1 + AT_ONCE


@of("Undo")
def test_undo_brings_back_what_stood(job: Job):
    job.javascript()
    assert job.drawn() == [], "an empty store has nothing to undo"
    for name in ("Ada", "Bob"):
        job.put("match", name)
        wait_a_second(job)
    assert job.javascript(and_then="return now.value;") == "Bob"
    assert job.drawn()[0][0] == "Ada"
    assert job.value("match") == "Ada"
    wait_a_second(job)
    history, reverted = job.shell()
    assert [entry["value"] for entry in json.loads(history)] == ["Ada", "Bob"]
    assert (reverted, job.value("match")) == ('"Bob"', "Bob")


def wait_a_second(job: Job) -> None:
    """Wait until a key has expired that lives for a second."""
    job.put("wait", 1, ttl=1000)
    until(lambda: job.value("wait") is None, "a second")


@of("A Stream Deck or Companion")
def test_the_messages_and_commands_of_buttons_change_without_reading(job: Job):
    messages = job.text("json").splitlines()
    job.put("lower", {"name": "Ada", "on": True})
    with open_objects(job.server) as client:
        for message in messages:
            client.send(f"{message}\r\n")  # as Companion ends them
        assert client.heard() == []  # no error
        assert job.value("home") == {"score": 0}
        assert job.value("clock")["timer"]["running"] is True
        assert job.value("lower") == {"name": "Ada", "on": False}
    job.put("lower", {"name": "Ada", "on": True})
    assert job.shell()[0] == "1"
    assert job.value("clock")["timer"]["running"] is False
    assert job.value("lower") == {"name": "Ada", "on": False}


def test_a_button_is_told_of_the_value_that_it_shows(server: ServerProcess):
    (message,) = re.findall(r"`(\{\"action\":\"subscribe\".*?\})`", PAGE)
    with open_objects(server) as client:
        client.send(message)
        client.send({"action": "incr", "key": "home", "path": "/score"})
        assert client.updates("home") == [{"score": 1}]
