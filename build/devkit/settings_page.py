"""docs/settings.md, made from the table of settings."""

from enum import Enum

from dunena.setting_table import Row, rows

_HEAD = """\
# Settings

Every option of `dunena serve`, as a flag or as an environment variable. A flag overrides its
variable, which overrides the default.

- A flag without a value ("stands alone") has a variable that takes `1` or `0`.
- A flag that may be repeated has a variable that takes several values with commas between them.
- Other users of the machine see command lines: give a password or token in a variable or a file.
- If an option is not valid, the server does not start: it exits with 2, and a line says why.

This page is made from the options by `python3 build/dev.py docs`.

| flag | variable | default | values | meaning |
| --- | --- | --- | --- | --- |
"""

_MORE = {
    "--host": "security.md#who-gets-in",
    "--cache-dir": "files.md",
    "--protocol": "protocols.md#which-dialect",
    "--token": "security.md#who-gets-in",
    "--tokens": "security.md#several-tokens",
    "--get-writes": "security.md#get-writes",
    "--allow-origin": "protocols.md#who-gets-in",
    "--allow-host": "security.md#who-gets-in",
    "--fsync": "files.md#what-a-reply-promises",
    "--no-watch": "files.md#editing-by-hand",
    "--max-value": "security.md#limits",
    "--max-entries": "security.md#limits",
    "--max-memory": "security.md#limits",
    "--eviction": "dunena.md#errors",
    "--default-ttl": "recipes/replacing.md#its-variables",
    "--history": "security.md#limits",
    "--rate": "security.md#limits",
    "--max-connections-per-address": "security.md#limits",
    "--proxy-header": "security.md#behind-a-proxy",
    "--compression": "protocols.md#who-reads-slowly-and-who-is-silent",
    "--event-loop": "operations.md#event-loop",
    "--www": "overlays.md#the-folder",
    "--text-dir": "files.md#values-as-text-files",
    "--text-keys": "files.md#values-as-text-files",
    "--log-level": "operations.md#what-it-logs",
    "--log-format": "operations.md#what-it-logs",
    "--tls-cert": "security.md#tls",
    "--tls-key": "security.md#tls",
    "--store": "cluster.md",
    "--bucket": "cluster.md",
    "--store-timeout": "cluster.md#what-is-promised",
    "--store-domain": "cluster.md#a-venue-behind-a-leaf-node",
    "--store-replicas": "cluster.md#more-and-fewer-nats-servers",
    "--store-read-only": "cluster.md#security",
    "--store-user": "cluster.md#security",
    "--store-password": "cluster.md#security",
    "--store-password-file": "cluster.md#security",
    "--store-token": "cluster.md#security",
    "--store-token-file": "cluster.md#security",
    "--store-nkey": "cluster.md#security",
    "--store-creds": "cluster.md#security",
    "--store-ca": "cluster.md#security",
    "--store-cert": "cluster.md#security",
    "--store-key": "cluster.md#security",
}
"""Where there is more to say of an option."""


def page() -> str:
    """The whole page."""
    gone = _MORE.keys() - {row.flag for row in rows().values()}
    if gone:
        raise ValueError(f"no settings any more: {', '.join(sorted(gone))}")
    return _HEAD + "".join(map(_line, rows().values()))


def _line(row: Row) -> str:
    more = f" ([more]({_MORE[row.flag]}))" if row.flag in _MORE else ""
    cells = [f"`{row.flag}`", f"`{row.variable}`", _default(row), _values(row), row.help + more]
    return f"| {' | '.join(cells)} |\n"


def _default(row: Row) -> str:
    if row.setting.computed_default:
        return f"`{row.setting.computed_default}`"
    if row.default is None:
        return "none"
    if row.default is False:
        return "off"
    return f"`{row.default.value if isinstance(row.default, Enum) else row.default}`"


def _values(row: Row) -> str:
    """What a setting takes, in words."""
    setting = row.setting
    if row.type is bool:
        return "stands alone"
    if setting.value_alone:
        return f"text, or stands alone (variable: `{setting.value_alone}`)"
    if isinstance(row.type, type) and issubclass(row.type, Enum):
        return ", ".join(f"`{choice.value}`" for choice in row.type)
    if setting.minimum is not None:
        most = setting.maximum
        return f"{setting.minimum} and more" if most is None else f"{setting.minimum} to {most}"
    if setting.path_kind is not None:
        return setting.path_kind.value + (" that exists" if setting.must_exist else "")
    return "texts" if row.type == list[str] | None else "text"
