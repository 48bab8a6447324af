"""Finding strings whose JSON has no escapes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.store.plain_json import is_plain_string


@given(st.text(max_size=60))
def test_a_string_is_plain_if_its_json_has_only_its_own_ascii_characters(text: str) -> None:
    encoded = json.dumps(text, ensure_ascii=False)
    is_plain = text.isascii() and encoded == f'"{text}"'
    assert is_plain_string(encoded.encode(errors="surrogatepass")) is is_plain


@pytest.mark.parametrize("place", range(40))
@pytest.mark.parametrize("other", [b"\\", b'"', b"\x00", b"\x1f", b"\x80", b"\xff"])
def test_one_other_byte_is_found_at_every_place(place: int, other: bytes) -> None:
    text = b'"' + b"a" * place + other + b"a" * (39 - place) + b'"'
    assert is_plain_string(text) is False
    assert is_plain_string(text.replace(other, b"~\x7f ") if other != b'"' else b'"a"') is True


@pytest.mark.parametrize(
    "text", [b"", b'"', b"a", b'"a', b'a"', b' "a"', b'"a" ', b"1", b"null", b'["a"]', b'"a","b"']
)
def test_anything_else_is_no_plain_string(text: bytes) -> None:
    assert is_plain_string(text) is False


def test_the_empty_string_is_plain() -> None:
    assert is_plain_string(b'""') is True
