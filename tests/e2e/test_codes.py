"""QR codes in the terminal: of a server on the network, and of an invitation."""

import re
import signal
from pathlib import Path

import pytest

from dunena.qr_code import qr_lines
from dunena.server.addresses import lan_addresses
from tests.e2e.processes import run_program
from tests.e2e.terminal import IS_POSSIBLE, Terminal
from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.tokens import ALL, READER, write_tokens

in_a_terminal = pytest.mark.skipif(not IS_POSSIBLE, reason="pseudo-terminals are POSIX")
needs_network = pytest.mark.skipif(not lan_addresses(), reason="this machine is in no network")
BLACK_ON_WHITE = "\x1b[38;5;16;48;5;231m"
CODE = re.compile("[▀▄█]")
PHONES = re.compile(r"Phones      (http://\S+?)(?:,|\n)")
NETWORK = ("--host", "0.0.0.0", "--token", "t")


def serve(*arguments: str, columns: int = 80, **environment: str) -> Terminal:
    words = ("serve", "--port", "0", "--no-persist", *arguments)
    return Terminal(*words, environment=environment, columns=columns)


@in_a_terminal
@needs_network
def test_a_server_on_the_network_shows_its_address_as_a_code() -> None:
    with serve(*NETWORK) as terminal:
        terminal.wait_for("Phones")
        found = PHONES.search(terminal.text)
        assert found is not None
        lines = qr_lines(found[1])
        terminal.wait_for(lines[-4])
        for line in lines:
            assert f"{BLACK_ON_WHITE}{line}\x1b[0m" in terminal.raw
        assert found[1].endswith("/test")


@in_a_terminal
@needs_network
def test_the_code_leads_to_the_pages_if_there_are_any(tmp_path: Path) -> None:
    with serve(*NETWORK, "--www", str(tmp_path)) as terminal:
        terminal.wait_for("Press Ctrl+C")
        found = PHONES.search(terminal.text)
        assert found is not None
        assert found[1].endswith("/www/")


@in_a_terminal
@needs_network
@pytest.mark.parametrize(
    ("columns", "environment"), [(20, {}), (80, {"NO_COLOR": "1"}), (80, {"TERM": "dumb"})]
)
def test_a_terminal_that_cannot_show_a_code_gets_none(
    columns: int, environment: dict[str, str]
) -> None:
    with serve(*NETWORK, columns=columns, **environment) as terminal:
        terminal.wait_for("Press Ctrl+C")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 0
        assert "Phones" in terminal.text
        assert CODE.search(terminal.text) is None


@in_a_terminal
def test_a_server_for_this_machine_shows_no_code() -> None:
    with serve() as terminal:
        terminal.wait_for("Press Ctrl+C")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 0
        assert "Phones" not in terminal.text
        assert CODE.search(terminal.text) is None


@needs_network
def test_no_code_goes_into_a_pipe(start_server: StartServer) -> None:
    server = start_server(*NETWORK)
    server.stop()
    written = "".join(server.output)
    assert PHONES.search(written) is not None
    assert CODE.search(written) is None


# --- dunena invite ---


@pytest.fixture
def guarded(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    file = write_tokens(tmp_path, ALL + READER)
    return start_server("--host", "0.0.0.0", "--tokens", str(file))


def invite(server: ServerProcess, *arguments: str) -> tuple[str, ...]:
    return ("invite", *arguments, "--url", server.url, "--token", "director")


def test_an_invitation_is_json_for_programs(guarded: ServerProcess) -> None:
    done = run_program(*invite(guarded, "www/score/panel.html", "--token-name", "overlay"))
    assert done.returncode == 0, done.stderr
    assert '"page":"/www/score/panel.html"' in done.stdout
    assert '"token":"overlay"' in done.stdout
    (path,) = re.findall(r'"path":"([^"]+)"', done.stdout)
    assert http(guarded, "POST", path).headers["location"] == "../www/score/panel.html"


@in_a_terminal
@needs_network
def test_an_invitation_is_a_code_for_people(guarded: ServerProcess) -> None:
    with Terminal(*invite(guarded), environment={}) as terminal:
        assert terminal.end() == 0, terminal.text
        *code, address, words = terminal.text.splitlines()
    assert re.fullmatch(r"http://\S+/invite/[\w-]+", address)
    assert words == "It works once, within 10 minutes."
    assert [line for line in code if line] == qr_lines(address)


def test_a_refused_invitation_is_one_line(guarded: ServerProcess, tmp_path: Path) -> None:
    done = run_program(*invite(guarded, "--token-name", "nobody"))
    assert done.returncode == 1
    assert "more rights than yours" in done.stderr
    done = run_program(*invite(guarded, "//evil.example"))
    assert done.returncode == 1
    assert done.stderr.startswith("dunena: page must be a path of this server")
