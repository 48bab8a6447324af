"""The promises of what commands print with `--json`: its fields, from real runs of the commands.

They ask a server of their own. A command is run as often as it takes to see each of its fields; of
a field that came in all of these runs the record says that it always does.
"""

import contextlib
import io
import json
import logging
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, patch

from dunena.cli.bench_load import Load, Measurement
from dunena.cli.failure import EXIT_FAILED
from dunena.cli.program import app
from dunena.client.blocking import Store
from dunena.client.feeds import ChannelMessage, Event
from dunena.update_check import Release
from surfacekit.facts import PART, Surface

_ADDRESS = re.compile(r"http://[\w.]+:\d+")
_SECONDS_MAX = 60
"""What a start and a stop may take."""

_TOKEN = "a-token-of-this-server"

_GIVEN_BY_USERS = frozenset({
    f"events CHANNEL{PART}data", f"get --rev{PART}value", f"history{PART}[]{PART}value",
    f"mget{PART}{{}}", f"set{PART}value", f"watch{PART}value",
    f"doctor{PART}settings{PART}{{}}{PART}value", f"info{PART}settings{PART}{{}}",
})  # fmt: skip
"""Values of users and of settings, which may be anything."""

_NAMED_BY_USERS = frozenset({f"doctor{PART}settings", f"info{PART}settings", "mget"})
"""Objects whose members have names of keys or settings."""

Answers = dict[str, list[Any]]
"""What commands printed in each of their runs, by the command's name."""


def surface() -> Surface:
    """Return the promises of the commands that have `--json`, but for those of a mere value."""
    answers: Answers = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with _server(place / "values") as url:
            _ask_server(answers, url, place)
        _ask_nobody(answers, place)
    return describe(answers)


def describe(answers: Answers) -> Surface:
    """Return the promises that these answers show."""
    surface: Surface = {}
    for name, printed in answers.items():
        surface |= _described(name, printed, is_always=True)
    return surface


def _ask_server(answers: Answers, url: str, place: Path) -> None:
    """Run the commands that ask a server, on one whose store is empty."""

    def ask(name: str, *words: str) -> None:
        command = [*(words or (name,)), "--json", "--url", url, "--token", _TOKEN]
        answers.setdefault(name, []).append(_run(command))

    ask("set", "set", "a", '{"n": 1}')
    ask("set", "set", "a", "2", "--path", "/n")
    ask("set", "set", "a", '{"n": 2}', "--ns", "show")
    ask("set", "set", "a", "3", "--ns", "show", "--path", "/n")
    ask("mset", "mset", "b=1", "c=2")
    ask("mget", "mget", "b", "none")
    ask("get --rev", "get", "a", "--rev")
    ask("append", "append", "list", "1")
    ask("incr", "incr", "b")
    ask("timer", "timer", "clock", "start")
    ask("touch", "touch", "b", "1000")
    ask("history", "history", "a")
    ask("keys")
    ask("del", "del", "c")
    ask("export", "export", str(place / "values.jsonl"))
    ask("import", "import", str(place / "values.jsonl"))
    ask("backup", "backup", str(place / "backup.zip"))
    ask("restore", "restore", str(place / "backup.zip"), "--dry-run")
    ask("incr", "incr", "b")  # so that there is something to restore
    ask("restore", "restore", str(place / "backup.zip"), "--replace")
    ask("info")
    ask("stats")
    ask("invite")
    ask("flush", "flush", "--yes")
    event = Event("set", "a", "", 1, 1)
    message = ChannelMessage({"a": 1}, 0, 1)
    for name, call, given in (
        ("events", "events", [event, event._replace(event="clear", key=None, size=None)]),
        ("events CHANNEL", "subscribe", [message, message._replace(missed=float("inf"))]),
        ("watch", "watch", [("a", 1)]),
    ):
        words = {"events": ("events",), "watch": ("watch", "a")}.get(name, ("events", "x"))
        with patch.object(Store, call, return_value=given):
            answers[name] = _run_lines([*words, "--json", "--url", url, "--token", _TOKEN])
    measured = Measurement("object-store", "get, 16 at once", 1.5, 1.5, 1.5)
    with patch.object(Load, "run", AsyncMock(return_value=measured)):
        ask("bench")


def _ask_nobody(answers: Answers, place: Path) -> None:
    """Run the commands that look at files, or at another server."""
    damaged, unused = place / "damaged", place / "unused"
    damaged.mkdir()
    (damaged / "a.json").write_text("{", "utf-8")
    answers["check"] = [_run(["check", str(place / "values"), "--json"])]
    answers["check"].append(_run(["check", str(damaged), "--json"]))
    answers["doctor"] = [_run(["doctor", "--port", "0", "--cache-dir", str(unused), "--json"])]
    answers["new"] = [_run(["new", "--json"])]
    answers["new TEMPLATE"] = [_run(["new", "ticker", str(place / "www"), "--json"])]
    answers["version"] = [_run(["version", "--json"])]
    newest = Release("1.0.0", "https://example.invalid/", is_newer=False)
    with patch("dunena.update_check.find_newest", return_value=newest):
        answers["version --check"] = [_run(["version", "--check", "--json"])]


def _run(words: Sequence[str]) -> Any:
    """Run a command in this process; return what it printed."""
    return json.loads(_output_of(words))


def _run_lines(words: Sequence[str]) -> list[Any]:
    """Run a command that prints an object a line; return these."""
    return [json.loads(line) for line in _output_of(words).splitlines()]


def _output_of(words: Sequence[str]) -> str:
    """Run a command in this process; return its standard output.

    What examines something ends with `EXIT_FAILED` when it has found a fault, and prints all the
    same.
    """
    output, errors = io.StringIO(), io.StringIO()
    logged = logging.root.manager.disable
    exit_code: object = 0
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            app(list(words), windows_expand_args=False)
    except SystemExit as ended:
        exit_code = ended.code or 0
    finally:
        logging.disable(logged)  # as `check` does, for a process of its own
    if exit_code not in (0, EXIT_FAILED) or not output.getvalue():
        raise RuntimeError(f"dunena {' '.join(words)} ended with {exit_code}: {errors.getvalue()}")
    return output.getvalue()


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[str]:
    """Run a server with its values in a folder; its address."""
    command = [sys.executable, "-m", "dunena", "serve", "--port", "0", "--cache-dir", str(folder)]
    command += ["--token", _TOKEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        try:
            assert process.stdout is not None
            found = next(filter(None, map(_ADDRESS.search, process.stdout)), None)
            if found is None:
                raise RuntimeError("no server could be started")
            yield found[0]
        finally:
            process.terminate()
            process.communicate(timeout=_SECONDS_MAX)


def _described(name: str, samples: Sequence[Any], *, is_always: bool) -> Surface:
    """Return the promises of one place in what a command printed, and of all below it."""
    if name in _GIVEN_BY_USERS:
        return {name: {"always": is_always, "gives": ["any"]}}
    surface: Surface = {
        name: {"always": is_always, "gives": sorted({_type_of(sample) for sample in samples})}
    }
    objects = [sample for sample in samples if isinstance(sample, dict)]
    if name in _NAMED_BY_USERS:
        members = [member for sample in objects for member in sample.values()]
        surface |= _below(f"{name}{PART}{{}}", members)
    else:
        for field in sorted({field for sample in objects for field in sample}):
            found = [sample[field] for sample in objects if field in sample]
            is_in_all = len(found) == len(objects)
            surface |= _described(f"{name}{PART}{field}", found, is_always=is_in_all)
    items = [item for sample in samples if isinstance(sample, list) for item in sample]
    return surface | _below(f"{name}{PART}[]", items)


def _below(name: str, samples: Sequence[Any]) -> Surface:
    return _described(name, samples, is_always=False) if samples else {}


def _type_of(value: Any) -> str:
    # A round number is an integer in one run and may be none in the next.
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    return names.get(type(value), "null" if value is None else "object")
