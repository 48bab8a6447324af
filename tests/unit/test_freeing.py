"""dunena/persistence/disk/freeing.py: freeing very many objects."""

from dunena.persistence.disk.freeing import free_gradually


def test_everything_is_removed():
    for things in ({1: "a", 2: "b"}, {}, {1, 2, 3}, set()):
        free_gradually(things)
        assert not things
