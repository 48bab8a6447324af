"""Pages of the stream over a line that is slow, and over one that has stopped for a moment."""

import json
from collections.abc import Callable

import pytest

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.paging import PAGE_TIMEOUT_S, Pages
from dunena.persistence.jetstream.stream_requests import StreamRequests
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import LinkFault, Message
from tests.simulation.simulated_stream import Timer, VirtualTime

PART_BYTES = 500


class SlowLine:
    """A link to a server that has messages, whose answers come one after the other.

    The first of them comes ``starts_at`` seconds from now, each other one when the line has passed
    on those before. It passes on also what nobody waits for any more.
    """

    def __init__(self, messages: int, bytes_a_second: float, starts_at: float) -> None:
        self.time = VirtualTime()
        self.sent_bytes = 0
        self._messages = messages
        self._seconds = PART_BYTES / bytes_a_second
        self._free_at = starts_at

    def now_s(self) -> float:
        return self.time.now_s

    def call_later(self, seconds: float, action: Callable[[], None]) -> Timer:
        return self.time.at(self.time.now_s + seconds, action)

    def request_many(
        self,
        message: Message,
        timeout_s: float,
        take_part: Callable[[Message], bool],
        done: Callable[[LinkFault | None], None],
    ) -> "Request":
        page = json.loads(message.data)
        request = Request(self, timeout_s, take_part, done)
        first = page["seq"]
        count = min(page["batch"], max(1, page["max_bytes"] // PART_BYTES))
        last = min(self._messages, first + count - 1)
        before = 0
        for sequence in range(first, last + 1):
            self._send(request, part_of(sequence, before))
            before = sequence
        self._send(request, end_of(before, self._messages - last))
        return request

    def _send(self, request: "Request", part: Message) -> None:
        self._free_at = max(self._free_at, self.time.now_s) + self._seconds
        self.sent_bytes += PART_BYTES
        self.time.at(self._free_at, lambda: request.take(part))


class Request:
    """A request, whose time-out begins anew with each part."""

    def __init__(
        self,
        line: SlowLine,
        timeout_s: float,
        take_part: Callable[[Message], bool],
        done: Callable[[LinkFault | None], None],
    ) -> None:
        self._line = line
        self._timeout_s = timeout_s
        self._take_part = take_part
        self._done = done
        self._is_over = False
        self._timer = line.call_later(timeout_s, self._give_up)

    def take(self, part: Message) -> None:
        if self._is_over:
            return
        self._timer.cancel()
        if self._take_part(part):
            self._is_over = True
            self._done(None)
        else:
            self._timer = self._line.call_later(self._timeout_s, self._give_up)

    def _give_up(self) -> None:
        self._is_over = True
        self._done(LinkFault.TIMEOUT)

    def cancel(self) -> None:
        self._is_over = True
        self._timer.cancel()


def part_of(sequence: int, before: int) -> Message:
    headers = {header.SEQUENCE: str(sequence), header.SEQUENCE_BEFORE: str(before)}
    return Message("_INBOX", headers, b"")


def end_of(before: int, pending: int) -> Message:
    headers = {header.SEQUENCE_BEFORE: str(before), header.STATUS: "204"}
    return Message("_INBOX", {**headers, header.PENDING: str(pending)}, b"")


def fetch_all(line: SlowLine, seconds_max: float) -> list[int]:
    """What is fetched within a time; all of it, or the test fails."""
    taken: list[int] = []
    done: list[float] = []
    requests = StreamRequests(LogTerms("show"))
    pages = Pages(line, line, requests)  # type: ignore[arg-type]
    pages.fetch(lambda sequence, _: taken.append(sequence), lambda: done.append(line.now_s()))
    line.time.run_until(seconds_max)
    assert done, f"not done after {seconds_max} s; {line.sent_bytes} bytes were sent"
    return taken


@pytest.mark.parametrize("messages", [0, 1, 5000, 12_000])
def test_everything_is_fetched_in_its_order(messages: int) -> None:
    line = SlowLine(messages, bytes_a_second=100e6, starts_at=0)
    assert fetch_all(line, 60) == list(range(1, messages + 1))


@pytest.mark.parametrize("bytes_a_second", [50_000, 200_000, 1_000_000])
def test_a_line_that_stopped_for_a_moment_is_not_filled_with_what_nobody_waits_for(
    bytes_a_second: float,
) -> None:
    """A page takes longer there than the wait for its first part, behind what was asked before."""
    line = SlowLine(5000, bytes_a_second, starts_at=PAGE_TIMEOUT_S + 0.1)
    at_best_s = 5000 * PART_BYTES / bytes_a_second
    assert fetch_all(line, 4 * at_best_s + 5) == list(range(1, 5001))
    assert line.sent_bytes < 4 * 5000 * PART_BYTES
