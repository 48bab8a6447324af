"""The server's look for a newer release: one at a time, and not again too soon."""

import threading

import pytest

from dunena import update_check
from dunena.server import updates
from dunena.server.updates import UpdateChecks
from dunena.update_check import Release


def test_an_answer_is_asked_for_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter(("1.1.0", "1.2.0"))
    monkeypatch.setattr(update_check, "find_newest", lambda: Release(next(found), "", True))
    checks = UpdateChecks()
    assert b'"1.1.0"' in checks.answer().response.body
    assert b'"1.1.0"' in checks.answer().response.body
    monkeypatch.setattr(updates, "REMEMBERED_SECONDS", 0.0)
    assert b'"1.2.0"' in checks.answer().response.body


def test_a_second_request_does_not_wait_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    is_asked, may_answer = threading.Event(), threading.Event()

    def find() -> Release:
        is_asked.set()
        assert may_answer.wait(10)
        return Release("1.1.0", "", True)

    monkeypatch.setattr(update_check, "find_newest", find)
    checks = UpdateChecks()
    first = threading.Thread(target=checks.answer)
    first.start()
    assert is_asked.wait(10)
    assert checks.answer().response.status == 409
    may_answer.set()
    first.join()
    assert checks.answer().response.status == 200
