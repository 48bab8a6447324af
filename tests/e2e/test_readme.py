"""The examples of the README run as documented, and its settings match the reference."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.documents import ROOT, at, blocks, try_curl_examples
from tests.support.server import ServerProcess

README = ROOT / "README.md"


def test_the_curl_examples_print_the_documented_output(server: ServerProcess, curl: Path) -> None:
    assert try_curl_examples("README.md", server, curl) == 2


def test_the_page_example_follows_a_value(
    server: ServerProcess, node: Path, node_modules: Path, curl: Path
) -> None:
    (example,) = blocks("README.md", "js")
    script = f"globalThis.WebSocket = require('ws');\n{at(server, example)}"
    with subprocess.Popen(
        [node, "-e", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NODE_PATH": str(node_modules)},
    ) as process:
        assert process.stdout is not None
        body = '{"key": "score", "value": {"home": 2}}'
        url = f"{server.url}/set"
        # Set before or after it subscribed, the value comes; the loop ends with the first line.
        subprocess.run([curl, "-sS", "-d", body, url], capture_output=True, check=True)
        assert process.stdout.readline() == "score { home: 2 }\n"
        process.kill()


def test_the_python_example_prints_the_replies(server: ServerProcess) -> None:
    (example,) = blocks("README.md", "python")
    done = subprocess.run(
        [sys.executable, "-c", at(server, example)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "connected"
    assert len(lines) == 4
    assert "'ok': True" in done.stdout
    assert "'value': 'hello'" in done.stdout
    assert "'event': 'set'" in done.stdout


def test_the_settings_in_the_readme_match_the_reference() -> None:
    listed = settings_in(README)
    assert len(listed) == 8
    assert set(listed) <= set(settings_in(ROOT / "docs" / "settings.md"))


def settings_in(document: Path) -> list[tuple[str, str, str]]:
    """Flag, variable and default of each setting in a document's table."""
    row = r"^\| `(--[a-z-]+)` \| `([A-Z_]+)` \| ([^|]+?) \|"
    return re.findall(row, document.read_text("utf-8"), re.MULTILINE)
