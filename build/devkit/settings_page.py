"""docs/settings.md, made from the options of `dunena serve`."""

import re
from enum import Enum
from typing import Any

from devkit.cli_page import command_of

_HEAD = """\
# Settings

Every option of `dunena serve`, as a flag or as an environment variable: a flag beats its variable,
which beats the default.

A variable for a flag that stands alone takes `1` or `0`. What may be repeated as a flag stands in
its variable with commas between. An option that cannot be understood ends the start with exit code
2 and a line that says why. This page is made from the options by `python3 build/dev.py docs`.

| flag | variable | default | values | meaning |
| --- | --- | --- | --- | --- |
"""

_MORE = {
    "--host": "security.md#who-gets-in",
    "--cache-dir": "files.md",
    "--protocol": "protocols.md#which-dialect",
    "--token": "security.md#who-gets-in",
    "--tokens": "security.md#several-tokens",
    "--allow-origin": "protocols.md#who-gets-in",
    "--allow-host": "security.md#who-gets-in",
    "--fsync": "files.md#what-a-reply-promises",
    "--no-watch": "files.md#editing-by-hand",
    "--max-value": "security.md#limits",
    "--max-entries": "security.md#limits",
    "--max-memory": "security.md#limits",
    "--eviction": "dunena.md#errors",
    "--default-ttl": "recipes/replacing.md#its-variables",
    "--rate": "security.md#limits",
    "--max-connections-per-address": "security.md#limits",
    "--proxy-header": "security.md#behind-a-proxy",
    "--compression": "protocols.md#who-reads-slowly-and-who-is-silent",
    "--www": "overlays.md#the-folder",
    "--log-level": "operations.md#what-it-logs",
    "--log-format": "operations.md#what-it-logs",
    "--tls-cert": "security.md#tls",
    "--tls-key": "security.md#tls",
}
"""Where there is more to say of an option."""

# What a help says of a default that only the running program knows.
_TOLD_DEFAULT = re.compile(r"\s*\[default: (.+)\]$")


def page() -> str:
    """The whole page."""
    options = [option for option in command_of("serve").params if option.name != "help"]
    gone = _MORE.keys() - {option.opts[0] for option in options}
    if gone:
        raise ValueError(f"no options any more: {', '.join(sorted(gone))}")
    return _HEAD + "".join(_row(option) for option in options)


def _row(option: Any) -> str:
    flag = option.opts[0]
    text = _TOLD_DEFAULT.sub("", option.help)
    more = f" ([more]({_MORE[flag]}))" if flag in _MORE else ""
    cells = [f"`{flag}`", f"`{option.envvar}`", _default(option), _values(option), text + more]
    return f"| {' | '.join(cells)} |\n"


def _default(option: Any) -> str:
    told = _TOLD_DEFAULT.search(option.help)
    if told:
        return f"`{told[1]}`"
    if option.default is None:
        return "none"
    if option.default is False:
        return "off"
    value = option.default.value if isinstance(option.default, Enum) else option.default
    return f"`{value}`"


def _values(option: Any) -> str:
    """What an option takes, in words."""
    kind = option.type
    if option.is_flag:
        return "stands alone"
    if hasattr(kind, "choices"):
        return ", ".join(f"`{choice}`" for choice in kind.choices)
    if hasattr(kind, "min"):
        return f"{kind.min} and more" if kind.max is None else f"{kind.min} to {kind.max}"
    if hasattr(kind, "file_okay"):
        name = "file" if kind.file_okay else "folder"
        return f"{name} that exists" if kind.exists else name
    return "texts" if option.multiple else "text"
