"""Requests to JetStream, and their answers as servers write them."""

import json
from typing import Any

import pytest

from dunena.persistence.jetstream.stream_requests import (
    ApiFault,
    Stored,
    StreamFacts,
    StreamRequests,
    mismatch_of,
    read_place,
    read_sequence,
    read_stored,
    stream_config,
)
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import Message

TERMS = LogTerms("show")
REQUESTS = StreamRequests(TERMS)


def answer(body: Any) -> Message:
    return Message("", {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def as_a_server_has_it(**changes: object) -> dict[str, Any]:
    """What is false is left out."""
    config = {**stream_config(TERMS), "metadata": {"_nats.level": "2"}, **changes}
    return {name: value for name, value in config.items() if value is not False}


def facts(**changes: object) -> StreamFacts | ApiFault:
    body = {
        "config": as_a_server_has_it(),
        "created": "2026-11-30T08:39:37.148351416Z",
        "state": {"messages": 4, "first_seq": 9, "last_seq": 17, "last_ts": "2026-11-30T08:39:38Z"},
        "ts": "2026-11-30T08:39:40.5Z",
    }
    return REQUESTS.read_facts(answer({**body, **changes}))


def test_facts_are_read() -> None:
    found = facts()
    assert found == StreamFacts("2026-11-30T08:39:37.148351416Z", 4, 9, 17, 1_796_027_980_500, None)


@pytest.mark.parametrize(
    ("silences_ns", "silent_s"),
    [
        ([], 0.0),
        ([900_000_000], 0.9),
        ([9_000_000_000, 200_000_000], 0.2),
        ([9_000_000_000, 4_500_000_000], 4.5),
        ([1_000_000_000, 3_000_000_000, 2_000_000_000, 8_000_000_000], 2.0),
    ],
)
def test_facts_tell_for_how_long_most_servers_were_silent(
    silences_ns: list[int], silent_s: float
) -> None:
    found = facts(
        cluster={"leader": "m", "replicas": [{"name": "n", "active": ns} for ns in silences_ns]}
    )
    assert isinstance(found, StreamFacts)
    assert found.silent_s == silent_s


def test_a_stream_of_which_a_server_knows_no_leader_has_no_facts() -> None:
    replicas = [{"name": "n1", "active": 10**9}, {"name": "n2", "active": 0}]
    found = facts(cluster={"name": "hub", "replicas": replicas})
    assert found == ApiFault(503, 0, "the stream KV_show has no leader")


def test_the_time_of_an_older_server_is_that_of_the_last_message() -> None:
    found = facts(ts=None)
    assert isinstance(found, StreamFacts)
    assert found.timestamp == 1_796_027_978_000


def test_the_place_of_a_message_is_read() -> None:
    message = {"seq": 7, "subject": "$KV.show.=epoch", "time": "2026-11-30T08:39:40.5Z"}
    assert read_place(answer({"message": message})) == (7, 1_796_027_980_500)
    none = {"error": {"code": 404, "err_code": 10037, "description": "no message found"}}
    assert read_place(answer(none)) == (0, 0)
    gone = {"error": {"code": 404, "err_code": 10059, "description": "stream not found"}}
    assert isinstance(read_place(answer(gone)), ApiFault)
    assert isinstance(read_place(answer({"message": {"seq": 7}})), ApiFault)


@pytest.mark.parametrize(
    "changes",
    [
        {"subjects": ["$KV.other.>"]},
        {"max_msgs_per_subject": 2},
        {"max_age": 1},
        {"retention": "workqueue"},
        {"allow_direct": False},
        {"allow_msg_ttl": False},
        {"allow_atomic": False},
        {"deny_purge": True},
        {"republish": None},
        {"republish": {"src": "$KV.show.>", "dest": "x.>"}},
        {"republish": {"src": "$KV.show.>", "dest": "dn.show.log.>", "headers_only": True}},
        {"subject_delete_marker_ttl": 1},
        {"mirror": {"name": "x"}},
        {"sources": [{"name": "x"}]},
        {"discard": "old", "max_bytes": 10},
        {"discard": "old", "max_msgs": 10},
        {"discard_new_per_subject": True},
        {"metadata": {"dunena-format": "2"}},
    ],
)
def test_a_stream_that_cannot_be_a_log_is_found_out(changes: dict[str, object]) -> None:
    reason = mismatch_of(as_a_server_has_it(**changes), stream_config(TERMS))
    assert reason is not None
    assert "KV_show" in reason


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"metadata": {}},
        {"metadata": {"dunena-format": "1", "owner": "stage"}},
        {"num_replicas": 1},
        {"max_bytes": 10},
        {"storage": "memory"},
        {"description": "mine"},
        {"discard": "old"},
    ],
)
def test_what_is_the_operators_business_is_no_reason(changes: dict[str, object]) -> None:
    assert mismatch_of(as_a_server_has_it(**changes), stream_config(TERMS)) is None


def test_a_stream_is_made_with_three_replicas_or_one_without_a_cluster() -> None:
    assert json.loads(REQUESTS.create().data)["num_replicas"] == 3
    assert json.loads(REQUESTS.create(without_cluster=True).data)["num_replicas"] == 1
    told = StreamRequests(LogTerms("show", replicas=5))
    assert json.loads(told.create(without_cluster=True).data)["num_replicas"] == 5


def test_the_api_is_that_of_the_domain() -> None:
    requests = StreamRequests(LogTerms("show", domain="hub"))
    made = [
        requests.info(), requests.create(), requests.page(1, 2, 3), requests.next_message(1),
        requests.last_message("x"), requests.purge_keys(5),
    ]  # fmt: skip
    for request in made:
        assert request.subject.startswith("$JS.hub.API.")
        assert request.subject.endswith(".KV_show")
    assert REQUESTS.info().subject == "$JS.API.STREAM.INFO.KV_show"


def test_only_keys_are_purged() -> None:
    assert json.loads(REQUESTS.purge_keys(5).data) == {"filter": "$KV.show.*.>", "seq": 5}


def test_acknowledgements_and_errors_are_read() -> None:
    stored = b'{"stream":"KV_b","seq":8,"batch":"x","count":3}'
    assert read_stored(answer(stored)) == Stored(8)
    refused = (
        b'{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 5"},'
        b'"stream":"KV_b","seq":0}'
    )
    assert read_stored(answer(refused)) == ApiFault(400, 10071, "wrong last sequence: 5")


def test_a_message_that_is_not_there_has_sequence_0_and_a_stream_is_not_a_message() -> None:
    assert read_sequence(answer({"message": {"seq": 3}})) == 3
    missing = {"error": {"code": 404, "err_code": 10037, "description": "no message found"}}
    assert read_sequence(answer(missing)) == 0
    gone = {"error": {"code": 404, "err_code": 10059, "description": "stream not found"}}
    assert read_sequence(answer(gone)) == ApiFault(404, 10059, "stream not found")


@pytest.mark.parametrize("data", [b"", b"x", b"[]", b"1", b"{}", b'{"seq":"x"}', b'{"error":1}'])
def test_an_answer_that_is_not_understood_is_a_fault(data: bytes) -> None:
    for found in (
        read_stored(answer(data)),
        read_sequence(answer(data)),
        REQUESTS.read_facts(answer(data)),
    ):
        assert isinstance(found, ApiFault)
        assert found.status == 500
