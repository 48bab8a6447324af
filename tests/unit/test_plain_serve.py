"""Command lines that are read without typer mean what they mean to typer, option for option."""

import os
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer._click.exceptions import ClickException

from dunena.cli import plain_serve, program
from dunena.setting_table import GivenSettings, LogLevel, Row, rows

Read = tuple[GivenSettings, dict[str, str | None]]

NUMBERS = ["0", "1", "5", "007", "+5", "-1", "5.0", " 5", "5 ", "٣", "1_0", "1e3", "65535", "65536"]
TEXTS = ["x", "a b", " x", "x ", "-x", "--port", "ü", "*", "a,b", "null", "auto", "1"]
BOOLS = ["1", "0", "true", "yes", "off", "2", "True", " 1"]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for row in rows().values():
        monkeypatch.delenv(row.variable, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("file")


def read_plain(words: list[str], environment: Mapping[str, str]) -> Read | None:
    found = plain_serve.read(["serve", *words], environment)
    return None if found is None else (found.given, found.sources)


def read_by_typer(
    words: list[str], environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Read | None:
    """What typer makes of them; None for what it refuses."""
    read: list[Read] = []
    monkeypatch.setattr(
        "dunena.cli.commands.serve.settings_of",
        lambda given, _, __, sources: read.append((given, sources)),
    )
    monkeypatch.setattr("dunena.cli.serving.serve_given", lambda *_: None)
    with monkeypatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            typer.main.get_command(program.app)(["serve", *words], standalone_mode=False)
        except ClickException:
            return None
    return read[0]


def texts(row: Row) -> list[str]:
    """What may be typed for a setting, right and wrong."""
    kind = plain_serve._kind(row)
    if kind is bool:
        return BOOLS
    if kind is int:
        return NUMBERS
    if kind is Path:
        return ["folder", "file", "broken", "link", "missing", "-", "folder/../file", "a b", "."]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [*(str(one.value) for one in kind), str(next(iter(kind)).value).upper(), "wrong"]
    return TEXTS


def command_lines(row: Row) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Ways to give a setting, with the texts: words and variables."""
    yield [row.flag], {}
    yield [row.flag, row.flag], {}
    for text in [*texts(row), ""]:
        yield [row.flag, text], {}
        yield [f"{row.flag}={text}"], {}
        yield [], {row.variable: text}
        yield ["--port", "5", row.flag, text], {row.variable: text}
        yield [row.flag, text, row.flag, text], {}


@pytest.mark.parametrize("name", list(rows()))
def test_every_option_means_what_it_means_to_typer(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words, environment in command_lines(rows()[name]):
        plain = read_plain(words, environment)
        if plain is not None:
            assert plain == read_by_typer(words, environment, monkeypatch), (words, environment)


def test_usual_command_lines_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for words, environment in (
        ([], {}),
        (["--port", "8080", "--cache-dir", "folder"], {}),
        (["--port=0", "--cache-dir=new/folder", "--no-persist", "--host", "::"], {}),
        (["--allow-origin", "https://a.example", "--allow-origin", "null"], {}),
        (["--token", "secret", "--fsync", "always", "--max-memory", "1000000"], {}),
        (["--www", "folder", "--tls-cert", "file", "--tls-key", "file", "--log-level", "warn"], {}),
        ([], {"DUNENA_PORT": "80", "CACHE_DIR": "folder", "DUNENA_NO_WATCH": "1"}),
        (["--port", "81"], {"DUNENA_PORT": "not read", "DUNENA_LOG_FORMAT": "json"}),
        ([], {"DUNENA_PORT": "", "OTHER": "1"}),
    ):
        plain = read_plain(words, environment)
        assert plain is not None, (words, environment)
        assert plain == read_by_typer(words, environment, monkeypatch)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["extra"],
        ["--"],
        ["--prot", "1"],
        ["--port"],
        ["--port", "1", "--port", "2"],
        ["-p", "1"],
        ["--www", "missing"],
        ["--cache-dir", "file"],
        ["--get-writes"],
        ["--store", "nats://n1"],
        ["--store-read-only"],
        ["--no-persist=1"],
    ],
)
def test_everything_else_is_left_to_typer(words: list[str]) -> None:
    assert plain_serve.read(["serve", *words], {}) is None


@pytest.mark.parametrize("words", [[], ["version"], ["--version"], ["doctor"], ["--port", "1"]])
def test_other_commands_are_left_to_typer(words: list[str]) -> None:
    assert plain_serve.read(words, {}) is None


def test_what_contradicts_is_left_to_typer(monkeypatch: pytest.MonkeyPatch) -> None:
    from dunena.cli.start_mode import TYPED

    def serve(*_: Any) -> None:
        pytest.fail("it was served")

    monkeypatch.setattr("dunena.cli.serving.serve_given", serve)
    found = plain_serve.read(["serve", "--tls-cert", "cert.pem"], os.environ)
    assert found is not None
    assert not found.serve(TYPED)


def test_the_settings_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from dunena.cli.start_mode import DOUBLE_CLICKED

    served: list[Any] = []
    monkeypatch.setattr("dunena.cli.serving.serve_given", lambda *given: served.append(given))
    found = plain_serve.read(["serve", "--port", "80"], {"DUNENA_LOG_LEVEL": "debug"})
    assert found is not None
    assert found.serve(DOUBLE_CLICKED)
    ((given, settings, sources, start_mode),) = served
    assert (given.port, settings.port, sources["port"]) == (80, 80, "--port")
    assert (settings.log_level, sources["log_level"]) == (LogLevel.DEBUG, "DUNENA_LOG_LEVEL")
    assert start_mode is DOUBLE_CLICKED
