"""Options of commands made from the table of settings, and `Settings` made from their values."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from inspect import Parameter, Signature, signature
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, cast

from typer import BadParameter, Context, Option

from dunena.persistence.policy import StoreSettings, WatchMode
from dunena.setting_table import (
    AUTO_LOOP,
    DEFAULTS,
    MAKE_SECRET,
    STANDARD_LOOP,
    GivenSettings,
    PathKind,
    Row,
    rows,
)
from dunena.settings import Settings
from dunena.store.limits import Limits

_GIVEN = "given"
"""Name of the parameter of a command that the options replace."""

_Rest = ParamSpec("_Rest")
_Command = Callable[Concatenate[Context, GivenSettings, _Rest], None]


def option_of(
    row: Row, text: str = "", *, shows_variable: bool = True, is_hidden: bool = False
) -> Any:
    """Make the option for a setting, for `Annotated`; ``text`` replaces the setting's help."""
    setting = row.setting
    told = f"  [default: {setting.computed_default}]" if setting.computed_default else ""
    return Option(
        row.flag,
        envvar=row.variable,
        show_envvar=shows_variable,
        help=text or row.help + told,
        min=setting.minimum,
        max=setting.maximum,
        metavar=setting.metavar,
        exists=setting.must_exist,
        file_okay=setting.path_kind is not PathKind.FOLDER,
        dir_okay=setting.path_kind is not PathKind.FILE,
        hidden=is_hidden,
    )


def takes_settings(
    *, listed: frozenset[str] | None = None
) -> Callable[[_Command[_Rest]], Callable[..., None]]:
    """Return a decorator that replaces a command's parameter ``given`` by an option per setting.

    ``listed`` are the names of the settings that the help lists, each with its variable. None
    lists all settings without their variables, so that the help fits a screen; the help then says
    how a variable is named.
    """

    def decorate(command: _Command[_Rest]) -> Callable[..., None]:
        @wraps(command)
        def run(context: Context, **values: Any) -> None:
            given = GivenSettings(**{name: values.pop(name) for name in rows()})
            cast(Any, command)(context, given, **values)

        # Typer reads the options from the signature.
        cast(Any, run).__signature__ = Signature(list(_parameters(command, listed)))
        return run

    return decorate


def _parameters(command: Callable[..., None], listed: frozenset[str] | None) -> Iterator[Parameter]:
    """Yield the parameters of a command, with one for each setting in the place of ``given``."""
    for parameter in signature(command).parameters.values():
        if parameter.name != _GIVEN:
            kind = parameter.kind if parameter.annotation is Context else Parameter.KEYWORD_ONLY
            yield parameter.replace(kind=kind)
            continue
        for row in rows().values():
            is_listed = listed is None or row.name in listed
            option = option_of(row, shows_variable=listed is not None, is_hidden=not is_listed)
            yield Parameter(
                row.name,
                Parameter.KEYWORD_ONLY,
                default=row.default,
                annotation=cast(Any, Annotated)[row.type, option],
            )


def with_values(words: list[str]) -> list[str]:
    """Return the words of a command line with the values of options that were typed without one."""
    alone = {row.flag: row.setting.value_alone for row in rows().values()}
    complete = []
    for word, following in zip(words, [*words[1:], "-"], strict=False):
        complete.append(word)
        if alone.get(word) and following.startswith("-"):
            complete.append(alone[word])
    return complete


def source_of(context: Context, row: Row) -> str | None:
    """Return the flag or the variable that gave a setting; None if it has its default."""
    source = context.get_parameter_source(row.name)
    names = {"COMMANDLINE": row.flag, "ENVIRONMENT": row.variable}
    return names.get(source.name) if source is not None else None


def sources_of(context: Context) -> dict[str, str | None]:
    """Return for the name of each setting what `source_of` says of it."""
    return {row.name: source_of(context, row) for row in rows().values()}


def settings_of(
    given: GivenSettings,
    cache_dir: Path | None,
    www: Path | None,
    sources: Mapping[str, str | None] | None = None,
) -> Settings:
    """Make a server's settings; raise `BadParameter` for settings that contradict each other.

    ``cache_dir`` and ``www`` are the folders to use, defaults applied; None is for none. With a
    store that is shared there is no folder for the values. ``sources`` are those of `sources_of`;
    None for settings that nobody typed.
    """
    if given.token == "":
        raise BadParameter("an empty token lets everybody in; leave it out", param_hint="--token")
    _check_get_writes(given)
    if (given.tls_cert is None) != (given.tls_key is None):
        raise BadParameter("--tls-cert and --tls-key go together", param_hint="--tls-cert")
    store = _store(given, sources or {})
    return Settings(
        host=given.host,
        port=given.port,
        cache_dir=cache_dir if store is None else None,
        dialect=given.protocol,
        token=given.token,
        tokens=given.tokens,
        get_writes=given.get_writes,
        allow_hosts=_hosts(given.allow_host or []),
        allow_origins=_origins(given.allow_origin or []),
        fsync=given.fsync,
        watch=WatchMode.OFF if given.no_watch else given.watch,
        limits=Limits(
            value_bytes_max=given.max_value,
            entries_max=given.max_entries,
            memory_bytes_max=given.max_memory,
            eviction=given.eviction,
        ),
        default_ttl_ms=given.default_ttl,
        history_values_max=given.history,
        rate_per_second=given.rate,
        connections_per_address_max=given.max_connections_per_address,
        proxies=_networks(given.proxy_header or ""),
        compression=given.compression,
        event_loop=_event_loop(given.event_loop),
        www=www,
        text_dir=given.text_dir,
        text_keys=_text_keys(given),
        log_level=given.log_level,
        log_format=given.log_format,
        tls_cert=given.tls_cert,
        tls_key=given.tls_key,
        store=store,
    )


def _store(given: GivenSettings, sources: Mapping[str, str | None]) -> StoreSettings | None:
    """Make the settings of a shared store; None without one; raise `BadParameter`."""
    names = [row.name for row in rows().values() if row.held_as.startswith("store.")]
    if all(getattr(given, name) == getattr(DEFAULTS, name) for name in names):
        return None
    from dunena.cli.store_options import store_of  # most servers have none

    return store_of(given, sources)


def _text_keys(given: GivenSettings) -> tuple[str, ...]:
    """Split patterns at commas; raise `BadParameter` for wrong ones, or without a folder."""
    values = given.text_keys or []
    patterns = tuple(one.strip() for value in values for one in value.split(",") if one.strip())
    if (given.text_dir is None) != (not patterns):
        missing = "--text-dir" if patterns else "--text-keys"
        raise BadParameter("--text-dir and --text-keys go together", param_hint=missing)
    if patterns:
        from dunena.server.text_files.selection import SelectionError, read_patterns

        try:
            read_patterns(patterns)
        except SelectionError as error:
            raise BadParameter(str(error), param_hint="--text-keys") from None
    return patterns


def _event_loop(text: str) -> str:
    """Return the name of an event loop; raise `BadParameter` for what cannot be one."""
    if text in (AUTO_LOOP, STANDARD_LOOP):
        return text
    module, colon, function = text.partition(":")
    if not (colon and function.isidentifier() and all(map(str.isidentifier, module.split(".")))):
        reason = f"{text} is not auto, standard or MODULE:FUNCTION, such as uvloop:new_event_loop"
        raise BadParameter(reason, param_hint="--event-loop")
    return text


def _check_get_writes(given: GivenSettings) -> None:
    from dunena.server.access.get_secret import SECRET_FORM, is_get_secret

    secret = given.get_writes
    if secret is None or secret == MAKE_SECRET:
        return
    if not is_get_secret(secret):
        reason = f"a secret has {SECRET_FORM}; --get-writes alone makes one"
        raise BadParameter(reason, param_hint="--get-writes")
    if secret == given.token:
        raise BadParameter("the token must not stand in addresses", param_hint="--get-writes")


def _origins(values: list[str]) -> frozenset[str]:
    """Split origins at commas; return each as typed and without a slash at its end.

    A URL in a browser ends with a slash, its origin does not. `file://` keeps its slashes.
    """
    typed = {name.strip() for value in values for name in value.split(",")} - {""}
    bare = {name.removesuffix("/") for name in typed if not name.endswith("//")}
    return frozenset(typed | bare) - {""}


def _hosts(values: list[str]) -> frozenset[str]:
    """Split host names at commas; return them as `_host` does."""
    typed = {name.strip() for value in values for name in value.split(",")} - {""}
    return frozenset(map(_host, typed))


def _host(typed: str) -> str:
    """Return a host name in lower case without a final dot, or "*" as it is.

    Raise `BadParameter` for what no name in a Host header is equal to, such as a URL.
    """
    from dunena.server.access.authority import read_host

    name = typed.rstrip(".").lower()
    if name == "*":
        return name
    bare = re.sub(r"^[a-z]+://", "", name)
    bare = re.split("[/?#]", bare, maxsplit=1)[0]
    authority = read_host(bare) or read_host(f"[{bare}]")
    host = "" if authority is None else authority.host.rstrip(".")
    if not host:
        reason = f"{typed} is no host name; one is like show.example, and * is every name"
        raise BadParameter(reason, param_hint="--allow-host")
    if host != name:
        raise BadParameter(f"{typed} is more than a name; write {host}", param_hint="--allow-host")
    return host


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part, strict=False) for part in text.replace(",", " ").split())
    except ValueError as error:
        raise BadParameter(str(error), param_hint="--proxy-header") from None
