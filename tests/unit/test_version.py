"""The version is written once, and every report of it agrees."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import dunena

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_has_a_form_that_all_tools_order():
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", dunena.__version__)


def test_pyproject_takes_the_version_from_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "dunena/__init__.py"


def test_the_version_agrees_with_the_changelog():
    script = ROOT / "build" / "release.py"
    done = subprocess.run(
        [sys.executable, script, "version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{dunena.__version__}\n"


def test_the_version_command_prints_the_version():
    command = [sys.executable, "-P", "-m", "dunena", "version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"dunena {dunena.__version__}\n"
