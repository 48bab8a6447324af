"""docs/cluster.md: its options are options, its refusals are refused, its arithmetic is right."""

import re
import shlex
import subprocess
import sys

import pytest

from dunena.setting_table import rows
from tests.support.documents import ROOT, SECONDS_MAX, blocks

PAGE = (ROOT / "docs" / "cluster.md").read_text("utf-8")
FLAGS = {row.flag for row in rows().values()}
COMMANDS = [line for block in blocks("docs/cluster.md", "sh") for line in block.splitlines()]

UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "%": 1e-2, "": 1.0}


def section(heading: str) -> str:
    """The text below a heading, to the next one."""
    found = re.search(rf"^#+ {heading}$(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def number(text: str) -> float:
    """The value of `1,000`, `0.7 KB` or `40 us`."""
    found = re.match(r"\s*([\d,.]+)\s*(KB|MB|GB|us|ms|s|%)?", text)
    assert found is not None, text
    return float(found[1].replace(",", "")) * UNITS[found[2] or ""]


def computed(arithmetic: str) -> float:
    """The value of `1,000 * 25 * 0.7 KB` and of `1,000,000 / 40,000`, from left to right."""
    value = 1.0
    for sign, operand in re.findall(r"(^|[*/])\s*([^*/]+)", arithmetic):
        value = value / number(operand) if sign == "/" else value * number(operand)
    return value


class TestCapacity:
    ROWS = re.findall(r"^\| ([^|]+) \| ([\d][^|]* [*/] [^|]*) \| ([^|]+) \|$", PAGE, re.MULTILINE)

    @pytest.mark.parametrize(("what", "arithmetic", "result"), ROWS)
    def test_the_arithmetic_gives_its_result(self, what: str, arithmetic: str, result: str) -> None:
        assert computed(arithmetic) == pytest.approx(number(result), rel=0.01), what

    def test_all_rows_are_computed(self) -> None:
        assert len(self.ROWS) == 8

    def test_it_uses_the_given_figures(self) -> None:
        given = section("Capacity on paper: a million connections")
        for figure in ("3.1 KB", "1.4 us", "30 us", "0.7 KB", "1 ms"):
            rows_with_it = [row for row in self.ROWS if figure in row[1]]
            assert f"| {figure}" in given
            assert rows_with_it, figure


class TestCommands:
    def test_every_option_is_one_of_serve(self) -> None:
        named = set(re.findall(r"`(--[a-z-]+)", PAGE))
        others = {"--replicas", "--url"}
        assert len(named) > 15
        assert named - others <= FLAGS

    @pytest.mark.parametrize(
        "command", [line for line in COMMANDS if line.startswith("dunena serve")]
    )
    def test_servers_are_started_with_options_of_serve(self, command: str) -> None:
        words = shlex.split(command)
        assert {word for word in words if word.startswith("--")} <= FLAGS

    def test_there_are_commands_to_look_at(self) -> None:
        assert len([line for line in COMMANDS if line.startswith("dunena serve")]) == 2

    def test_files_that_the_page_names_are_in_the_folder(self) -> None:
        folder = ROOT / "packaging" / "cluster"
        table = section("Try it")
        for name in re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE):
            assert (folder / name).is_dir()
        for name in re.findall(r"`(\w+\.conf)`", table):
            assert (folder / "nats" / name).is_file()


REFUSED = re.search(r"\*\*Refused at the start\*\*(.*?)\.\n", PAGE, re.DOTALL)
assert REFUSED is not None
VALUES = {"--cache-dir": "values", "--fsync": "always", "--watch": "poll", "--eviction": "lru"}


@pytest.mark.parametrize("option", re.findall(r"`(--[a-z-]+)", REFUSED[1]))
def test_what_a_cluster_cannot_have_is_refused(option: str) -> None:
    words = [option, VALUES[option]] if option in VALUES else [option]
    command = [sys.executable, "-m", "dunena", "serve", "--store", "nats://localhost", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
    assert done.returncode == 2, done.stdout + done.stderr
    assert option in done.stderr


def test_the_errors_of_the_page_are_those_of_the_server() -> None:
    texts = set(re.findall(r"`Storage error: <reason>; ([^`]+)`", PAGE))
    assert texts == {"nothing was stored", "the change may have been made"}
    documented = (ROOT / "docs" / "dunena.md").read_text("utf-8")
    for text in texts:
        assert f"`Storage error: <reason>; {text}`" in documented
