"""The examples of the README run as documented, and its settings and file names are the real ones.

Its first lines are tried with a program in place of the download.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.made_up import load
from tests.support.documents import ROOT, blocks, try_curl_examples, try_python_example
from tests.support.server import ServerProcess

README = ROOT / "README.md"

RELEASE = "https://github.com/dunena/dunena/releases/latest/download"

TARGETS = load("releasekit.targets").TARGETS


def test_the_curl_examples_print_the_documented_output(server: ServerProcess, curl: Path) -> None:
    assert try_curl_examples("README.md", server, curl) == 2


def test_the_python_example_prints_the_documented_output(server: ServerProcess, curl: Path) -> None:
    assert try_curl_examples("README.md", server, curl) == 2
    (example,) = blocks("README.md", "python")
    try_python_example(example, server)


@pytest.mark.parametrize("shell", ["bash", "powershell", "bat"])
def test_the_first_lines_load_a_file_of_a_release_and_start_it(shell: str) -> None:
    (block,) = blocks("README.md", shell)
    download, make, start = block.splitlines()
    asset, saved_as = re.search(rf"{RELEASE}/(\S+) (?:-o|-OutFile) (\S+)", download).groups()
    assert asset in {target.executable for target in TARGETS}
    assert ("windows" in asset) == (shell != "bash")
    here = {"bash": "./", "powershell": ".\\", "bat": ""}[shell]
    assert (make, start) == (f"{here}{saved_as} new scoreboard", f"{here}{saved_as}")


@pytest.mark.skipif(sys.platform == "win32", reason="there the lines are others")
def test_the_first_lines_in_bash_make_a_scoreboard(tmp_path: Path) -> None:
    program = tmp_path / "release" / "curl"
    program.parent.mkdir()
    # What is loaded runs this dunena, and does not stay when it is to serve.
    stub = f'#!/bin/sh\n[ $# -gt 0 ] || exit 7\nexec "{sys.executable}" -P -m dunena "$@"\n'
    (program.parent / "stub").write_text(stub, encoding="utf-8")
    program.write_text('#!/bin/sh\ncp "${0%curl}stub" "$4"\n', encoding="utf-8")
    program.chmod(0o755)
    (block,) = blocks("README.md", "bash")
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", block], cwd=tmp_path, env={**os.environ, "PATH": path}, check=False
    )
    assert done.returncode == 7, "the last line starts the server"
    assert (tmp_path / "www" / "scoreboard" / "overlay.html").is_file()


@pytest.mark.parametrize("document", ["README.md", "docs/index.md"])
def test_what_the_buttons_load_are_files_of_a_release(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    loaded = re.findall(rf"\]\({RELEASE}/([^)]+)\)", text)
    assert len(loaded) == len(set(loaded)) >= 4
    assert set(loaded) <= {file for target in TARGETS for file in target.files}


def test_the_table_of_files_is_that_of_the_releases() -> None:
    text = README.read_text("utf-8")
    rows = re.findall(r"^\| [^|]+ \| `(dunena-[^`]+)` \| `(dunena-[^`]+)` \|$", text, re.MULTILINE)
    assert rows == [(target.executable, target.archive) for target in TARGETS]


def test_the_settings_in_the_readme_match_the_reference() -> None:
    listed = settings_in(README)
    assert len(listed) == 8
    assert set(listed) <= set(settings_in(ROOT / "docs" / "settings.md"))


def settings_in(document: Path) -> list[tuple[str, str, str]]:
    """Flag, variable and default of each setting in a document's table."""
    row = r"^\| `(--[a-z-]+)` \| `([A-Z_]+)` \| ([^|]+?) \|"
    return re.findall(row, document.read_text("utf-8"), re.MULTILINE)
