"""What `dunena doctor` says of a stream, from what the servers answered; no I/O."""

from dataclasses import dataclass
from typing import Any, Literal

from dunena.persistence.jetstream.stream_requests import later_format_of, mismatch_of

_Level = Literal["ok", "note", "bad"]

_FREE = frozenset({"num_replicas", "max_bytes", "max_msgs", "max_msg_size", "duplicate_window"})
"""What whoever runs the servers may choose."""

_FULL = 0.98
_NEARLY_FULL = 0.8


@dataclass(frozen=True, slots=True)
class StoreFinding:
    """The result for one examined thing, as `dunena.cli.examination.Finding` has it."""

    level: _Level
    about: str
    text: str
    advice: str = ""


def examine_settings(name: str, found: dict[str, Any], wanted: dict[str, object]) -> StoreFinding:
    """Examine the settings of a stream, given those that nodes make one with."""
    about = "stream"
    odd = [
        field
        for field, value in wanted.items()
        if field not in _FREE and not _is_same(found.get(field), value)
    ]
    mismatch = mismatch_of(found, wanted)
    if mismatch is not None and later_format_of(found) is not None:
        return StoreFinding("bad", about, mismatch, "start nodes of the newer dunena alone")
    if mismatch is not None:
        fields = ", ".join(odd)
        advice = f"nodes will not use it: {fields}; put that right with `nats stream edit {name}`"
        return StoreFinding("bad", about, mismatch, advice)
    if odd:
        text = f"{name} was made otherwise: {', '.join(odd)}"
        return StoreFinding("note", about, text, "see that this is meant")
    return StoreFinding("ok", about, f"{name} is as nodes make it")


def examine_copies(name: str, body: dict[str, Any]) -> StoreFinding:
    """Examine on how many servers a stream is, and whether they are level."""
    about = "copies"
    count = int(body["config"].get("num_replicas", 1))
    peers = (body.get("cluster") or {}).get("replicas") or []
    away = [str(one.get("name")) for one in peers if one.get("offline") or not one.get("current")]
    if away:
        text = f"{name} is on {count} servers, but is not level at {', '.join(away)}"
        return StoreFinding("note", about, text, "see that these servers run")
    if count < 3:
        servers = "one server" if count == 1 else f"{count} servers"
        text = f"{name} is on {servers}: while one is away, nothing is written"
        advice = f"three servers go on without one of them: edit {name} to have 3 replicas"
        return StoreFinding("note", about, text, advice)
    return StoreFinding("ok", about, f"{name} is on {count} servers, which are level")


def examine_space(name: str, body: dict[str, Any]) -> StoreFinding | None:
    """Examine how full a stream is; return None if it has no bound of its own."""
    about = "space"
    config, state = body["config"], body.get("state") or {}
    shares = {
        f"{used:,} of {bound:,} {what}": used / bound
        for what, used, bound in (
            ("bytes", int(state.get("bytes", 0)), int(config.get("max_bytes", -1))),
            ("messages", int(state.get("messages", 0)), int(config.get("max_msgs", -1))),
        )
        if bound > 0
    }
    if not shares:
        return None
    text, share = max(shares.items(), key=lambda one: one[1])
    text = f"{name} has {text}"
    advice = f"give it more space: `nats stream edit {name}`"
    if share >= _FULL:
        return StoreFinding("bad", about, f"{text}: hardly anything can be stored", advice)
    if share >= _NEARLY_FULL:
        return StoreFinding("note", about, text, advice)
    return StoreFinding("ok", about, text)


def _is_same(found: object, wanted: object) -> bool:
    """Whether a stream's setting is as wanted; a server leaves out what is false."""
    if isinstance(wanted, dict):
        of = found if isinstance(found, dict) else {}
        return {name: of.get(name) for name in wanted} == wanted
    return (found or False) == (wanted or False)
