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
    """An example with the test server's address in it, for this machine's or for another's."""
    return re.sub(r"(?:localhost|192\.168\.1\.10):3000", f"localhost:{server.port}", text)


def assert_as_written(actual: str, expected: str) -> None:
    """Compare texts in which "..." stands for any string or number, [...] for a list of strings."""
    pattern = re.escape(expected).replace(r"\[\.\.\.\]", r'\[(?:"[^"]+",?)*\]')
    pattern = pattern.replace(r'"\.\.\."', r'"[^"]+"').replace(r"\.\.\.", r"\d+")
    assert re.fullmatch(pattern, actual), f"{actual}\n{expected}"


def shell_examples(document: str, program: str) -> list[tuple[str, str]]:
    """Each command of a document for a program, with what is written below it."""
    text = "\n".join(blocks(document, "sh"))
    found = re.findall(rf"^({program} .*)\n((?:# .*\n)+)", text, re.MULTILINE)
    assert len(found) == len(re.findall(f"^{program} ", text, re.MULTILINE)), "one says no answer"
    return [
        (command, re.sub("^# ", "", answer[:-1], flags=re.MULTILINE)) for command, answer in found
    ]


def try_examples(document: str, server: ServerProcess, program: Path, *options: str) -> int:
    """Run those of a document for a program, in order; how many there are."""
    examples = shell_examples(document, program.stem)
    for command, expected in examples:
        words = [program, *options, *shlex.split(at(server, command))[1:]]
        done = subprocess.run(words, capture_output=True, check=True, timeout=SECONDS_MAX)
        printed = done.stdout.decode().replace("\r\n", "\n").removesuffix("\n")
        assert_as_written(printed, expected.replace("3000", str(server.port)))
    return len(examples)


def try_curl_examples(document: str, server: ServerProcess, curl: Path) -> int:
    """The same for curl."""
    return try_examples(document, server, curl, "-sS")


def try_stream_example(example: str, server: ServerProcess, curl: Path) -> None:
    """Run a curl command behind "$ " that does not end, until it has printed what is below it."""
    command, _, expected = at(server, example.removeprefix("$ ")).partition("\n")
    words = [curl, "-sS", *shlex.split(command)[1:]]
    printed = ""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        while printed.count("\n") < expected.count("\n"):
            line = running.stdout.readline()
            assert line, f"it ended: {printed}"
            printed += line
        running.kill()
    assert re.fullmatch(re.escape(expected).replace(r"\.\.\.", r"\w+"), printed), printed


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
