"""The examples in docs/python.md print what is written below them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import ServerProcess

DOCUMENT = Path(__file__).parents[2] / "docs" / "python.md"

EXAMPLES = re.findall(
    r"^```python\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_example_prints_what_is_below_it(server: ServerProcess, number: int):
    example = EXAMPLES[number]
    code, expected = re.fullmatch(
        r"(.*?)((?:^# .*\n)+)", example, re.MULTILINE | re.DOTALL
    ).groups()
    port = f"localhost:{server.port}"
    code = code.replace("localhost:3000", port).replace("connect()", f'connect("{port}")')
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    assert done.stdout == expected.replace("# ", "")


def test_there_are_examples():
    assert len(EXAMPLES) == 5


def test_the_arguments_are_those_of_connect():
    import inspect

    import dunena

    (written,) = re.findall(r"^`connect\((.*)\)`$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    for connect in (dunena.connect, dunena.sync.connect):
        shown = [
            str(one.replace(annotation=inspect.Parameter.empty)).replace("'", '"')
            for one in inspect.signature(connect).parameters.values()
        ]
        assert ", ".join([shown[0], "*", *shown[1:]]) == written
