"""How tests start their servers on a shared store."""

from pathlib import Path

import pytest

from tests.support import shared_mode
from tests.support.shared_mode import is_later, store_words


def test_a_folder_and_how_it_is_written_become_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_mode, "nats_url", lambda: "nats://there")
    given = ("--no-persist", "--token", "t", "--fsync", "always", "--history", "0")
    words = store_words(Path("/a"), given)
    bucket = words[3]
    assert words == [
        "--store", "nats://there", "--bucket", bucket, "--token", "t", "--history", "0",
    ]  # fmt: skip
    assert store_words(Path("/a"), ())[3] == bucket
    assert store_words(Path("/b"), ())[3] != bucket


@pytest.mark.parametrize(
    ("store", "is_so"), [("", [False, True, False]), ("nats", [False, True, True])]
)
def test_revisions_of_a_shared_store_may_have_others_between(
    monkeypatch: pytest.MonkeyPatch, store: str, is_so: list[bool]
) -> None:
    monkeypatch.setenv(shared_mode.VARIABLE, store)
    assert [is_later(revision, 5, 2) for revision in (6, 7, 8)] == is_so
