"""What comes before a server runs: its log, advice on variables, and its folders."""

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace

from dunena.cli.original import advice, misspelt
from dunena.cli.running import run_server
from dunena.cli.start_mode import StartMode
from dunena.desktop.folder import DataFolder, default_folder, own_pages, place_of_pages
from dunena.logs import set_up_logging
from dunena.setting_table import GivenSettings, rows
from dunena.settings import Settings

_log = logging.getLogger(__name__)


def serve_given(
    given: GivenSettings,
    settings: Settings,
    sources: Mapping[str, str | None],
    start_mode: StartMode,
) -> None:
    """Run a server with ``settings``, those of ``given`` before defaults of folders are applied.

    ``sources`` has for the name of each setting the option or variable that gave it, or None.
    """
    set_up_logging(settings.log_level, settings.log_format)
    if given.token is None and given.tokens is None:
        for line in _empty_tokens(os.environ):
            _log.warning(line)
    for line in advice(os.environ, says_eviction=sources["eviction"] is not None):
        _log.warning(line)
    for line in misspelt(os.environ, {row.variable for row in rows().values()}):
        _log.warning(line)
    if given.no_persist or settings.store is not None:
        folder = None
    elif given.cache_dir is not None:
        folder = DataFolder(given.cache_dir)
    else:
        folder = default_folder()
    path = None if folder is None else folder.path
    www = given.www or own_pages(path)
    settings = replace(settings, cache_dir=path, www=www, new_www=place_of_pages(path))
    run_server(settings, start_mode, [folder.note] if folder is not None and folder.note else [])


def _empty_tokens(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield one line for each variable that was to keep strangers out, and is empty.

    An empty variable counts as none, as usual; but who writes `DUNENA_AUTH_TOKEN=$TOKEN` where
    TOKEN is not set would have an open server without a word.
    """
    for name in ("token", "tokens"):
        variable = rows()[name].variable
        if environment.get(variable) == "":
            yield f"{variable} is empty, so everybody is let in: give it a value, or remove it"
