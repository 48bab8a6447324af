"""The settings of engines: when commits are forced to the device, and how hand edits are found.

An engine may support only some of them. `StoreSettings` are those of a store that several servers
share, in the place of an engine.
"""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


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


BUCKET_DEFAULT = "dunena"
"""The bucket of a shared store, where none is named."""

STORE_TIMEOUT_SECONDS = 15
"""How long a write waits for a shared store: a new leader is chosen in 4 to 9 seconds."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the values are that several servers share: a bucket at NATS servers.

    ``servers`` are URLs (nats:// or tls://), without login. ``timeout_s`` is how long a write waits
    for the store. ``domain`` is the JetStream domain behind a leaf node. ``replicas`` is the number
    of servers that keep the bucket if it has to be made; None lets the log choose by their number.
    ``is_reader``: this server changes nothing, so it needs no right to. A login is ``user`` and
    ``password``, or ``token``, or the file of an nkey's seed, or a file of credentials;
    ``password_file`` and ``token_file`` have these two instead, without white space around them.
    ``ca_file`` has the certificates that are trusted instead of the system's, ``cert_file`` and
    ``key_file`` are those of this client.
    """

    servers: tuple[str, ...]
    bucket: str = BUCKET_DEFAULT
    timeout_s: float = STORE_TIMEOUT_SECONDS
    domain: str | None = None
    replicas: int | None = None
    is_reader: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    nkey_file: Path | None = None
    creds_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
