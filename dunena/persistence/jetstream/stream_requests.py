"""The requests to JetStream, and what their answers mean; no I/O.

The API of JetStream is JSON over subjects (ADR-1 of nats-architecture-and-design); an error has a
number, ``err_code``, from the server's errors.json.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from dunena.persistence.jetstream.headers import milliseconds_of
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import Message

REPLICAS: Final = 3
DUPLICATE_WINDOW_NS: Final = 120 * 10**9  # what servers take by default

SILENT_S: Final = 2.0
"""How long most servers must be silent to the leader to be taken for gone; each says every second
that it is there.
"""

STREAM_NOT_FOUND: Final = 10059
STREAM_EXISTS_OTHERWISE: Final = 10058
REPLICAS_NOT_SUPPORTED: Final = 10074
"""There is one server and no cluster."""

UNAVAILABLE: Final = 503
"""The status of an error by a server that has no leader for the stream, or for all streams."""

WRONG_LAST_SEQUENCE: Final = 10071
WRONG_LAST_SEQUENCE_UNDER_WAY: Final = 10164
"""The same, also if another message to the subject is not stored yet."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What a server said of the stream.

    ``created`` tells it from others of its name. ``messages`` is how many it has, from
    ``first_sequence`` to ``last_sequence``. ``timestamp`` is the server's time of the answer, Unix
    ms. ``mismatch`` says why it cannot be a log; None if it can. ``silent_s`` is for how long the
    leader has not heard of most of the servers that keep the stream, itself included.
    """

    created: str
    messages: int
    first_sequence: int
    last_sequence: int
    timestamp: int
    mismatch: str | None
    silent_s: float = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether most servers are taken for gone, or the leader for cut off from them."""
        return self.silent_s > SILENT_S


@dataclass(frozen=True, slots=True)
class ApiFault:
    """An error that JetStream answered with; ``status`` is like one of HTTP."""

    status: int
    number: int
    description: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The acknowledgement of a message or a batch; ``sequence`` is that of its last message."""

    sequence: int


class StreamRequests:
    """Makes the requests about the stream of one log."""

    __slots__ = ("_api", "_config", "_names", "_replicas", "stream")

    def __init__(self, terms: LogTerms) -> None:
        self.stream = f"KV_{terms.bucket}"
        self._names = SubjectNames(terms.bucket)
        self._api = f"$JS.{terms.domain}.API" if terms.domain else "$JS.API"
        self._replicas = terms.replicas
        self._config = stream_config(terms)

    def info(self) -> Message:
        """Ask the leader of the stream for its facts (`read_facts`)."""
        return Message(f"{self._api}.STREAM.INFO.{self.stream}", {}, b"")

    def create(self, *, without_cluster: bool = False) -> Message:
        """Make the stream (`read_facts`).

        ``without_cluster``: the only server has answered REPLICAS_NOT_SUPPORTED.
        """
        config = dict(self._config)
        if without_cluster and self._replicas is None:
            config["num_replicas"] = 1
        return Message(f"{self._api}.STREAM.CREATE.{self.stream}", {}, _json(config))

    def page(self, sequence: int, messages: int, max_bytes: int) -> Message:
        """Ask any replica for the messages from a sequence on; the last part has a status.

        The parts are as in ADR-31, "Batched requests".
        """
        body = {
            "seq": sequence,
            "batch": messages,
            "max_bytes": max_bytes,
            "next_by_subj": self._names.all,
        }
        return Message(f"{self._api}.DIRECT.GET.{self.stream}", {}, _json(body))

    def next_message(self, sequence: int) -> Message:
        """Ask the leader for the first message from a sequence on (`read_sequence`)."""
        body = {"seq": sequence, "next_by_subj": self._names.all}
        return Message(f"{self._api}.STREAM.MSG.GET.{self.stream}", {}, _json(body))

    def last_message(self, subject: str) -> Message:
        """Ask the leader for the newest message of a subject (`read_sequence`)."""
        body = {"last_by_subj": subject}
        return Message(f"{self._api}.STREAM.MSG.GET.{self.stream}", {}, _json(body))

    def purge_keys(self, below: int) -> Message:
        """Free the space of all keys with a lower sequence."""
        body = {"filter": self._names.keys, "seq": below}
        return Message(f"{self._api}.STREAM.PURGE.{self.stream}", {}, _json(body))

    def read_facts(self, answer: Message) -> StreamFacts | ApiFault:
        """Read the answer to `info` or `create`."""
        body = _body(answer)
        if isinstance(body, ApiFault):
            return body
        try:
            state = body["state"]
            created = body["created"]
            # Servers before 2.10 do not tell their time.
            timestamp = milliseconds_of(body.get("ts") or state["last_ts"])
            messages, first_sequence = int(state["messages"]), int(state["first_seq"])
            last_sequence = int(state["last_seq"])
            mismatch = mismatch_of(body["config"], self._config)
            cluster = body.get("cluster") or {}
            silent_s = _silence_of(cluster.get("replicas") or [])
        except (KeyError, TypeError, ValueError):
            return _unreadable(answer)
        if cluster and not cluster.get("leader"):
            # A server that is cut off from the others answers after a while, as it knows things.
            return ApiFault(UNAVAILABLE, 0, f"the stream {self.stream} has no leader")
        return StreamFacts(
            created, messages, first_sequence, last_sequence, timestamp, mismatch, silent_s
        )


def _silence_of(replicas: list[dict[str, Any]]) -> float:
    """Return for how many seconds most servers were silent to the leader, which is one more."""
    silences = sorted([int(replica["active"]) / 1e9 for replica in replicas])
    needed = (len(replicas) + 1) // 2
    return silences[needed - 1] if needed else 0.0


def stream_config(terms: LogTerms) -> dict[str, object]:
    """Return the configuration of the stream of a log.

    Without ``subject_delete_marker_ttl``, which would leave a message for each key whose time has
    ended.
    """
    return {
        "name": f"KV_{terms.bucket}",
        "subjects": [SubjectNames(terms.bucket).all],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "num_replicas": terms.replicas or REPLICAS,
        "max_consumers": -1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_msg_size": -1,
        "max_age": 0,
        "max_msgs_per_subject": 1,
        "duplicate_window": DUPLICATE_WINDOW_NS,
        "deny_delete": True,
        "deny_purge": False,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
        "allow_msg_ttl": True,
        "allow_atomic": True,
        "republish": {"src": SubjectNames(terms.bucket).all, "dest": f"dn.{terms.bucket}.log.>"},
    }


FORMAT_NAME: Final = "dunena-format"
FORMAT: Final = 1
"""The version of what nodes store in the stream. One of a later version is in the metadata of the
stream, by that name; a stream without it has version 1."""

_NEEDED: Final = (
    "subjects", "retention", "max_age", "max_msgs_per_subject", "deny_purge", "allow_direct",
    "allow_msg_ttl", "allow_atomic",
)  # fmt: skip
"""What a log rests on. The rest is the business of whoever runs the servers."""


def mismatch_of(config: dict[str, Any], wanted: dict[str, object]) -> str | None:
    """Say why a stream cannot be a log; None if it can. A server leaves out what is false."""
    later = later_format_of(config)
    if later is not None:
        return (
            f"the stream {wanted['name']} has format {later}, and this dunena knows formats up to"
            f" {FORMAT}: use a newer one"
        )
    for name in _NEEDED:
        if (config.get(name) or False) != (wanted[name] or False):
            return f"{name} of the stream {wanted['name']} is {config.get(name)!r}"
    republish = config.get("republish") or {}
    found = {name: republish.get(name) for name in ("src", "dest")}
    if found != wanted["republish"] or republish.get("headers_only"):
        return f"republish of the stream {wanted['name']} is {republish!r}"
    if config.get("subject_delete_marker_ttl"):
        return f"subject_delete_marker_ttl of the stream {wanted['name']} is set"
    bounds = [name for name in ("max_bytes", "max_msgs") if (config.get(name) or 0) > 0]
    if bounds and config.get("discard") != wanted["discard"]:
        # What was acknowledged would be dropped when it is full, and no node told.
        return (
            f"discard of the stream {wanted['name']} is {config.get('discard')!r} with {bounds[0]}"
        )
    if config.get("discard_new_per_subject"):
        return f"discard_new_per_subject of the stream {wanted['name']} is set"
    if config.get("mirror") or config.get("sources") or config.get("subject_transform"):
        return f"the stream {wanted['name']} takes its messages from elsewhere"
    return None


def later_format_of(config: dict[str, Any]) -> str | None:
    """Return the format of a stream that a newer dunena has given it; None if it is known."""
    found = (config.get("metadata") or {}).get(FORMAT_NAME)
    return None if found is None or found == str(FORMAT) else str(found)


def read_stored(answer: Message) -> Stored | ApiFault:
    """Read the answer to a message that is to be stored."""
    body = _body(answer)
    if isinstance(body, ApiFault):
        return body
    try:
        return Stored(int(body["seq"]))
    except (KeyError, TypeError, ValueError):
        return _unreadable(answer)


def read_sequence(answer: Message) -> int | ApiFault:
    """Read the answer to `StreamRequests.next_message` or `last_message`; 0 if there is none."""
    body = _body(answer)
    if isinstance(body, ApiFault):
        return 0 if body.status == 404 and body.number != STREAM_NOT_FOUND else body
    try:
        return int(body["message"]["seq"])
    except (KeyError, TypeError, ValueError):
        return _unreadable(answer)


def read_place(answer: Message) -> tuple[int, int] | ApiFault:
    """Read sequence and time (Unix ms) in the answer to `last_message`; both 0 if there is none."""
    sequence = read_sequence(answer)
    if not sequence or isinstance(sequence, ApiFault):
        return (0, 0) if sequence == 0 else sequence
    try:
        return sequence, milliseconds_of(json.loads(answer.data)["message"]["time"])
    except (KeyError, TypeError, ValueError):
        return _unreadable(answer)


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _body(answer: Message) -> dict[str, Any] | ApiFault:
    try:
        body = json.loads(answer.data)
        error = body.get("error")
        if not error:
            return dict(body)
        return ApiFault(
            int(error.get("code", 500)),
            int(error.get("err_code", 0)),
            str(error.get("description", "")),
        )
    except (AttributeError, TypeError, ValueError):
        return _unreadable(answer)


def _unreadable(answer: Message) -> ApiFault:
    return ApiFault(500, 0, f"an answer that is not understood: {answer.data[:100]!r}")
