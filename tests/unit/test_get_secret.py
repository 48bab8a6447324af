"""The secret of GET writes on disk."""

from pathlib import Path

import pytest

from dunena.server.access.get_secret import FILE_NAME, is_get_secret, make_or_read_secret


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("0123456789abcdef", True),
        ("A.b_c~d-e0123456", True),
        ("0123456789abcde", False),
        ("0123456789abcdef/", False),
        ("0123456789 abcdef", False),
        ("-123456789abcdef", False),
        (".123456789abcdef", False),
        ("0123456789abcdeü", False),
        ("a" * 128, True),
        ("a" * 129, False),
        ("0123456789abcdef\n", False),
    ],
)
def test_a_secret_is_long_and_stands_in_an_address_as_it_is(text: str, is_one: bool) -> None:
    assert is_get_secret(text) is is_one


def test_a_made_secret_is_read_again(tmp_path: Path) -> None:
    made = make_or_read_secret(tmp_path)
    assert is_get_secret(made)
    assert make_or_read_secret(tmp_path) == made
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_without_a_folder_each_secret_is_another_one() -> None:
    assert make_or_read_secret(None) != make_or_read_secret(None)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 40])
def test_a_file_without_a_secret_gets_another_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    made = make_or_read_secret(tmp_path)
    assert is_get_secret(made)
    assert make_or_read_secret(tmp_path) == made


def test_a_draft_that_a_crash_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f"{FILE_NAME}.tmp").write_bytes(b"half")
    made = make_or_read_secret(tmp_path)
    assert make_or_read_secret(tmp_path) == made


def test_a_file_that_is_none_raises_an_os_error(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(OSError, match="folder"):
        make_or_read_secret(tmp_path)
