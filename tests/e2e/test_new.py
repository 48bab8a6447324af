"""`dunena new`: templates in a terminal."""

import json
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import assert_failed, run_program
from tests.protocol.clients import http
from tests.support.fixtures import StartServer


def test_a_template_is_made_and_a_server_shows_its_pages(
    start_server: StartServer, tmp_path: Path
) -> None:
    done = run_program("new", "poll", str(tmp_path / "www"))
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["folder"] == str(tmp_path / "www" / "poll")
    server = start_server("--www", str(tmp_path / "www"))
    for page in made["pages"]:
        answer = http(server, "GET", page)
        assert answer.status == 200
        assert answer.body.startswith(b"<!doctype html>")
    assert made["pages"][-1] == "/www/poll/vote.html"


def test_templates_are_listed() -> None:
    done = run_program("new")
    titles = {one["name"]: one["title"] for one in json.loads(done.stdout)}
    assert titles["buzzer"] == "Buzzer and lobby"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("scorebord", "DIR"),
            "There is no template 'scorebord': there are scoreboard",
        ),
        (("poll", "DIR", "--name", "../poll"), "small letters a to z"),
        (("poll", "DIR"), "exists already"),
    ],
)
def test_what_cannot_be_made_is_a_sentence(
    arguments: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    (tmp_path / "poll").mkdir()
    given = [str(tmp_path) if word == "DIR" else word for word in arguments]
    assert_failed(run_program("new", *given), says=(says,))
    assert list(tmp_path.rglob("*")) == [tmp_path / "poll"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps rights elsewhere")
def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert_failed(run_program("new", "poll", str(tmp_path / "file" / "www")), says=("Not a dir",))
