"""File names of keys, and back."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.persistence.disk.files import (
    FILE_NAME_BYTES_MAX,
    decode_file_name,
    key_file_name,
    namespace_folder_name,
    record_of,
)
from dunena.store.names import is_name

WINDOWS_FORBIDDEN = set('<>:"/\\|?*') | {chr(code) for code in range(32)}

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=300).filter(
    is_name
)
awkward = st.text(
    st.sampled_from("aA.%~ /\\:C41cOoNn-\u00e9\u0130\U0001f600"), min_size=1, max_size=200
).filter(is_name)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("player-position", "player-position.json"),
        ("session-42", "session-42.json"),
        ("a b", "a b.json"),
        ("-_.~@+=,()[]{}!'& x", "-_.~@+=,()[]{}!'& x.json"),
        ("a/b", "a%2Fb.json"),
        ("../x", "%2E.%2Fx.json"),
        (".hidden", "%2Ehidden.json"),
        (".", "%2E.json"),
        ("..", "%2E%2E.json"),
        ("end.", "end%2E.json"),
        ("end ", "end%20.json"),
        ("%41", "%2541.json"),
        ("A", "A.json"),
        ("con", "%63on.json"),
        ("CON", "%43ON.json"),
        ("con.txt", "%63on.txt.json"),
        ("con .txt", "%63on .txt.json"),
        ("console", "console.json"),
        ("Nul", "%4Eul.json"),
        ("lpt9", "%6Cpt9.json"),
        ("com10", "com10.json"),
        ("caf\u00e9", "caf%C3%A9.json"),
        ("a:b", "a%3Ab.json"),
        ("a.json", "a.json.json"),
    ],
)
def test_key_file_name_escapes_unsafe_characters(key: str, name: str) -> None:
    assert key_file_name(key, folds_case=False).text == name


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("Foo", "%46oo.json"),
        ("foo", "foo.json"),
        ("CON", "%43%4F%4E.json"),
        ("longna~1", "longna%7E1.json"),
    ],
)
def test_key_file_name_escapes_capitals_and_short_names_where_case_is_folded(
    key: str, name: str
) -> None:
    assert key_file_name(key, folds_case=True).text == name


def test_namespace_folder_name_escapes_names_like_windows_short_names() -> None:
    """Windows calls the folder `longnamespace` LONGNA~1 as well."""
    assert namespace_folder_name("longna~1", folds_case=True).text == "longna%7E1"
    assert namespace_folder_name("longna~1", folds_case=False).text == "longna~1"
    assert decode_file_name("longna%7E1") == decode_file_name("longna~1") == "longna~1"


def test_namespace_folder_name_never_looks_like_a_value_file() -> None:
    assert namespace_folder_name("app", folds_case=False).text == "app"
    assert namespace_folder_name("a.json", folds_case=False).text == "a%2Ejson"
    assert namespace_folder_name("a.JSON", folds_case=False).text == "a%2EJSON"
    assert namespace_folder_name(".dunena", folds_case=False).text == "%2Edunena"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("plain", "plain"),
        ("%70lain", "plain"),
        ("%c3%a9", "\u00e9"),
        ("\u00e9", "\u00e9"),
        ("100%", "100%"),
        ("%zz", "%zz"),
        ("%FF", "%FF"),
        ("a%0Ab", "a%0Ab"),
        ("%00", "%00"),
        ("%C3%A9%", "\u00e9%"),
        ("%C3", "%C3"),
        ("a\x01", None),
        ("a\x01%41", None),
        ("\udcff", None),
        ("a%~" + "0" * 32, None),
        ("a%~b", "a%~b"),
    ],
)
def test_decode_file_name_accepts_every_escaped_form(text: str, name: str | None) -> None:
    assert decode_file_name(text) == name


@given(names | awkward, st.booleans())
def test_a_file_name_is_portable_and_decodes_to_its_key(name: str, folds_case: bool) -> None:
    for made, suffix in (
        (key_file_name(name, folds_case=folds_case), ".json"),
        (namespace_folder_name(name, folds_case=folds_case), ""),
    ):
        assert len(made.text.encode()) <= FILE_NAME_BYTES_MAX
        assert made.text.isascii()
        assert not set(made.text) & WINDOWS_FORBIDDEN
        assert not made.text.startswith(".")
        assert not made.text.endswith((".", " "))
        if folds_case:
            bare = made.text
            for position in [i for i, char in enumerate(bare) if char == "%"]:
                bare = (
                    bare[: position + 1]
                    + bare[position + 1 : position + 3].lower()
                    + bare[position + 3 :]
                )
            assert not set(bare) & set(string.ascii_uppercase)
            assert "~" not in bare.replace("%~", ""), "a short name of Windows"
        text = made.text.removesuffix(suffix)
        if made.record is None:
            assert decode_file_name(text) == name
        else:
            assert record_of(text) == made.record
            assert decode_file_name(text) is None


@given(names | awkward, names | awkward, st.booleans())
def test_two_keys_never_have_the_same_file_name(one: str, other: str, folds_case: bool) -> None:
    if one == other:
        return
    pair = [key_file_name(name, folds_case=folds_case).text for name in (one, other)]
    if folds_case:
        pair = [text.lower() for text in pair]
    assert pair[0] != pair[1]
    folder = namespace_folder_name(one, folds_case=folds_case).text
    assert folder.lower() != pair[1].lower(), "nor does a folder stand where a file belongs"


@pytest.mark.parametrize("size", [249, 250, 251, 512])
def test_a_key_over_250_bytes_gets_a_shortened_file_name(size: int) -> None:
    made = key_file_name("k" * size, folds_case=False)
    assert (made.record is None) == (size <= 250)
    assert len(made.text) == min(255, size + 5)


def test_shortened_names_differ_and_are_not_cut_inside_an_escape() -> None:
    one, other = (key_file_name("\u00e9" * 200 + end, folds_case=False) for end in "ab")
    assert one.text != other.text
    escapes = one.text.split("%~")[0].split("%")[1:]
    assert all(len(escape) == 2 for escape in escapes)
