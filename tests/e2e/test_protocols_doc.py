"""The examples in docs/protocols.md print what is written below them."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocols.md"

EXAMPLE = re.compile(r"^```sh\n(curl .*)\n# (.*)\n```$", re.MULTILINE)


def test_the_curl_examples(server: ServerProcess, curl: Path) -> None:
    for entry in (
        {"key": "score", "value": {"home": 2, "guest": 1}},
        {"key": "sponsor", "value": "ACME", "ttl": 60_000},
        {"key": "host", "value": "Ada", "ns": "show"},
    ):
        assert http(server, "POST", "/set", entry).status == 200
    examples = EXAMPLE.findall(DOCUMENT.read_text("utf-8"))
    assert len(examples) == 5
    for command, expected in examples:
        words = shlex.split(command.replace("localhost:3000", f"localhost:{server.port}"))
        done = subprocess.run([curl, "-sS", *words[1:]], capture_output=True, check=True)
        assert_as_written(done.stdout.decode(), expected.replace("3000", str(server.port)))


def assert_as_written(actual: str, expected: str) -> None:
    """Compare texts in which "..." stands for any string or number."""
    pattern = re.escape(expected).replace(r'"\.\.\."', r'"[^"]+"').replace(r"\.\.\.", r"\d+")
    assert re.fullmatch(pattern, actual), f"{actual}\n{expected}"


def test_every_path_of_the_document_is_one(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--www", str(tmp_path))
    text = DOCUMENT.read_text("utf-8")
    paths = set(re.findall(r"`(?:GET|POST|DELETE) (/[a-z/-]*(?:\.[a-z]+)?)", text))
    assert {"/entries", "/namespaces", "/server", "/pages-from-disk"} <= paths
    for path in paths:
        probe: Any = http(server, "OPTIONS", f"{path}k" if path.endswith("/") else path)
        assert probe.status == 204, path


@pytest.mark.parametrize("wrong", ['{"a": "x"}', '{"a": 1, "b": 2}', ""])
def test_the_comparison_can_fail(wrong: str) -> None:
    assert_as_written('{"a": 1}', '{"a": ...}')
    with pytest.raises(AssertionError):
        assert_as_written(wrong, '{"a": ...}')
