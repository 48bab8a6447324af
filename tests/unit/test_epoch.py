"""The epoch of a start."""

import re

from dunena.server.epoch import new_epoch


def test_epochs_are_ten_lower_case_letters_and_digits_and_differ() -> None:
    epochs = {new_epoch() for _ in range(1000)}
    assert len(epochs) == 1000
    assert all(re.fullmatch("[a-z0-9]{10}", epoch) for epoch in epochs)
    assert {character for epoch in epochs for character in epoch} == set(
        "abcdefghijklmnopqrstuvwxyz0123456789"
    )
