"""Every setting is defined once in the table and appears everywhere settings are listed."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest
import typer

import dunena
from dunena import PORT_MAX
from dunena.cli.original import UNUSED
from dunena.cli.program import app
from dunena.setting_table import DEFAULTS, GivenSettings, Row, rows
from dunena.settings import Settings, describe_settings, held_value

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(dunena.__file__).parent

ROWS = list(rows().values())

OTHERS = {"DUNENA_URL", "DUNENA_COMPILE", "DUNENA_RELEASES_URL"}
"""Variables that are no setting of a server: of clients and of builds."""

PATTERNS = (
    "README.md", "docs/**/*.md", "dunena/**/*.py", "dunena/**/*.js", "packaging/docker/*",
    "packaging/services/*",
)  # fmt: skip

NAMING = {path for pattern in PATTERNS for path in ROOT.glob(pattern) if path.is_file()}
"""The files that name variables for users; the page on robustness names those of tests."""


def options_of(command: str) -> dict[str, typer.core.TyperOption]:
    """A command's options as typer has made them, by flag."""
    group = typer.main.get_command(app)
    parameters = group.commands[command].params
    return {one.opts[0]: one for one in parameters if isinstance(one, typer.core.TyperOption)}


SERVE = options_of("serve")
DOCTOR = options_of("doctor")


def test_rows_and_attributes_of_the_settings_correspond() -> None:
    assert [row.name for row in ROWS] == [field.name for field in dataclasses.fields(GivenSettings)]
    assert len({row.variable for row in ROWS}) == len(ROWS) >= 27


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_serve_has_the_flag_and_variable_of_each_row(row: Row) -> None:
    option = SERVE[row.flag]
    assert option.envvar == row.variable
    assert option.default == row.default
    assert row.help in option.help
    assert not option.hidden
    if row.setting.minimum is not None:
        assert (option.type.min, option.type.max) == (row.setting.minimum, row.setting.maximum)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_doctor_has_the_flag_and_variable_of_each_row(row: Row) -> None:
    option = DOCTOR[row.flag]
    assert (option.envvar, option.default) == (row.variable, row.default)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_describe_settings_includes_the_label_of_each_row(row: Row) -> None:
    """`/info` and `doctor` list what `describe_settings` returns."""
    assert row.label in describe_settings(Settings())


def test_serve_has_only_the_flags_of_the_table() -> None:
    assert SERVE.keys() == {row.flag for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_settings_page_lists_each_row(row: Row) -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith(f"| `{row.flag}` |")]
    assert f"| `{row.variable}` |" in line
    assert row.help in line


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_settings_without_arguments_have_the_defaults_of_the_table(row: Row) -> None:
    if row.name == "no_persist":
        assert Settings().cache_dir is None  # a folder is chosen by who starts it
        return
    held = held_value(Settings(), row)
    assert held == row.default or (row.default is None and not held)


def test_the_help_of_serve_names_the_irregular_variables() -> None:
    odd = [row.variable for row in ROWS if row.setting.variable]
    help_text = typer.main.get_command(app).commands["serve"].help
    assert f"The two whose name differs are {' and '.join(odd)}." in " ".join(help_text.split())


def test_only_existing_variables_are_named_in_code_and_documents() -> None:
    known = {row.variable for row in ROWS} | UNUSED.keys() | OTHERS
    for path in NAMING - {ROOT / "docs" / "robustness.md"}:
        named = set(re.findall(r"\bDUNENA_[A-Z_]*[A-Z]\b", path.read_text("utf-8")))
        assert named <= known, path


def test_only_existing_flags_are_named_in_the_server() -> None:
    known = {row.flag for row in ROWS}
    for room in ("server", "persistence"):
        for path in (PACKAGE / room).rglob("*.py"):
            named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]\b", path.read_text("utf-8")))
            assert named <= known, path


def test_variables_and_defaults_are_written_only_in_the_table() -> None:
    """Only whole string literals count: a text for people may name a variable."""
    variables = {row.variable for row in ROWS}
    homes = {PACKAGE / "setting_table.py", PACKAGE / "__init__.py"}
    for path in set(PACKAGE.rglob("*.py")) - homes:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant):
                assert node.value not in variables | {DEFAULTS.port, PORT_MAX}, path
