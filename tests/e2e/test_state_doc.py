"""The client of docs/state.md follows the rule above it, and so ends with what is stored."""

import json
import random
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.clients import Client, http, open_objects
from tests.support.documents import blocks
from tests.support.far import Far
from tests.support.server import ServerProcess

NS = "show"
TEAMS = [f"team-{number}" for number in range(10)]
PAD = "x" * 60_000
"""So long that an update of all teams is sent in parts."""

(PROGRAM,) = blocks("docs/state.md", "python")

NUMBERS = '{key: (value or {"n": 0})["n"] for key, value in values.items()}'
SHOW = f"lambda values: print(json.dumps({NUMBERS}), flush=True)"

SABOTAGES = {
    "shows parts": ('if message["update"].get("more"):', "if False:"),
    "forgets nothing": ("values.clear()", "pass"),
    "removes nothing": ('values.pop(change["key"], None)', "pass"),
}


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    for written, here in pairs:
        assert text.count(written) == 1, written
        text = text.replace(written, here)
    return text


class Show:
    """What the teams have, which is nothing together, by random transfers in transactions."""

    def __init__(self) -> None:
        self.numbers = dict.fromkeys(TEAMS, 0)
        self.random = random.Random(7)

    def transfer(self, client: Client, *, teams: int) -> None:
        """Change so many teams at once."""
        chosen = self.random.sample(TEAMS, teams)
        for team in chosen[1:]:
            by = self.random.randint(1, 9)
            self.numbers[team] += by
            self.numbers[chosen[0]] -= by
        self.carry_out(
            client, [{"op": "set", "key": team, "value": self.value(team)} for team in chosen]
        )

    def value(self, team: str) -> dict[str, Any]:
        return {"n": self.numbers[team], "pad": PAD}

    def carry_out(self, client: Client, ops: list[Any]) -> None:
        answer = client.ask({"action": "txn", "ns": NS, "ops": ops, "id": 1})
        assert "result" in answer, answer


def states_over_reconnects(program: str, server: ServerProcess) -> list[dict[str, int]]:
    """Run the program while the store changes and connections end; all that it showed."""
    show = Show()
    with ExitStack() as stack:
        link = stack.enter_context(Far(server.port, 0.002))
        with open_objects(server) as client:
            show.transfer(client, teams=10)
            show.carry_out(client, [{"op": "set", "key": "team-gone", "value": None}])
            show.carry_out(client, [{"op": "set", "key": "other", "value": {"n": 1}}])
        code = replaced(
            program,
            ("time.sleep(0.5)", "time.sleep(0.01)"),
            ("localhost:3000", f"127.0.0.1:{link.port}"),
            (", print)", f", {SHOW})"),
        )
        process = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        )
        stack.callback(process.kill)
        assert process.stdout is not None
        states = [json.loads(process.stdout.readline())]
        with open_objects(server) as client:
            for number in range(20):
                show.transfer(client, teams=10 if number % 5 == 0 else 2)
                guest = {"key": f"team-guest-{number % 3}", "ns": NS}
                show.carry_out(client, [{"op": "set", "value": {"n": 0}, **guest}])
                if number % 2:
                    show.carry_out(client, [{"op": "delete", **guest}])
                if number % 4 == 0:
                    link.cut()
                    states.append(json.loads(process.stdout.readline()))
        # Another epoch, and a key that went while no server ran.
        assert server.stop() == 0
        assert server.folder is not None
        (server.folder / NS / "team-gone.json").unlink()
        server.start()
        with open_objects(server) as client:
            for mark, removed in (("team-again", "team-end"), ("team-end", "team-again")):
                show.transfer(client, teams=3)
                show.carry_out(client, [{"op": "delete", "key": removed}])
                show.carry_out(client, [{"op": "set", "key": mark, "value": {"n": 0}}])
                while mark not in states[-1]:
                    states.append(json.loads(process.stdout.readline()))
    return states


def stored(server: ServerProcess) -> dict[str, int]:
    """What the program should show in the end."""
    keys = http(server, "GET", f"/keys?pattern=team-*&ns={NS}").json["keys"]
    values = {key: http(server, "GET", f"/get/{key}?ns={NS}").json["value"] for key in keys}
    return {key: value["n"] for key, value in values.items()}


def assert_follows(states: list[dict[str, int]], server: ServerProcess) -> None:
    """Each state is one that the store had, and the last one the one that it has."""
    assert [state for state in states if sum(state.values())] == []
    assert states[-1] == stored(server)


def test_the_client_of_the_page_ends_with_what_is_stored(server: ServerProcess):
    states = states_over_reconnects(PROGRAM, server)
    assert len(states) > 6  # one at each cut, and the marks
    assert_follows(states, server)


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_client_that_leaves_out_a_line_of_the_rule_is_noticed(server: ServerProcess, name: str):
    states = states_over_reconnects(replaced(PROGRAM, SABOTAGES[name]), server)
    with pytest.raises(AssertionError):
        assert_follows(states, server)


def test_the_client_of_the_page_has_no_more_than_forty_lines():
    program = PROGRAM[: PROGRAM.index('follow("ws:')]
    assert len([line for line in program.splitlines() if line]) <= 40


def test_the_client_of_the_page_ends_with_the_error_of_a_refused_watch(
    server: ServerProcess, tmp_path: Path
):
    code = replaced(PROGRAM, ("localhost:3000", f"127.0.0.1:{server.port}"), ('"team-*"', '""'))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stderr.endswith("ValueError: Pattern must not be empty\n")


def test_updates_repeat_the_selector_as_it_was_sent(server: ServerProcess):
    selectors: list[dict[str, Any]] = [
        {"key": "a"},
        {"keys": ["b", "a", "b"], "path": ""},
        {"keys": ["a", "b"], "path": "/x~1y"},
        {"pattern": "*", "ns": "show"},
    ]
    with open_objects(server) as client:
        for selector in selectors:
            update = client.ask({"action": "watch", **selector})["update"]
            assert {name: update.get(name) for name in selector} == selector
        assert "ns" not in client.ask({"action": "watch", "key": "c", "ns": ""})["update"]
