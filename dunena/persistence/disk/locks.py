"""The locks that the threads of the disk engine share, and the order in which they are taken.

Three threads work on a folder: the server's thread appends commits; the engine's thread brings
files up to date and examines hand edits; a third one forces the journal to the device. The watcher
has a fourth thread, which only reports touched paths.

A thread that holds a lock may take only locks that come after it in `LockRank`. At present one pair
is nested: a sync, a check, a renewal and a deletion of segments hold JOURNAL_FILES, and take
JOURNAL briefly to read the list of segments, so that a commit never waits for a device. All other
locks are taken with no lock held, and no function that takes a lock is called while they are held.
"""

import threading
from enum import IntEnum


class LockRank(IntEnum):
    """The locks and what they guard, the outermost first."""

    CHECKPOINT = 1
    """`Checkpointer`: the revision up to which the files hold all changes, and its record."""

    JOURNAL_FILES = 2
    """`Journal`: its segments' files, which must not be closed while another thread syncs them."""

    JOURNAL = 3
    """`Journal`: the list of segments and the end of the current one; held for an append."""

    MIRROR = 4
    """`Mirror`: the changes that files lack, and when they are due."""

    HAND_EDITS = 5
    """`HandEdits`: touched paths and changes that the server has not collected."""

    EVERYTHING = 6
    """`Everything`: whether an examination of the whole folder is requested."""

    SYNC_REQUESTS = 7
    """`Syncer`: the functions to call after the next sync."""

    STAMPS = 8
    """`StampTable`: held to add or remove one stamp."""


def make_lock(_rank: LockRank) -> threading.Lock:
    """Make a lock of a rank. Only tests, which replace this function, check the order."""
    return threading.Lock()
