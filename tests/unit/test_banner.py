"""The lines of the banner: the folder of pages, and how to begin."""

from pathlib import Path

import pytest

from dunena.cli.banner import banner
from dunena.persistence.policy import StoreSettings
from dunena.settings import Settings

URL = "http://localhost:3000"


@pytest.mark.parametrize(
    ("entries", "cache_dir", "line"),
    [
        (0, Path("values"), f"the key score is the file {Path('values') / 'score.json'}"),
        (0, None, 'press "New key" on the test page'),
        (1, Path("values"), None),
    ],
)
def test_the_banner_says_how_to_begin_while_there_is_no_key(
    entries: int, cache_dir: Path | None, line: str | None
) -> None:
    text = banner(Settings(cache_dir=cache_dir), URL, ("127.0.0.1:3000",), entries, [])
    (*_, shown) = [row for row in text.splitlines() if "First key" in row] or [None]
    if line is None:
        assert shown is None
    else:
        assert shown is not None
        assert shown.endswith(line)
    assert f"{URL}/test" in text


@pytest.mark.parametrize(
    ("entries", "counted"), [(None, "not loaded yet"), (0, "0 keys"), (1, "1 key"), (12, "12 keys")]
)
def test_the_banner_names_the_shared_store_in_place_of_a_folder(
    entries: int | None, counted: str
) -> None:
    store = StoreSettings(("nats://n1:4222", "nats://n2:4222"), "show", password="geheim")
    text = banner(Settings(store=store), URL, ("127.0.0.1:3000",), entries, [])
    assert f"  Data        bucket show at nats://n1:4222, nats://n2:4222 ({counted})\n" in text
    assert ("First key" in text) == (entries == 0)
    assert "geheim" not in text


def test_the_banner_has_the_address_of_the_pages(tmp_path: Path) -> None:
    def text(www: Path | None) -> str:
        return banner(Settings(www=www), URL, ("127.0.0.1:3000",), 1, [])

    assert f"  Your pages  {URL}/www/\n" in text(tmp_path)
    assert "/www/" not in text(None)


def test_the_banner_has_the_addresses_for_phones_if_there_are_any() -> None:
    def text(*phones: str) -> str:
        return banner(Settings(), URL, ("0.0.0.0:3000",), 1, [], phones=phones)

    pages = ("http://192.168.1.10:3000/test", "http://10.0.0.7:3000/test")
    assert f"  Phones      {pages[0]}, {pages[1]}\n" in text(*pages)
    assert "Phones" not in text()
