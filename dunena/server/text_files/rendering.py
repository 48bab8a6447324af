"""The texts of a value: of the whole, and of each member if it is an object; no I/O."""

import math
from itertools import islice
from typing import Any, NamedTuple

import orjson

from dunena.dialects.formats import changes_by_itself, text_of, timer_text
from dunena.dialects.ops.timer import is_timer, shown_ms
from dunena.server.limits import TEXT_MEMBERS_MAX
from dunena.store.limits import PARTIAL_BYTES_MAX
from dunena.store.values import JsonValue

_TIMER = "timer"
_DAY_MS = 86_400_000


class Rendering(NamedTuple):
    """The texts of a value by member; that of the whole value is under None.

    ``changes_at`` (Unix ms) is when one of them changes by itself, as a timer runs; None for never.
    ``fault`` says which members have no text; "" if all have.
    """

    texts: dict[str | None, str]
    changes_at: int | None = None
    fault: str = ""


def render(encoded: bytes, now: int) -> Rendering:
    """Return the texts that a value (JSON) has at ``now``, Unix ms."""
    texts: dict[str | None, str] = {None: text_of(encoded, now)}
    if not encoded.startswith(b"{"):
        return Rendering(texts)
    if len(encoded) > PARTIAL_BYTES_MAX:
        # Decoding it would hold up the server, whose thread shares the interpreter.
        return Rendering(texts, fault=f"over {PARTIAL_BYTES_MAX} bytes, so its members have none")
    value: dict[str, JsonValue] = orjson.loads(encoded)
    for name, part in islice(value.items(), TEXT_MEMBERS_MAX):
        texts[name] = text_of(orjson.dumps(part), now)
    shown = timer_text(value, now)
    if shown is not None and _TIMER in texts:
        texts[_TIMER] = shown  # nobody wants to see what a timer is made of
    changes_at = _first_change_at(value, now) if changes_by_itself(encoded) else None
    more = len(value) > TEXT_MEMBERS_MAX
    fault = f"more than {TEXT_MEMBERS_MAX} members, and the others have none" if more else ""
    return Rendering(texts, changes_at, fault)


def _first_change_at(value: dict[str, JsonValue], now: int) -> int | None:
    changes = [_changes_at(part, now) for part in (value, *value.values())]
    return min([at for at in changes if at is not None], default=None)


def _changes_at(value: JsonValue, now: int) -> int | None:
    """Return when a timer shows another second, but at most once a second; None for never."""
    if not is_timer(value):
        return None
    timer: dict[str, Any] = value["timer"]
    rate, shown = timer["rate"], shown_ms(timer, now)
    if not timer["running"] or not rate or not math.isfinite(shown) or (rate < 0 and shown <= 0):
        return None
    # Counting down, a second is shown until it is over.
    second = math.ceil(shown / 1000) - 1 if rate < 0 else math.floor(shown / 1000) + 1
    wait_ms: int = math.ceil(min(abs((second * 1000 - shown) / rate), _DAY_MS))
    return now + max(1 if abs(rate) <= 1 else 1000, wait_ms)
