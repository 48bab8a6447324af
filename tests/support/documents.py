"""The examples in the documents, as they are written there, and what running one takes."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.server import ServerProcess

ROOT = Path(__file__).parents[2]

SECONDS_MAX = 30
"""For one example: a busy machine is no bug, a hanging example is."""


def blocks(document: str, language: str) -> list[str]:
    """The code blocks of a language in a document, by its path in the repository."""
    text = (ROOT / document).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def at(server: ServerProcess, text: str) -> str:
    """An example with the test server's port in it."""
    return text.replace("localhost:3000", f"localhost:{server.port}")


def assert_as_written(actual: str, expected: str) -> None:
    """Compare texts in which "..." stands for any string or number, [...] for a list of strings."""
    pattern = re.escape(expected).replace(r"\[\.\.\.\]", r'\[(?:"[^"]+",?)*\]')
    pattern = pattern.replace(r'"\.\.\."', r'"[^"]+"').replace(r"\.\.\.", r"\d+")
    assert re.fullmatch(pattern, actual), f"{actual}\n{expected}"


def curl_examples(document: str) -> list[tuple[str, str]]:
    """Each curl command of a document, with what is written below it."""
    text = "\n".join(blocks(document, "sh"))
    found = re.findall(r"^(curl .*)\n# (.*)$", text, re.MULTILINE)
    assert len(found) == len(re.findall("^curl ", text, re.MULTILINE)), "one says no answer"
    return found


def try_curl_examples(document: str, server: ServerProcess, curl: Path) -> int:
    """Run those of a document, in order; how many there are."""
    examples = curl_examples(document)
    for command, expected in examples:
        words = shlex.split(at(server, command))
        done = subprocess.run([curl, "-sS", *words[1:]], capture_output=True, check=True)
        assert_as_written(done.stdout.decode(), expected.replace("3000", str(server.port)))
    return len(examples)


def python_code(example: str, server: ServerProcess) -> str:
    """A Python example that finds the test's server, also where its `connect` names none."""
    return re.sub(r'\.connect\((?!")', f'.connect("localhost:{server.port}", ', at(server, example))


def try_python_example(example: str, server: ServerProcess) -> None:
    """Run one that ends with what it prints, in comments."""
    code, expected = re.fullmatch(
        r"(.*?)((?:^# .*\n)+)", example, re.MULTILINE | re.DOTALL
    ).groups()
    command = [sys.executable, "-c", python_code(code, server)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX)
    assert done.stderr == ""
    assert done.stdout == expected.replace("# ", "")
