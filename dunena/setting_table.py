"""The table of a server's settings: name, variable, type, default, unit, limits and help of each.

From these rows are made the options and variables of `dunena serve` and `dunena doctor`
(`dunena.cli.setting_options`), docs/settings.md, the settings in `/info` and in the output of
`doctor`, and the defaults of `dunena.settings.Settings`.
"""

from dataclasses import dataclass, fields
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

from dunena import DEFAULT_FOLDER, DEFAULT_HOST, DEFAULT_PORT, PORT_MAX, TOKEN_VARIABLE
from dunena.dialects.dialect import Dialect
from dunena.persistence.policy import BUCKET_DEFAULT, STORE_TIMEOUT_SECONDS, Fsync, WatchMode
from dunena.store.limits import HISTORY_VALUES_DEFAULT, HISTORY_VALUES_MAX, Eviction, Limits

_PREFIX = "DUNENA_"
_LIMITS = Limits()


class LogLevel(Enum):
    """The lowest level of the lines that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    WARN = "warn"
    """The same level as WARNING, as the original dunena spells it."""
    ERROR = "error"


class LogFormat(Enum):
    """The format of log lines."""

    TEXT = "text"
    JSON = "json"


class PathKind(Enum):
    """What must be at a path, if there is anything."""

    FILE = "file"
    FOLDER = "folder"


AUTO_LOOP = "auto"
STANDARD_LOOP = "standard"
"""Values of --event-loop besides names of factories: the fastest here, or that of Python."""

MAKE_SECRET = "auto"
"""The value of --get-writes that makes a secret: also what the option stands for alone."""

CONNECTIONS_PER_ADDRESS_MAX = 1_000
"""Default number of connections of one other machine: more than a venue behind one router has, and
so few that one machine cannot use up all connections. An IPv6 address counts as its /64 network,
which is what one customer is assigned."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The properties of a setting besides its name, type and default.

    ``help`` is its text for people, without the ``unit``, which is appended. ``variable`` is its
    environment variable if that is not named by the rule (DUNENA_ and the name). ``held_as`` is its
    attribute in `dunena.settings.Settings` if that has another name. ``computed_default`` says what
    the default None stands for. ``metavar`` names the value in the help of commands. The value of a
    setting with ``is_secret`` is never shown, only whether it is set. ``value_alone`` is the value
    that the option stands for when it is typed without one; "" if it needs one.
    """

    help: str
    unit: str = ""
    variable: str = ""
    held_as: str = ""
    minimum: int | None = None
    maximum: int | None = None
    path_kind: PathKind | None = None
    must_exist: bool = False
    computed_default: str = ""
    metavar: str | None = None
    is_secret: bool = False
    value_alone: str = ""


@dataclass(frozen=True, kw_only=True)
class GivenSettings:
    """The table of settings; an instance holds the values from options, variables and defaults."""

    host: Annotated[str, Setting("Address to listen on; :: for all.")] = DEFAULT_HOST
    port: Annotated[int, Setting("Port; 0 takes a free one.", minimum=0, maximum=PORT_MAX)] = (
        DEFAULT_PORT
    )
    cache_dir: Annotated[
        Path | None,
        Setting(
            "Folder for the values.",
            variable="CACHE_DIR",
            path_kind=PathKind.FOLDER,
            computed_default=DEFAULT_FOLDER,
        ),
    ] = None
    protocol: Annotated[Dialect, Setting("What /ws speaks without a hint.", held_as="dialect")] = (
        Dialect.AUTO
    )
    token: Annotated[
        str | None,
        Setting("Let in only who knows this token.", variable=TOKEN_VARIABLE, is_secret=True),
    ] = None
    tokens: Annotated[
        Path | None, Setting("File of tokens with their rights.", path_kind=PathKind.FILE)
    ] = None
    get_writes: Annotated[
        str | None,
        Setting(
            "Let addresses with this secret write.",
            metavar="[SECRET]",
            is_secret=True,
            value_alone=MAKE_SECRET,
        ),
    ] = None
    allow_origin: Annotated[
        list[str] | None,
        Setting(
            "Let in pages of this origin too; may be repeated. null: pages opened from disk.",
            held_as="allow_origins",
        ),
    ] = None
    allow_host: Annotated[
        list[str] | None,
        Setting(
            "Answer to this name too; may be repeated. *: to all names.", held_as="allow_hosts"
        ),
    ] = None
    fsync: Annotated[Fsync, Setting("When writes are forced to the device.")] = Fsync.EVERYSEC
    watch: Annotated[WatchMode, Setting("How files edited by hand are learnt of.")] = WatchMode.AUTO
    no_watch: Annotated[bool, Setting("The same as --watch off.")] = False
    max_value: Annotated[
        int, Setting("Largest value", unit="bytes", minimum=1, held_as="limits.value_bytes_max")
    ] = _LIMITS.value_bytes_max
    max_entries: Annotated[
        int, Setting("Most keys; 0: any.", minimum=0, held_as="limits.entries_max")
    ] = _LIMITS.entries_max
    max_memory: Annotated[
        int, Setting("Most bytes stored; 0: any.", minimum=0, held_as="limits.memory_bytes_max")
    ] = _LIMITS.memory_bytes_max
    eviction: Annotated[
        Eviction,
        Setting(
            "A full store refuses, or deletes what is unused (lru).", held_as="limits.eviction"
        ),
    ] = _LIMITS.eviction
    default_ttl: Annotated[
        int, Setting("Expiry if none is set", unit="ms", minimum=0, held_as="default_ttl_ms")
    ] = 0
    history: Annotated[
        int,
        Setting(
            "Old values per key.",
            minimum=0,
            maximum=HISTORY_VALUES_MAX,
            held_as="history_values_max",
        ),
    ] = HISTORY_VALUES_DEFAULT
    no_persist: Annotated[bool, Setting("Keep nothing on disk.")] = False
    rate: Annotated[
        int,
        Setting("Messages a second per connection; 0: any.", minimum=0, held_as="rate_per_second"),
    ] = 0
    max_connections_per_address: Annotated[
        int,
        Setting(
            "Connections of one other machine; 0: any.",
            minimum=0,
            held_as="connections_per_address_max",
        ),
    ] = CONNECTIONS_PER_ADDRESS_MAX
    proxy_header: Annotated[
        str | None,
        Setting(
            "Believe X-Forwarded-For from these addresses or networks.",
            metavar="ADDRESSES",
            held_as="proxies",
        ),
    ] = None
    compression: Annotated[bool, Setting("Compress messages (WebSocket).")] = False
    event_loop: Annotated[
        str, Setting("auto, standard, or MODULE:FUNCTION of another library.")
    ] = AUTO_LOOP
    www: Annotated[
        Path | None,
        Setting(
            "Folder of your own pages, served at /www/.",
            path_kind=PathKind.FOLDER,
            must_exist=True,
        ),
    ] = None
    text_dir: Annotated[
        Path | None, Setting("Folder for values as text files.", path_kind=PathKind.FOLDER)
    ] = None
    text_keys: Annotated[
        list[str] | None, Setting("Their keys; may be repeated. * and ? match.")
    ] = None
    log_level: Annotated[LogLevel, Setting("Log this and worse.")] = LogLevel.INFO
    log_format: Annotated[LogFormat, Setting("Form of log lines.")] = LogFormat.TEXT
    tls_cert: Annotated[
        Path | None, Setting("Certificate chain, PEM.", path_kind=PathKind.FILE)
    ] = None
    tls_key: Annotated[Path | None, Setting("Its private key, PEM.", path_kind=PathKind.FILE)] = (
        None
    )
    store: Annotated[
        str | None,
        Setting(
            "Share the values at NATS: nats://HOST,HOST.",
            metavar="URLS",
            held_as="store.servers",
        ),
    ] = None
    bucket: Annotated[str, Setting("Bucket of the values.", held_as="store.bucket")] = (
        BUCKET_DEFAULT
    )
    store_timeout: Annotated[
        int,
        Setting(
            "Longest wait of a write",
            unit="seconds",
            minimum=1,
            maximum=600,
            held_as="store.timeout_s",
        ),
    ] = STORE_TIMEOUT_SECONDS
    store_domain: Annotated[
        str | None, Setting("JetStream domain, behind a leaf node.", held_as="store.domain")
    ] = None
    store_replicas: Annotated[
        int | None,
        Setting(
            "Copies of a new bucket.",
            minimum=1,
            maximum=5,
            computed_default="3 or 1",
            held_as="store.replicas",
        ),
    ] = None
    store_read_only: Annotated[
        bool, Setting("Change nothing in the bucket.", held_as="store.is_reader")
    ] = False
    store_user: Annotated[str | None, Setting("User at NATS.", held_as="store.user")] = None
    store_password: Annotated[
        str | None,
        Setting("The user's password; better in a file.", held_as="store.password", is_secret=True),
    ] = None
    store_password_file: Annotated[
        Path | None,
        Setting("File with the password.", path_kind=PathKind.FILE, held_as="store.password_file"),
    ] = None
    store_token: Annotated[
        str | None,
        Setting("Token for NATS; better in a file.", held_as="store.token", is_secret=True),
    ] = None
    store_token_file: Annotated[
        Path | None,
        Setting("File with the token.", path_kind=PathKind.FILE, held_as="store.token_file"),
    ] = None
    store_nkey: Annotated[
        Path | None,
        Setting(
            "File with the seed of an nkey.", path_kind=PathKind.FILE, held_as="store.nkey_file"
        ),
    ] = None
    store_creds: Annotated[
        Path | None,
        Setting("File of credentials (JWT).", path_kind=PathKind.FILE, held_as="store.creds_file"),
    ] = None
    store_ca: Annotated[
        Path | None,
        Setting(
            "Trust this authority for NATS, PEM.", path_kind=PathKind.FILE, held_as="store.ca_file"
        ),
    ] = None
    store_cert: Annotated[
        Path | None,
        Setting(
            "Certificate chain for NATS, PEM.",
            path_kind=PathKind.FILE,
            held_as="store.cert_file",
        ),
    ] = None
    store_key: Annotated[
        Path | None,
        Setting("Its private key, PEM.", path_kind=PathKind.FILE, held_as="store.key_file"),
    ] = None


DEFAULTS = GivenSettings()


@dataclass(frozen=True, slots=True)
class Row:
    """One setting of the table; ``name`` is its attribute in `GivenSettings`."""

    name: str
    type: Any
    default: Any
    setting: Setting

    @property
    def label(self) -> str:
        """The name with dashes, as people read it."""
        return self.name.replace("_", "-")

    @property
    def flag(self) -> str:
        """The option of `dunena serve`, with its dashes."""
        return f"--{self.label}"

    @property
    def variable(self) -> str:
        """The name of the environment variable that gives the setting."""
        return self.setting.variable or _PREFIX + self.name.upper()

    @property
    def help(self) -> str:
        """The sentence that describes the setting, with its unit."""
        setting = self.setting
        return f"{setting.help}, {setting.unit}." if setting.unit else setting.help

    @property
    def held_as(self) -> str:
        """The attribute of `dunena.settings.Settings` that holds the value, as a dotted path."""
        return self.setting.held_as or self.name


@cache
def rows() -> dict[str, Row]:
    """Return the whole table by name, in the order in which it is shown."""
    hints = get_type_hints(GivenSettings, include_extras=True)
    table = {}
    for field in fields(GivenSettings):
        kind, setting = get_args(hints[field.name])
        table[field.name] = Row(field.name, kind, field.default, setting)
    return table
