"""build/dev.py cluster: its parts, with programs that are no servers; tests/cluster runs it."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its signals are of POSIX")

SLEEPS = "import signal; print('up', flush=True); signal.pause()"
DEAF = f"import signal; signal.signal(15, signal.SIG_IGN); {SLEEPS}"


@pytest.fixture(scope="module", autouse=True)
def _import_path() -> Iterator[None]:
    sys.path.insert(0, str(ROOT / "build"))
    yield
    sys.path.remove(str(ROOT / "build"))


def load(name: str) -> Any:
    return importlib.import_module(f"devkit.{name}")


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Any]:
    program = make(tmp_path, SLEEPS)
    yield program
    program.kill()


def make(folder: Path, code: str) -> Any:
    log = folder / "log"
    return load("cluster_programs").Program("n1", (sys.executable, "-c", code), "at", log, bool)


def wait_until_up(program: Any) -> None:
    while not program.log.exists() or "up" not in program.log.read_text("utf-8"):
        assert program.is_running


class TestProgram:
    def test_what_a_program_says_is_shown_with_its_name(self, program: Any, capsys: Any) -> None:
        program.start()
        wait_until_up(program)
        program.stop()
        assert capsys.readouterr().out == "n1 | up\n"

    def test_an_end_that_nobody_asked_for_is_told_once(self, program: Any) -> None:
        program.start()
        assert program.take_end() is None
        program.kill()
        code = program.take_end()
        assert load("cluster_programs").describe_end(code) == "was killed by signal 9"
        assert program.take_end() is None

    def test_a_stop_that_was_asked_for_is_no_news(self, program: Any) -> None:
        program.start()
        wait_until_up(program)
        program.stop()
        assert (program.take_end(), program.is_running, program.pid) == (None, False, 0)

    def test_a_program_can_be_started_again(self, program: Any) -> None:
        program.start()
        before = program.pid
        program.kill()
        program.start()
        assert program.is_running
        assert program.pid != before

    def test_a_paused_program_can_be_stopped(self, program: Any) -> None:
        program.start()
        wait_until_up(program)
        program.pause()
        program.stop()
        assert not program.is_running

    def test_a_program_that_does_not_listen_is_killed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(load("cluster_programs"), "STOP_SECONDS_MAX", 0.1)
        program = make(tmp_path, DEAF)
        program.start()
        wait_until_up(program)
        program.stop()
        assert not program.is_running


class TestMakePrograms:
    @pytest.fixture
    def programs(self, tmp_path: Path) -> list[Any]:
        made: list[Any] = load("cluster").make_programs(tmp_path, Path("/bin/nats"), 200, 100)
        return made

    def test_servers_come_before_the_nodes_that_need_them(self, programs: list[Any]) -> None:
        assert [program.name for program in programs] == ["n1", "n2", "n3", "d1", "d2", "d3"]

    def test_nodes_have_ports_in_a_row_and_all_servers(self, programs: list[Any]) -> None:
        commands = [" ".join(map(str, program.command)) for program in programs[3:]]
        store = "--store nats://127.0.0.1:200,nats://127.0.0.1:201,nats://127.0.0.1:202"
        for place, command in enumerate(commands):
            assert f"-m dunena serve --port {100 + place} {store} --bucket try" in command

    def test_servers_share_no_port_and_no_folder(self, programs: list[Any], tmp_path: Path) -> None:
        texts = [(tmp_path / f"n{number}.conf").read_text("utf-8") for number in (1, 2, 3)]
        assert 'listen: "127.0.0.1:201"' in texts[1]
        assert 'http: "127.0.0.1:221"' in texts[1]
        assert 'listen: "127.0.0.1:211"' in texts[1]
        assert f'store_dir: "{tmp_path.as_posix()}/n2"' in texts[1]
        routes = 'routes: ["nats://127.0.0.1:210", "nats://127.0.0.1:211", "nats://127.0.0.1:212"]'
        assert all(routes in text for text in texts)


@pytest.mark.parametrize(
    ("line", "is_shown"),
    [
        ("[1] 2026/01/01 [INF] Server is ready", True),
        ("[1] 2026/01/01 [INF] JetStream cluster new stream leader for '$G > KV_try'", True),
        ("[1] 2026/01/01 [FTL] Error listening on port", True),
        ("[1] 2026/01/01 [ERR] Error trying to connect to route (attempt 1)", False),
    ],
)
def test_of_a_nats_server_few_lines_are_shown(line: str, is_shown: bool) -> None:
    assert bool(load("cluster").is_of_interest(line)) is is_shown


class TestCarryOut:
    def test_a_program_is_killed_and_started_by_its_name(self, program: Any, capsys: Any) -> None:
        carry_out = load("cluster").carry_out
        program.start()
        assert carry_out([program], ["kill", "n1"])
        assert not program.is_running
        assert carry_out([program], ["start", "n1"])
        assert program.is_running
        assert carry_out([program], ["start", "n1"])
        assert capsys.readouterr().out.endswith("dev| n1 is running\n")

    @pytest.mark.parametrize("words", [["kill"], ["kill", "n9"], ["dance", "n1"], ["list", "n1"]])
    def test_what_is_no_command_shows_those_that_are(
        self, program: Any, words: list[str], capsys: Any
    ) -> None:
        assert load("cluster").carry_out([program], words)
        assert "commands: list | kill NAME" in capsys.readouterr().out

    def test_quit_ends_it(self, program: Any) -> None:
        assert not load("cluster").carry_out([program], ["quit"])


def test_an_end_is_told_with_the_command_that_starts_it_again(program: Any, capsys: Any) -> None:
    program.start()
    program.kill()
    load("cluster").tell_ends([program])
    load("cluster").tell_ends([program])
    expected = "dev| n1 has stopped: it was killed by signal 9; `start n1` starts it again\n"
    assert capsys.readouterr().out == expected


def test_the_health_of_nodes_is_told_when_it_changes(
    program: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    cluster = load("cluster")
    ready, unready, silent = "is ready", "is not ready for changes", "does not answer"
    healths = iter([silent, unready, ready, ready, unready, silent, silent])
    monkeypatch.setattr(cluster, "health_of", lambda _: next(healths))
    program.start()
    told: dict[str, str] = {}
    for _ in range(7):
        told = cluster.tell_health([program], told)
    lines = [line for line in capsys.readouterr().out.splitlines() if "dev|" in line]
    assert lines == [f"dev| n1 {health}" for health in (ready, unready, silent)]


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_node_that_has_stopped_is_not_said_to_be_not_ready(
    program: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, end: str
) -> None:
    cluster = load("cluster")
    health = "is ready"
    monkeypatch.setattr(cluster, "health_of", lambda _: health)
    program.start()
    wait_until_up(program)
    told = cluster.tell_health([program], {})
    cluster.carry_out([program], [end, "n1"])
    cluster.tell_ends([program])
    health = "does not answer"
    assert cluster.tell_health([program], told) == {}
    cluster.carry_out([program], [end, "n1"])
    how = ": it was killed by signal 9" if end == "kill" else ""
    assert [line for line in capsys.readouterr().out.splitlines() if "dev|" in line] == [
        "dev| n1 is ready",
        f"dev| n1 has stopped{how}; `start n1` starts it again",
        "dev| n1 is not running",
    ]


def test_a_program_that_hangs_is_listed_as_such(program: Any, capsys: Any) -> None:
    carry_out = load("cluster").carry_out
    program.start()
    wait_until_up(program)
    for words in (["pause", "n1"], ["list"], ["resume", "n1"], ["resume", "n1"]):
        carry_out([program], words)
    assert [line for line in capsys.readouterr().out.splitlines() if "dev|" in line] == [
        "dev| n1 hangs now; `resume n1` ends that",
        f"dev| n1  {f'pid {program.pid}, paused':<19} at",
        "dev| n1 goes on",
        "dev| n1 is not paused",
    ]


@pytest.mark.parametrize(
    ("line", "is_shown"),
    [
        ("dunena 0.1.0", False),
        ("  Test page   http://localhost:3001/test", False),
        ("  Press Ctrl+C to stop.", False),
        ("Stopped.", False),
        ("2026-01-01T00:00:00.000Z info    connected to the store", True),
        ("dunena serve: port 3001 is in use", True),
        ('  File "app.py", line 1', True),
    ],
)
def test_of_a_node_all_but_its_addresses_are_shown(
    tmp_path: Path, line: str, is_shown: bool
) -> None:
    node = load("cluster").make_programs(tmp_path, Path("/bin/nats"), 200, 100)[-1]
    assert node.is_shown(line) is is_shown
