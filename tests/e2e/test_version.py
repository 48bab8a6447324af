"""`dunena version`, and that nothing is sent unless `--check` asks for it."""

import json
from collections.abc import Iterator

import pytest

from dunena import __version__
from tests.e2e.processes import PROGRAM, assert_failed, run_copy, run_program
from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.release_feed import ReleaseFeed, release_feed


@pytest.fixture
def feed() -> Iterator[ReleaseFeed]:
    with release_feed() as feed:
        yield feed


def environment_of(feed: ReleaseFeed) -> dict[str, str]:
    return {"DUNENA_RELEASES_URL": feed.url, "NO_PROXY": "127.0.0.1"}


def test_a_newer_release_is_named_with_its_page(feed: ReleaseFeed) -> None:
    done = run_program("version", "--check", environment=environment_of(feed))
    assert (done.returncode, done.stderr) == (5, "")
    assert done.stdout == (
        f"dunena {__version__}\nVersion 1.1.0 is available:"
        " https://github.com/dunena/dunena/releases/tag/v1.1.0\n"
    )
    assert len(feed.requests) == 1


@pytest.mark.parametrize(
    ("newest", "says"),
    [
        (__version__, "This is the newest version."),
        ("0.0.1", "The newest release is 0.0.1, which is older than this."),
    ],
)
def test_no_newer_release_is_exit_code_0(feed: ReleaseFeed, newest: str, says: str) -> None:
    feed.newest(newest)
    done = run_copy("version", "--check", environment=environment_of(feed))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == says


def test_programs_get_json(feed: ReleaseFeed) -> None:
    done = run_copy("version", "--check", "--json", environment=environment_of(feed))
    assert done.returncode == 5
    assert json.loads(done.stdout) == {
        "version": __version__,
        "newest": "1.1.0",
        "isNewer": True,
        "url": "https://github.com/dunena/dunena/releases/tag/v1.1.0",
    }
    done = run_copy("version", "--json", environment=environment_of(feed))
    assert (done.returncode, json.loads(done.stdout)) == (0, {"version": __version__})


def test_a_refusal_and_no_answer_have_exit_codes_of_their_own(feed: ReleaseFeed) -> None:
    feed.status = 403
    refused = run_copy("version", "--check", "--json", environment=environment_of(feed))
    assert_failed(refused, says=("only so many requests an hour",), code=1)
    nowhere = environment_of(feed) | {"DUNENA_RELEASES_URL": "http://127.0.0.1:1/"}
    unreached = run_copy("version", "--check", "--json", environment=nowhere)
    assert_failed(unreached, says=("127.0.0.1 cannot be reached",), code=4)


def test_nothing_is_sent_without_check(feed: ReleaseFeed, start_server: StartServer) -> None:
    for arguments in (("version",), ("version", "--json"), ("--version",)):
        done = run_copy(*arguments, environment=environment_of(feed))
        assert done.returncode == 0
    server = start_server(environment=environment_of(feed))
    assert http(server, "GET", "/info").json["version"] == __version__
    assert http(server, "GET", "/server").status == 200
    server.stop()
    assert feed.requests == []


def test_only_check_loads_what_asks_other_machines() -> None:
    script = "import sys\nfrom dunena.__main__ import main\ntry:\n    main()\nfinally:\n"
    script += "    print(*sorted(sys.modules), file=sys.stderr)\n"
    done = run_program("version", program=(PROGRAM[0], "-c", script))
    assert "dunena.update_check" not in done.stderr.split()
    assert "dunena.cli.commands.version" in done.stderr.split()
