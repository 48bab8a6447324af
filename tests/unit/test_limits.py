"""The limits are consistent with each other."""

import ast
from itertools import pairwise
from pathlib import Path

from dunena import setting_table
from dunena.client.http import Http
from dunena.persistence.log import GROUP_OPS_MAX
from dunena.server import limits
from dunena.server.loop_faults import DESCRIPTORS_RESERVED
from dunena.server.registry import SWEEP_SECONDS
from dunena.sessions import limits as session_limits
from dunena.store import limits as store_limits
from dunena.store.limits import Limits
from dunena.watches import limits as watch_limits

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "security.md"


def documented(module: object) -> list[str]:
    """A row for every limit of a module: name, value, and the string that stands below it."""
    # Not its own file, which is compiled in a wheel.
    source = ROOT.joinpath(*module.__name__.split(".")).with_suffix(".py")
    body = ast.parse(source.read_text("utf-8")).body
    rows = []
    for statement, below in pairwise(body):
        target = (
            statement.targets[0]
            if isinstance(statement, ast.Assign)
            else getattr(statement, "target", None)
        )
        if isinstance(target, ast.Name) and isinstance(getattr(module, target.id), int | float):
            name = target.id
            has_reason = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            reason = " ".join(below.value.value.replace("``", "`").split()) if has_reason else ""
            rows.append(f"| `{name}` | {getattr(module, name):,} | {reason} |")
    return rows


def test_the_limits_document_lists_every_limit_with_its_reason() -> None:
    modules = (limits, store_limits, watch_limits, session_limits, setting_table)
    rows = [row for module in modules for row in documented(module)]
    assert len(rows) >= 20
    text = DOCUMENT.read_text("utf-8")
    table = [line for line in text.splitlines() if line.startswith("| `") and "_" in line[:20]]
    # After a change: put these rows into the document.
    assert table == rows, "\n".join(rows)


def test_the_message_limit_holds_the_largest_value_fully_escaped() -> None:
    default = Limits()
    longest_escape = len(r"\u0000")
    around = 2 * longest_escape * store_limits.KEY_BYTES_MAX + 1_000
    assert default.message_bytes_max >= longest_escape * default.value_bytes_max + around


def test_page_message_and_subscription_limits_are_in_ascending_order() -> None:
    assert store_limits.PAGE_KEYS_DEFAULT <= store_limits.PAGE_KEYS_MAX
    assert store_limits.PAGE_KEYS_MAX <= store_limits.KEYS_PER_MESSAGE_MAX
    assert store_limits.KEYS_PER_MESSAGE_MAX <= store_limits.SUBSCRIPTIONS_MAX


def test_the_client_requests_the_servers_maximum_page_size() -> None:
    assert Http.PAGE_MAX == store_limits.PAGE_KEYS_MAX


def test_the_message_limit_holds_the_maximum_number_of_keys() -> None:
    most = store_limits.KEYS_PER_MESSAGE_MAX * (store_limits.KEY_BYTES_MAX + len('"",'))
    assert most <= Limits().message_bytes_max


def test_one_address_may_hold_at_most_a_tenth_of_all_connections() -> None:
    assert setting_table.CONNECTIONS_PER_ADDRESS_MAX * 10 <= limits.CONNECTIONS_MAX
    assert DESCRIPTORS_RESERVED < setting_table.CONNECTIONS_PER_ADDRESS_MAX


def test_every_timeout_is_longer_than_the_sweep_interval() -> None:
    waits = (
        limits.CLOSE_SECONDS_MAX,
        limits.TLS_SECONDS_MAX,
        limits.PING_SECONDS,
        limits.REQUEST_SECONDS_MAX,
        limits.IDLE_SECONDS_MAX,
    )
    assert min(waits) >= 2 * SWEEP_SECONDS
    assert limits.REQUEST_SECONDS_MAX < limits.IDLE_SECONDS_MAX


def test_a_silent_stream_stays_no_longer_than_a_silent_websocket() -> None:
    longest = limits.COMMENT_SECONDS + limits.STREAM_SILENT_SECONDS_MAX
    assert longest <= 2 * limits.PING_SECONDS


def test_the_end_of_a_session_on_a_shared_store_fits_in_one_proposal() -> None:
    # An operation of a will may end the time of its key first.
    keys = session_limits.SHARED_SESSION_KEYS_MAX
    assert keys + 2 * session_limits.WILL_OPERATIONS_MAX + 1 == GROUP_OPS_MAX


def test_a_portion_fits_in_a_batch_and_a_batch_in_the_backlog() -> None:
    assert limits.PORTION_BYTES * 2 <= limits.BATCH_BYTES_MAX
    assert limits.BATCH_BYTES_MAX * 2 <= limits.BACKLOG_BYTES_MAX


def test_the_messages_of_one_slow_reader_are_a_fraction_of_those_of_all() -> None:
    assert limits.CHANNELS_BACKLOG_BYTES_MAX * 8 <= limits.WAITING_MESSAGES_BYTES_MAX


def test_the_head_limit_holds_the_maximum_number_of_headers() -> None:
    assert limits.HEADERS_MAX * 100 <= limits.HEAD_BYTES_MAX


def test_the_json_depth_limit_is_below_that_of_orjson() -> None:
    assert store_limits.JSON_DEPTH_MAX < 255  # orjson writes no deeper


def test_a_pending_update_counts_as_more_than_one_write() -> None:
    # So an outbox makes its frames one by one, without a look at every other piece.
    assert 2 * watch_limits.PART_BYTES_MAX > limits.PORTION_BYTES
