"""What settings ask of an engine: how soon a commit is on the device, and whose changes are seen.

An engine takes from it what it can do.
"""

from enum import Enum


class Fsync(Enum):
    """When what was written is forced to the device, in Redis's words."""

    NO = "no"
    EVERYSEC = "everysec"
    ALWAYS = "always"


class WatchMode(Enum):
    """How files edited by hand are learnt of.

    AUTO looks for them where the system does not tell of changes; NOTIFY always lets it tell, POLL
    always looks, OFF leaves them alone.
    """

    AUTO = "auto"
    NOTIFY = "notify"
    POLL = "poll"
    OFF = "off"
