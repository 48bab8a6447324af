"""The operations that a transaction of the Python client gathers."""

import json
from typing import Any

import orjson
import pytest

from dunena.client.errors import ClosedError
from dunena.client.transactions import BaseTransaction, operation_fields


def ops_of(transaction: BaseTransaction) -> Any:
    return json.loads(orjson.dumps(transaction._end()["ops"]))


def test_each_method_adds_its_operation_with_the_fields_that_were_given():
    gathered = BaseTransaction("", durable=None)
    gathered.set("a", None, ttl=5, then={"on": False})
    gathered.delete("b", path="/x")
    gathered.merge("c", {"x": None}, if_rev=0)
    gathered.patch("d", iter([{"op": "remove", "path": "/x"}]), ns="other")
    gathered.incr("e")
    gathered.incr("e", -2.5, min=0, max=9.5, path=None)
    gathered.append("f", 1, [2], max=50)
    gathered.touch("g", 0, durable=False)
    gathered.timer("h", "set", ms=3000, rate=-1)
    gathered.revert("i")
    gathered.revert("i", 7)
    assert ops_of(gathered) == [
        {"op": "set", "key": "a", "value": None, "ttl": 5, "then": {"on": False}},
        {"op": "delete", "key": "b", "path": "/x"},
        {"op": "merge", "key": "c", "value": {"x": None}, "ifRev": 0},
        {"op": "patch", "key": "d", "patch": [{"op": "remove", "path": "/x"}], "ns": "other"},
        {"op": "incr", "key": "e", "by": 1},
        {"op": "incr", "key": "e", "by": -2.5, "min": 0, "max": 9.5},
        {"op": "append", "key": "f", "values": [1, [2]], "max": 50},
        {"op": "touch", "key": "g", "ttl": 0, "durable": False},
        {"op": "timer", "key": "h", "do": "set", "ms": 3000, "rate": -1},
        {"op": "revert", "key": "i"},
        {"op": "revert", "key": "i", "toRev": 7},
    ]


def test_the_namespace_and_durability_of_a_transaction_are_sent():
    gathered = BaseTransaction("app", durable=True)
    gathered.incr("k")
    ops = [{"op": "incr", "key": "k", "by": 1}]
    assert gathered._end() == {"ops": ops, "ns": "app", "durable": True}
    assert BaseTransaction("", durable=None)._end() == {"ops": [], "ns": None, "durable": None}


def test_a_transaction_that_has_ended_takes_no_more_operations():
    gathered = BaseTransaction("", durable=None)
    gathered._end()
    with pytest.raises(ClosedError, match="The transaction has ended"):
        gathered.incr("k")


@pytest.mark.parametrize(
    "fields", [{"by": float("nan")}, {"max": float("inf")}, {"then": {"a": float("nan")}}]
)
def test_a_number_that_is_no_json_raises_type_error(fields: Any):
    with pytest.raises(TypeError, match="no JSON"):
        operation_fields("k", {}, **fields)


@pytest.mark.parametrize("value", [{1}, float("nan")])
def test_a_value_that_is_no_json_raises_type_error_in_the_block(value: Any):
    gathered = BaseTransaction("", durable=None)
    for add in (gathered.set, gathered.append):
        with pytest.raises(TypeError):
            add("k", value)
    assert ops_of(gathered) == []
