"""The queue of inotify: waiting for its events, and resting while they gather."""

import os
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("inotify is there on Linux alone", allow_module_level=True)

from dunena.persistence.disk.inotify import Inotify

WAIT_MS = 10_000
REST_MS = 20


def test_events_end_waiting_and_not_resting(tmp_path: Path) -> None:
    notify = Inotify()
    try:
        notify.watch(os.fsencode(tmp_path))
        (tmp_path / "k.json").write_text("1")
        assert notify.wait(WAIT_MS)
        assert notify.rest(REST_MS)
        assert {event.name for event in notify.read()} == {b"k.json"}
        assert not list(notify.read())
    finally:
        notify.close()


def test_waking_ends_waiting_and_resting(tmp_path: Path) -> None:
    notify = Inotify()
    try:
        notify.watch(os.fsencode(tmp_path))
        notify.wake()
        assert not notify.rest(WAIT_MS)
        assert not notify.wait(WAIT_MS)
    finally:
        notify.close()
