"""The examples in docs/python.md print the documented output."""

import re

import pytest

from tests.support.documents import ROOT, blocks, try_python_example
from tests.support.server import ServerProcess

DOCUMENT = "docs/python.md"

EXAMPLES = blocks(DOCUMENT, "python")


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_each_python_example_prints_the_documented_output(server: ServerProcess, number: int):
    try_python_example(EXAMPLES[number], server)


def test_the_python_page_has_twelve_examples():
    assert len(EXAMPLES) == 12


def test_the_documented_arguments_of_connect_match_its_signature():
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
