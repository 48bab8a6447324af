"""The model: what one writer asked for, and every state a crash may leave of it.

A writer has keys of its own and its requests are carried out in their order, so what stands after
a crash is what some number of them came to: at least as many as were acknowledged.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

CLOCK_SLACK_MS = 250
"""A key is gone 50 ms after its time; the rest is for a busy machine."""


@dataclass(frozen=True)
class Kept:
    """A value and the earliest and latest time, Unix ms, at which it expires; None: never."""

    value: Any
    expires_from: int | None = None
    expires_until: int | None = None

    def may_be(self, value: Any, read_from: int, read_until: int) -> bool:
        """Whether a read between two times may have seen ``value``, None for nothing."""
        if value is None:
            return self.expires_from is not None and read_until >= self.expires_from
        is_over = self.expires_until is not None and read_from > self.expires_until + CLOCK_SLACK_MS
        return value == self.value and not is_over


State = dict[str, Kept]


@dataclass
class Request:
    """One request: the keys it sets, with None for those it deletes."""

    writes: dict[str, Any]
    ttl: int = 0
    sent_at: int = 0
    answered_at: int | None = None


@dataclass
class History:
    """One writer's keys: what was known to stand, and what was asked for since."""

    ns: str
    keys: list[str]
    base: State = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    acknowledged: int = 0
    told: int = 0  # requests that a watcher was told of, and those before them
    ever: dict[str, list[Any]] = field(default_factory=dict)
    by_hand: dict[str, Any] = field(default_factory=dict)  # since the server died; None: removed
    came_back: int = 0  # files that were removed by hand
    is_clock_right: bool = True  # else any time to live may be over, or none

    def send(self, request: Request, now: int) -> None:
        """A request is about to be sent."""
        request.sent_at = now
        self.requests.append(request)
        for key, value in request.writes.items():
            if value is not None:
                self.ever.setdefault(key, []).append(value)

    def acknowledge(self, now: int) -> None:
        """The oldest request that had no answer has one."""
        self.requests[self.acknowledged].answered_at = now
        self.acknowledged += 1

    def was_told(self, values: dict[str, Any]) -> None:
        """A watcher was told of these values before the server died."""
        for key, value in values.items():
            assert value in self.ever.get(key, []), f"{key} was never {_short(value)}"
        for number, request in enumerate(self.requests, 1):
            if any(
                value is not None and values.get(k) == value for k, value in request.writes.items()
            ):
                self.told = max(self.told, number)

    def find_unknown(self, values: dict[str, Any]) -> list[str]:
        """The keys of which these values are not what stands; some of that may be over by now."""
        wrong = {
            key
            for key, kept in self.base.items()
            if (kept.expires_from is None or key in values) and values.get(key) != kept.value
        }
        return sorted(wrong | (values.keys() - self.base.keys()))

    def settle(self, found: dict[str, Any], killed_at: int, read_from: int, read_until: int) -> int:
        """Compare what stands with what may; how many requests nobody had an answer to stand.

        ``found`` holds every key of the namespace. What stands is where the next crash begins. What
        other hands did to files goes before all requests; only what they removed may come back,
        where the server died while it made that file.
        """
        ghosts = found.keys() - set(self.keys)
        assert not ghosts, f"nobody ever set {ghosts} in {self.ns!r}"
        for key, value in list(self.by_hand.items()):
            if value is None and key in found:
                self.came_back += 1
                del self.by_hand[key]  # it must be what a request left
            else:
                assert found.get(key) == value, f"{key} is {found.get(key)}, by hand {value}"
        state = dict(self.base)
        least = max(self.acknowledged, self.told)
        _apply(state, self.requests[:least], killed_at)
        differences = []
        for carried_out in range(least, len(self.requests) + 1):
            if carried_out > least:
                _apply(state, [self.requests[carried_out - 1]], killed_at)
            difference = self._difference(state, found, read_from, read_until)
            if difference is None:
                extra = carried_out - self.acknowledged
                self.base = {key: kept for key, kept in state.items() if key in found}
                self.base |= {k: Kept(v) for k, v in self.by_hand.items() if v is not None}
                self.by_hand.clear()
                self.requests, self.acknowledged, self.told = [], 0, 0
                return extra
            differences.append(f"after {carried_out}: {difference}")
        raise AssertionError(
            f"{self.ns!r}: {self.acknowledged} of {len(self.requests)} requests were acknowledged,"
            f" {self.told} were told of, and what stands is none of\n" + "\n".join(differences)
        )

    def _difference(
        self, state: State, found: dict[str, Any], read_from: int, read_until: int
    ) -> str | None:
        for key in self.keys:
            if key in self.by_hand:
                continue
            kept, value = state.get(key), found.get(key)
            if kept is None:
                if value is not None:
                    return f"{key} is {_short(value)} and should be gone"
            elif not self.may_be(kept, value, read_from, read_until):
                return f"{key} is {_short(value)} and should be {_short(kept)}"
        return None

    def may_be(self, kept: Kept, value: Any, read_from: int, read_until: int) -> bool:
        """Whether a read between two times may have seen ``value`` of what was kept."""
        if self.is_clock_right or kept.expires_from is None:
            return kept.may_be(value, read_from, read_until)
        return value is None or value == kept.value


def _apply(state: State, requests: Iterable[Request], killed_at: int) -> None:
    for request in requests:
        for key, value in request.writes.items():
            if value is None:
                state.pop(key, None)
            elif request.ttl:
                until = killed_at if request.answered_at is None else request.answered_at
                state[key] = Kept(value, request.sent_at + request.ttl, until + request.ttl)
            else:
                state[key] = Kept(value)


def _short(value: Any) -> str:
    return repr(value)[:120]
