"""Windows device names: recognized, and never used for pages or values."""

import pytest

from dunena.persistence.disk.files import key_file_name
from dunena.windows_names import is_device, is_plain_name

DEVICES = ["con", "PRN", "aux", "nul", "com0", "COM9", "lpt3", "conin$", "CONOUT$", "com¹", "LPT³"]


@pytest.mark.parametrize("end", ["", ".html", " .tar.gz", " "])
@pytest.mark.parametrize("device", DEVICES)
def test_is_device_recognizes_a_device_name_with_any_extension(device: str, end: str) -> None:
    assert is_device(device + end)
    assert not is_plain_name(device + end)


@pytest.mark.parametrize("name", ["cons", "com", "com10", "console.html", "my.con", "lpt", "con$"])
def test_is_device_rejects_names_that_only_resemble_a_device(name: str) -> None:
    assert not is_device(name)
    assert is_plain_name(name)


@pytest.mark.parametrize("device", DEVICES)
def test_key_file_name_is_never_a_device_name(device: str) -> None:
    assert not is_device(key_file_name(device, folds_case=False).text)
    assert not is_device(key_file_name(f"{device}.txt", folds_case=False).text)


def test_key_file_name_escapes_special_device_characters_as_before() -> None:
    """File names in existing folders must not change."""
    assert key_file_name("conin$", folds_case=False).text == "conin%24.json"
    assert key_file_name("com¹", folds_case=False).text == "com%C2%B9.json"


@pytest.mark.parametrize("name", ["bad\udcff.html", "\ud800", "a\udfff"])
def test_a_name_that_is_no_text_is_not_plain(name: str) -> None:
    assert not is_plain_name(name)
