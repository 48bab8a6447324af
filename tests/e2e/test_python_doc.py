"""The examples in docs/python.md print what is written below them."""

import re

import pytest

from tests.support.documents import ROOT, blocks, try_python_example
from tests.support.server import ServerProcess

DOCUMENT = "docs/python.md"

EXAMPLES = blocks(DOCUMENT, "python")


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_example_prints_what_is_below_it(server: ServerProcess, number: int):
    try_python_example(EXAMPLES[number], server)


def test_there_are_examples():
    assert len(EXAMPLES) == 5


def test_the_arguments_are_those_of_connect():
    import inspect

    import dunena

    text = (ROOT / DOCUMENT).read_text("utf-8")
    (written,) = re.findall(r"^`connect\((.*)\)`$", text, re.MULTILINE)
    for connect in (dunena.connect, dunena.sync.connect):
        shown = [
            str(one.replace(annotation=inspect.Parameter.empty)).replace("'", '"')
            for one in inspect.signature(connect).parameters.values()
        ]
        assert ", ".join([shown[0], "*", *shown[1:]]) == written
