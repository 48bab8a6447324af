"""The settings of engines: when commits are forced to the device, and how hand edits are found.

An engine may support only some of them.
"""

from enum import Enum


class Fsync(Enum):
    """When written data is forced to the device; the values are named as in Redis."""

    NO = "no"
    EVERYSEC = "everysec"
    ALWAYS = "always"


class WatchMode(Enum):
    """How files edited by hand are found.

    NOTIFY uses the system's notifications, POLL examines all files again and again, AUTO chooses
    NOTIFY if the system sends notifications for the folder and else POLL, OFF ignores hand edits.
    """

    AUTO = "auto"
    NOTIFY = "notify"
    POLL = "poll"
    OFF = "off"
