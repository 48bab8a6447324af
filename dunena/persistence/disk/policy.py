"""How soon a commit is on the device itself."""

from enum import Enum


class Fsync(Enum):
    """When what was written is forced to the device, in Redis's words."""

    NO = "no"
    EVERYSEC = "everysec"
    ALWAYS = "always"
