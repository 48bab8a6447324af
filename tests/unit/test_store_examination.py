"""What `doctor` says of a shared store besides what the servers answer."""

import sys
from pathlib import Path
from typing import Any

import pytest

from dunena.cli.finding import Level
from dunena.cli.store_examination import examine_shared_store
from dunena.persistence.jetstream import examination
from dunena.persistence.jetstream.findings import StoreFinding
from dunena.persistence.policy import StoreSettings


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[StoreSettings, int]]:
    """The stores that were examined, in place of an examination."""
    stores: list[tuple[StoreSettings, int]] = []

    def examine(store: StoreSettings, value_bytes_max: int) -> list[StoreFinding]:
        stores.append((store, value_bytes_max))
        return [StoreFinding("bad", "rights", "missing: all", "give them")]

    monkeypatch.setattr(examination, "examine_store", examine)
    return stores


def test_the_findings_of_the_store_are_those_of_the_examination(
    asked: list[tuple[StoreSettings, int]],
) -> None:
    store = StoreSettings(("nats://localhost:4222",), "show")
    found = examine_shared_store(store, 1000)
    assert asked == [(store, 1000)]
    assert [(one.level, one.about, one.text, one.advice) for one in found] == [
        (Level.GOOD, "store", "bucket show", ""),
        (Level.BAD, "rights", "missing: all", "give them"),
    ]


@pytest.mark.parametrize(
    ("server", "login", "is_told"),
    [
        ("nats://n1:4222", {"user": "me", "password": "p"}, True),
        ("nats://n1:4222", {"token_file": Path("t")}, True),
        ("nats://n1:4222", {}, False),
        ("nats://n1:4222", {"nkey_file": Path("seed")}, False),
        ("nats://n1:4222", {"token": "t", "ca_file": Path("ca.pem")}, False),
        ("nats://localhost:4222", {"token": "t"}, False),
        ("nats://[::1]:4222", {"token": "t"}, False),
        ("tls://n1:4222", {"token": "t"}, False),
    ],
)
@pytest.mark.usefixtures("asked")
def test_a_password_without_encryption_is_worth_a_note(
    server: str, login: dict[str, Any], is_told: bool
) -> None:
    found = examine_shared_store(StoreSettings((server,), **login), 0)
    notes = [one for one in found if one.level is Level.NOTE]
    assert [one.about for one in notes] == (["login"] if is_told else [])


def test_a_missing_package_is_a_finding_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "nats"]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("dunena.persistence.jetstream")]:
        monkeypatch.delitem(sys.modules, name)

    class NoPackage:
        def find_spec(self, name: str, *_: object) -> None:
            if name.split(".")[0] == "nats":
                raise ModuleNotFoundError("No module named 'nats'", name="nats")

    monkeypatch.setattr(sys, "meta_path", [NoPackage(), *sys.meta_path])
    (found,) = examine_shared_store(StoreSettings(("nats://localhost:4222",)), 0)
    assert (found.level, found.about) == (Level.BAD, "store")
    assert 'pip install "dunena[nats]"' in found.advice
