"""build/dev.py mutate: what it mutates, with which tests, and how it counts."""

import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "build"))
try:
    from devkit import mutation
    from devkit.console import CommandError
finally:
    sys.path.remove(str(ROOT / "build"))


def test_every_module_and_its_test_files_exist() -> None:
    for module, tests in mutation.SUITES.items():
        assert (ROOT / module).is_file(), module
        assert tests, module
        for path in tests:
            assert (ROOT / path).is_file(), path


def test_without_arguments_all_modules_are_mutated() -> None:
    assert mutation.choose_modules([]) == list(mutation.SUITES)
    assert mutation.choose_modules(["dunena/frames.py"]) == ["dunena/frames.py"]


def test_a_module_without_tests_of_its_own_is_refused_and_others_are_named() -> None:
    with pytest.raises(CommandError, match=r"(?s)^dunena/logs\.py cannot be mutated.*/hub\.py"):
        mutation.choose_modules(["dunena/frames.py", "dunena/logs.py"])


def test_a_mutant_that_no_test_reaches_survives_and_one_that_hangs_or_crashes_is_killed() -> None:
    killed = [1, 3, 24, 36, 152, 255, -11]
    score = mutation.count_mutants("m.py", [*killed, 0, 5, 33, 34])
    assert (score.mutants, score.killed, score.survived) == (10, 7, 3)
    assert score.percent == 70


@pytest.mark.parametrize("code", [None, 2])
def test_a_run_that_did_not_end_has_no_score(code: int | None) -> None:
    with pytest.raises(CommandError, match=r"m\.py"):
        mutation.count_mutants("m.py", [1, code])


def test_the_table_has_a_line_for_each_module() -> None:
    scores = [mutation.Score("a.py", 3, 2), mutation.Score("b.py", 0, 0)]
    assert mutation.make_table(scores).splitlines() == [
        "| module | mutants | killed | survived | score |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| `a.py` | 3 | 2 | 1 | 66.7 % |",
        "| `b.py` | 0 | 0 | 0 | 100.0 % |",
    ]


def test_the_settings_name_one_module_and_its_tests() -> None:
    settings = tomllib.loads(mutation.make_settings("dunena/frames.py"))["tool"]["mutmut"]
    assert settings["only_mutate"] == ["dunena/frames.py"]
    assert settings["pytest_add_cli_args_test_selection"] == ["tests/unit/test_frames.py"]


def test_every_module_is_mutated_in_a_folder_of_its_own() -> None:
    folders = {mutation.folder_of(module) for module in mutation.SUITES}
    assert len(folders) == len(mutation.SUITES)
    assert all(folder.parent == mutation.FOLDER for folder in folders)
