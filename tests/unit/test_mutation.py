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


def test_choose_modules_without_arguments_chooses_all() -> None:
    assert mutation.choose_modules([]) == list(mutation.SUITES)
    assert mutation.choose_modules(["dunena/frames.py"]) == ["dunena/frames.py"]


def test_choose_modules_refuses_an_unlisted_module_and_names_the_listed_ones() -> None:
    with pytest.raises(CommandError, match=r"(?s)^dunena/logs\.py cannot be mutated.*/hub\.py"):
        mutation.choose_modules(["dunena/frames.py", "dunena/logs.py"])


def test_count_mutants_counts_hangs_and_crashes_as_killed_and_unreached_as_survived() -> None:
    killed = [1, 3, 24, 36, 152, 255, -11]
    score = mutation.count_mutants("m.py", [*killed, 0, 5, 33, 34])
    assert (score.mutants, score.killed, score.survived) == (10, 7, 3)
    assert score.percent == 70


@pytest.mark.parametrize("code", [None, 2])
def test_count_mutants_raises_for_an_unfinished_run(code: int | None) -> None:
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


def test_make_settings_selects_one_module_and_its_tests() -> None:
    settings = tomllib.loads(mutation.make_settings("dunena/frames.py"))["tool"]["mutmut"]
    assert settings["only_mutate"] == ["dunena/frames.py"]
    assert settings["pytest_add_cli_args_test_selection"] == ["tests/unit/test_frames.py"]


def test_each_module_is_mutated_in_its_own_folder() -> None:
    folders = {mutation.folder_of(module) for module in mutation.SUITES}
    assert len(folders) == len(mutation.SUITES)
    assert all(folder.parent == mutation.FOLDER for folder in folders)
