"""How much a run had to be checked, in words; no I/O."""

from collections import Counter

from tests.cluster.history import History, Outcome, Stream
from tests.cluster.knowledge import learn, text_of


def summarize(history: History) -> str:
    """Say what was counted, a line for each kind."""
    outcomes = Counter(write.outcome for write in history.writes)
    counted = history.counted.values()
    known = learn(history)
    seen = set(known.places) | {
        (key, text_of(value))
        for streams in history.values.values()
        for stream in streams
        for key, value in stream.items
    }
    unknown = [one for one in history.writes if one.outcome is Outcome.UNKNOWN]
    made = sum((one.key, text_of(one.value)) in seen for one in unknown)
    refused = [one for one in history.writes if one.outcome is Outcome.REFUSED]
    conditions = sum(one.after is not None for one in refused)
    sent_again = sum(count.attempts > 1 for count in counted)
    updates = sum(map(len, history.followed.values()))
    changes = sum(len(one.changes) for many in history.followed.values() for one in many)
    resumed = sum(one.is_resumed for one in history.resumes)
    acknowledged = outcomes[Outcome.ACKNOWLEDGED] + len(counted) + history.transfers
    lines = {
        "writes acknowledged": f"{acknowledged} ({outcomes[Outcome.ACKNOWLEDGED]} sets, "
        f"{len(counted)} counts, {history.transfers} transfers)",
        "sets refused": f"{outcomes[Outcome.REFUSED]}, {conditions} of them with a condition",
        "sets unknown": f"{len(unknown)}: {made} were seen, {len(unknown) - made} were not",
        "requests sent again": f"{history.resent} times, {sent_again} counts among them; "
        f"{history.duplicates} had been made, {len(history.repeats)} were asked for twice",
        "reads checked": f"{len(history.reads)} of keys, {len(history.sums)} of all accounts",
        "watch updates checked": f"{updates} with {changes} changes at "
        f"{len(history.followed)} followers; {len(known.changes)} different changes",
        "subscribers compared": f"{_told(history.values)} values, {_told(history.events)} events, "
        f"{_told(history.messages)} messages of {history.published}",
        "sessions": f"{history.begun} begun, {history.unsure} unsure; {resumed} of "
        f"{len(history.resumes)} resumed",
    }
    return "\n".join(f"{what}: {how_many}" for what, how_many in lines.items())


def _told(streams: dict[str, list[Stream]]) -> str:
    items = sum(len(stream.items) for many in streams.values() for stream in many)
    connections = sum(map(len, streams.values()))
    return f"{len(streams)} (of {connections} connections) with {items}"
