"""Whether the stream stores nothing of what it is sent though it answers."""

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.records import record_of
from dunena.persistence.jetstream.refusing import PROBE_BYTES_MAX, Refusing
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.log import Op, OpKind, Record

NAMES = SubjectNames("show")
MARKER = Message("$KV.show.=node-a", {}, b"{}")


def test_what_was_refused_is_so_until_something_as_large_is_stored() -> None:
    refusing = Refusing()
    refusing.note_stored(0)
    assert (refusing.reason, refusing.needs_probe) == (None, False)
    refusing.note_refusal("full", 500)
    refusing.note_stored(499)
    assert (refusing.reason, refusing.needs_probe) == ("full", True)
    refusing.note_stored(500)
    assert (refusing.reason, refusing.needs_probe) == (None, False)


def test_a_refused_marker_needs_no_probe() -> None:
    refusing = Refusing()
    refusing.note_refusal("full", 0)
    assert (refusing.reason, refusing.needs_probe) == ("full", False)
    refusing.note_stored(0)
    assert refusing.reason is None


def test_a_probe_is_as_large_as_what_was_refused_and_changes_nothing() -> None:
    refusing = Refusing()
    for size, expected in ((10, len("$KV.show.=note-probe")), (900, 900), (10**6, PROBE_BYTES_MAX)):
        refusing.note_refusal("full", size)
        marker, probe = refusing.probe(MARKER, "b", NAMES)
        assert (marker.subject, marker.data) == (MARKER.subject, MARKER.data)
        assert marker.headers == {header.BATCH: "b", header.BATCH_SEQUENCE: "1"}
        assert len(probe.subject) + len(probe.data) == expected
        assert probe.headers[header.COMMIT] == "1"
        stored = probe._replace(
            headers={**probe.headers, header.SUBJECT: probe.subject, header.SEQUENCE: "7"}
        )
        assert record_of(stored, NAMES) == Record(Op(OpKind.NOTE, key="probe"), 7, None)
        refusing.note_stored(expected)
        assert refusing.reason is None
