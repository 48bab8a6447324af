"""What `doctor` says of a stream, from what the servers answered."""

from typing import Any

import pytest

from dunena.persistence.jetstream.findings import examine_settings, examine_space
from dunena.persistence.jetstream.stream_requests import stream_config
from dunena.persistence.jetstream.terms import LogTerms


def body(max_bytes: int, max_msgs: int, used_bytes: int, messages: int) -> dict[str, Any]:
    return {
        "config": {"max_bytes": max_bytes, "max_msgs": max_msgs},
        "state": {"bytes": used_bytes, "messages": messages},
    }


@pytest.mark.parametrize(
    ("answer", "level", "text"),
    [
        (body(1000, -1, 100, 5), "ok", "KV_show has 100 of 1,000 bytes"),
        (body(1000, -1, 800, 5), "note", "KV_show has 800 of 1,000 bytes"),
        (body(1000, -1, 990, 5), "bad", "990 of 1,000 bytes: hardly anything can be stored"),
        (body(1000, 10, 500, 9), "note", "KV_show has 9 of 10 messages"),
        (body(-1, 10, 500, 10), "bad", "10 of 10 messages: hardly anything can be stored"),
    ],
)
def test_a_stream_that_is_nearly_full_is_told(
    answer: dict[str, Any], level: str, text: str
) -> None:
    found = examine_space("KV_show", answer)
    assert found is not None
    assert found.level == level
    assert text in found.text


def test_a_stream_without_a_bound_has_no_finding() -> None:
    assert examine_space("KV_show", body(-1, -1, 10**12, 10**9)) is None


def test_nobody_is_told_to_remove_a_stream_that_has_values() -> None:
    wanted = stream_config(LogTerms("show"))
    found = examine_settings("KV_show", wanted | {"discard": "old", "max_bytes": 1000}, wanted)
    assert found.level == "bad"
    assert "`nats stream edit KV_show`" in found.advice
    assert "remove" not in found.advice
