"""The commands of the executable: all modules that they import are in it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dunena.cli.command_table import MODULES
from tests.binary.conftest import linux_only, posix_only
from tests.binary.program import SECONDS_MAX, Program


@pytest.mark.parametrize("name", MODULES)
def test_the_executable_has_each_command(program: Program, name: str):
    done = program.run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"Usage: {program.path.name} {name}" in done.stdout


def test_the_commands_of_the_executable_ask_a_server(program: Program):
    with program.server() as server:
        here = {"DUNENA_URL": server.url}
        copy = program.base / "copy.zip"
        assert program.run("set", "k", '{"ß": [1]}', **here).returncode == 0
        assert program.run("get", "k", **here).stdout == '{"ß":[1]}\n'
        assert program.run("get", "missing", **here).returncode == 3
        assert program.run("export", str(copy), **here).returncode == 0
        assert program.run("flush", "--yes", **here).returncode == 0
        assert json.loads(program.run("import", str(copy), **here).stdout)["stored"] == 1
        assert json.loads(program.run("keys", **here).stdout) == ["k"]
        rows = json.loads(program.run("bench", "--seconds", "0.1", **here).stdout)
        assert len(rows) == 6
        assert json.loads(program.run("doctor", **here).stdout)["findings"]
    assert program.run("get", "k", **here).returncode == 4


@linux_only
@pytest.mark.parametrize(
    ("language", "charset"), [("ru_RU", "KOI8-R"), ("zh_CN", "GBK"), ("ja_JP", "EUC-JP")]
)
def test_the_executable_speaks_utf_8_in_any_locale(program: Program, language: str, charset: str):
    """No codec of the locale's encoding is in the file, and Python must start all the same."""
    program.path = Path(shutil.move(program.path, program.base / "dunena-ключ"))
    here = locale_of(program.base, language, charset)
    with program.server(**here) as server:
        here["DUNENA_URL"] = server.url
        assert program.run("set", "ключ", '"日本"', **here).returncode == 0
        assert program.run("get", "ключ", **here).stdout == '"日本"\n'
        assert server.stop() == 0


def locale_of(folder: Path, language: str, charset: str) -> dict[str, str]:
    """The environment of somebody with that locale, made in a folder."""
    name = f"{language}.{charset}"
    localedef = shutil.which("localedef")
    if localedef is None:
        pytest.skip("there is no localedef, which makes locales")
    # It has warnings about some of its own sources, with 1 as the exit code.
    command = [localedef, "--force", "-i", language, "-f", charset, str(folder / name)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if not (folder / name / "LC_CTYPE").exists():
        pytest.skip(f"{name} cannot be made: {made.stderr.strip()}")
    return {"LOCPATH": str(folder), "LC_ALL": name}


def test_a_watch_of_the_executable_prints_changes(program: Program):
    with program.server() as server:
        watch = subprocess.Popen(
            [program.path, "watch", "k", "--url", server.url],
            env=program.environment(),
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        try:
            assert watch.stdout is not None
            assert json.loads(watch.stdout.readline()) == {"key": "k", "value": None}
            program.run("set", "k", "1", "--url", server.url)
            assert json.loads(watch.stdout.readline()) == {"key": "k", "value": 1}
        finally:
            watch.terminate()
            watch.communicate(timeout=SECONDS_MAX)


@posix_only
def test_the_executable_prints_a_table_in_a_terminal(program: Program):
    import os
    import pty

    with program.server() as server:
        program.run("set", "k", '"日本"', "--url", server.url)
        master, slave = pty.openpty()
        command = [program.path, "keys", "--url", server.url]
        done = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=program.environment(TERM="xterm")
        )
        os.close(slave)
        text = b""
        try:
            while data := os.read(master, 4096):
                text += data
        except OSError:
            pass  # it has ended
        finally:
            os.close(master)
        assert done.wait(SECONDS_MAX) == 0, text.decode()
        assert "日本" in text.decode()
        assert "1 key\r\n" in text.decode()
