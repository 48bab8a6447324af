"""The transactions that make the changes of a plan; no I/O."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import orjson

from dunena.backup.restore_plan import Step

OPERATIONS_MAX = 500
BYTES_MAX = 1_000_000
"""Less than any server refuses in one transaction, one with a shared store too."""


class TransactionBatch(NamedTuple):
    """One transaction: the body of a ``POST /txn``, and the changes that it makes."""

    body: bytes
    steps: list[Step]


def batches_of(steps: Iterable[Step], now: Callable[[], int]) -> Iterator[TransactionBatch]:
    """Yield the transactions; ``now`` returns Unix ms of the wall clock, when one is made."""
    operations: list[bytes] = []
    made: list[Step] = []
    size = 0
    for step in steps:
        operation = orjson.dumps(_operation(step, now()))
        if made and (size + len(operation) > BYTES_MAX or len(made) >= OPERATIONS_MAX):
            yield TransactionBatch(b'{"ops":[%b]}' % b",".join(operations), made)
            operations, made, size = [], [], 0
        operations.append(operation)
        made.append(step)
        size += len(operation)
    if made:
        yield TransactionBatch(b'{"ops":[%b]}' % b",".join(operations), made)


def _operation(step: Step, now: int) -> dict[str, object]:
    operation: dict[str, object] = {"key": step.key}
    if step.ns:
        operation["ns"] = step.ns
    if step.held is None:
        return operation | {"op": "delete"}
    # Without a ttl it would be the server's default, for new keys.
    ttl = 0 if step.expires_at is None else max(1, step.expires_at - now)
    operation |= {"op": "set", "value": orjson.Fragment(step.value), "ttl": ttl}
    if step.then is not None:
        operation["then"] = orjson.Fragment(step.then)
    return operation
