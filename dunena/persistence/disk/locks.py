"""The locks that the threads of the disk engine share, and the order in which they are taken.

Three threads are at work on a folder: the server's, which appends commits; the one that brings
files up to date and looks at hand edits; and the one that forces the journal to the device. The
watcher has a fourth, which only says what was touched.

A thread that holds a lock may take only those that stand below it in `LockRank`. At present one
pair is nested: a sync, a check, a renewal and a deletion of segments hold JOURNAL_FILES, and take
JOURNAL inside for the moments in which they look at the list of segments, so that a commit never
waits for a device. All others are taken with no lock held, and nothing is called under them that
takes another.
"""

import threading
from enum import IntEnum


class LockRank(IntEnum):
    """Each lock, and what it guards; the outermost first."""

    CHECKPOINT = 1
    """`Checkpointer`: the revision up to which files stand for the journal, with its record."""

    JOURNAL_FILES = 2
    """`Journal`: its segments' files, which none must close while another forces them."""

    JOURNAL = 3
    """`Journal`: the list of segments and where the current one ends; held for an append."""

    MIRROR = 4
    """`Mirror`: what files lack, and when they are due."""

    HAND_EDITS = 5
    """`HandEdits`: touched paths, and changes that the server has not collected."""

    EVERYTHING = 6
    """`Everything`: whether a look at the whole folder is asked for."""

    SYNC_REQUESTS = 7
    """`Syncer`: who waits for a sync."""


def make_lock(_rank: LockRank) -> threading.Lock:
    """A lock of this rank. Nothing looks at the order but the tests, which put theirs in place."""
    return threading.Lock()
