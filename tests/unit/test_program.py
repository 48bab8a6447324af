"""Arguments are passed on unchanged on every system."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import typer.core

from dunena.cli import program


def test_arguments_are_not_expanded_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    def expand(arguments: Any) -> Any:
        pytest.fail(f"{arguments} would be expanded")

    monkeypatch.setattr(typer.core, "os", SimpleNamespace(name="nt", environ={}))
    monkeypatch.setattr("typer._click.utils._expand_args", expand)
    monkeypatch.setattr(sys, "argv", ["dunena", "version"])
    with pytest.raises(SystemExit) as ended:
        program.run()
    assert ended.value.code == 0
