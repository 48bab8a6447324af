"""Keys in order, whatever comes and goes while they are put there."""

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from dunena.store import key_order
from dunena.store.key_order import KeyOrder, order_of

names = st.text("abc", min_size=1, max_size=4)


@given(
    st.sets(names),
    st.lists(st.tuples(st.sampled_from(["place", "came", "went"]), names)),
    st.integers(0, 9),
    names,
)
@settings(max_examples=500)
def test_key_order_equals_the_sorted_list_under_changes(
    begun: set[str], steps: list[tuple[str, str]], start: int, name: str
) -> None:
    standing = dict.fromkeys(begun)
    with patch.object(key_order, "_HEAP_KEYS", 2):
        order = KeyOrder(list(standing))
    for step, key in steps:
        if step == "place":
            order.place(3, standing)
        elif step == "came" and key not in standing:
            standing[key] = None
            order.came(key)
        elif step == "went" and key in standing:
            del standing[key]
            order.went(key)
    while not order.is_complete:
        order.place(3, standing)
    for one in (order, order_of(sorted(standing))):
        assert one.page(0, 10**6) == sorted(standing)
        assert one.count == len(standing)
        assert one.page(start, 2) == sorted(standing)[start : start + 2]
        assert one.after(name, 3) == [key for key in sorted(standing) if key > name][:3]
        assert one.passed(name) == len([key for key in standing if key <= name])


def test_chunks_of_keys_are_split_when_full_and_removed_when_empty() -> None:
    keys = [f"{number * 7919 % 10_007:05}" for number in range(10_007)]
    order = KeyOrder(list(keys))
    while not order.is_complete:
        order.place(500, set(keys))
    assert order.page(0, 10**6) == sorted(keys)
    assert max(map(len, order._chunks)) <= key_order.CHUNK_KEYS_MAX
    assert order.after("05000", 2000) == sorted(keys)[5001:7001]
    for key in keys[:-1]:
        order.went(key)
    assert (order.page(0, 9), order.count) == ([keys[-1]], 1)
    assert len(order._chunks) <= 2
    order.came("00000")
    assert order.page(0, 9) == ["00000", keys[-1]]
