"""Unmasking the payload of a frame."""

from hypothesis import given
from hypothesis import strategies as st

from dunena.unmasking import MASK_BYTES, unmask


@given(
    st.binary(max_size=20),
    st.binary(min_size=MASK_BYTES, max_size=MASK_BYTES),
    st.one_of(st.binary(max_size=40), st.binary(min_size=4090, max_size=4110)),
    st.binary(max_size=20),
)
def test_a_payload_is_unmasked_wherever_it_stands(
    before: bytes, mask: bytes, payload: bytes, behind: bytes
) -> None:
    masked = bytes(byte ^ mask[at % MASK_BYTES] for at, byte in enumerate(payload))
    start = len(before) + MASK_BYTES
    data = before + mask + masked + behind
    assert unmask(data, start, start + len(payload)) == payload
