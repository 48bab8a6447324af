"""The decision to admit pages opened from disk, and who may change it."""

import logging
from pathlib import Path

import pytest

from dunena.server.access.admission import Admission
from dunena.server.access.null_origin import FILE_NAME, NullOriginPolicy
from dunena.server.http.message import Request
from dunena.settings import Settings
from dunena.telemetry import Telemetry

OWN = "http://localhost:3000"
JSON = "application/json"


def test_null_origin_is_refused_by_default(tmp_path: Path) -> None:
    pages = NullOriginPolicy(tmp_path)
    pages.load()
    assert not pages.are_let_in


def test_a_decision_is_stored_and_loaded_until_it_is_revoked(tmp_path: Path) -> None:
    for let_in in (True, False, True):
        pages = NullOriginPolicy(tmp_path)
        pages.choose(let_in=let_in)
        assert pages.are_let_in == let_in
        again = NullOriginPolicy(tmp_path)
        again.load()
        assert again.are_let_in == let_in
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"true", b'{"letPagesFromDiskIn": "yes"}', b"\xff"]
)
def test_an_unreadable_decision_file_refuses_null_origin(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    pages = NullOriginPolicy(tmp_path)
    pages.load()
    assert not pages.are_let_in


def test_a_decision_that_cannot_be_stored_raises_and_has_no_effect(tmp_path: Path) -> None:
    pages = NullOriginPolicy(tmp_path / "missing")
    with pytest.raises(OSError, match="missing"):
        pages.choose(let_in=True)
    assert not pages.are_let_in


def test_a_decision_without_a_folder_is_not_stored() -> None:
    pages = NullOriginPolicy(None)
    pages.load()
    pages.choose(let_in=True)
    assert pages.are_let_in
    assert not pages.is_remembered


@pytest.mark.parametrize("origin", ["null", "*"])
def test_allow_origin_on_the_command_line_overrides_the_decision(origin: str) -> None:
    rules = Admission(Settings(allow_origins=frozenset({origin})), 3000, Telemetry(0))
    assert rules.disk_pages.always
    rules.disk_pages.choose(let_in=False)
    assert rules.allows_origin("null", "localhost:3000")


def test_a_decision_takes_effect_at_once() -> None:
    rules = Admission(Settings(), 3000, Telemetry(0))
    for let_in in (True, False):
        rules.disk_pages.choose(let_in=let_in)
        assert rules.allows_origin("null", "localhost:3000") == let_in


def decision(settings: Settings | None = None, **headers: str) -> int:
    """The status for somebody who wants to decide; 200 if they may."""
    named = {"host": "localhost:3000", "origin": OWN, "content-type": JSON}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    rules = Admission(settings or Settings(), 3000, Telemetry(0))
    rules.disk_pages.choose(let_in=True)  # even then a page from disk decides nothing
    refusal = rules.refusal_of_decision(Request("POST", headers=named))
    return 200 if refusal is None else refusal.status


def test_a_page_of_the_server_may_change_the_decision() -> None:
    assert decision() == 200
    assert decision(content_type="application/json; charset=utf-8") == 200
    assert decision(host="127.0.0.1:3000", origin="http://127.0.0.1:3000") == 200
    assert decision(host="[::1]:3000", origin="http://[::1]:3000") == 200
    assert decision(host="192.168.1.5:3000", origin="http://192.168.1.5:3000") == 200


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://localhost:5173", "http://127.0.0.1:3000", "http://absolute", "file://",
     "http://localhost:30000", "http://localhost", "ftp://localhost:3000", "localhost:3000"],
)  # fmt: skip
def test_a_foreign_page_may_not_change_the_decision(origin: str) -> None:
    assert decision(origin=origin) == 403


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_form_submission_may_not_change_the_decision(kind: str) -> None:
    assert decision(content_type=kind) == 400


def test_a_rebindable_host_name_may_not_change_the_decision_without_a_token() -> None:
    name, place = "http://rebound.example:3000", "rebound.example:3000"
    assert decision(Settings(host="0.0.0.0"), host=place, origin=name) == 403
    assert decision(Settings(host="0.0.0.0", token="t"), host=place, origin=name) == 200


def test_many_refused_origins_do_not_hide_the_log_line_of_a_localhost_origin(caplog) -> None:
    rules = Admission(Settings(), 3000, Telemetry(0))
    caplog.set_level(logging.WARNING)
    for number in range(200):
        _refuse(rules, f"http://site-{number}.example")
    for origin in ("null", "null", "file://"):
        _refuse(rules, origin)
    assert rules.refusals_from_disk() == 3
    assert len(rules.refused_origins()) == 102
    for origin in ("null", "file://"):
        (line,) = [line for line in caplog.messages if origin in line]
        assert "http://localhost:3000/test" in line
        assert f"--allow-origin {origin}" in line


def _refuse(rules: Admission, origin: str) -> None:
    headers = {"host": "localhost:3000", "origin": origin}
    refusal = rules.refusal(Request(headers=headers), needs_token=False)
    assert refusal is not None
    assert refusal.status == 403
