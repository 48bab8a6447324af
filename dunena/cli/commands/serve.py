"""`dunena serve` runs a server; its options are the rows of `dunena.setting_table`."""

import logging
import os
from dataclasses import replace

from typer import Context

from dunena.cli.setting_options import settings_of, sources_of, takes_settings
from dunena.cli.start_mode import TYPED, StartMode
from dunena.setting_table import GivenSettings, rows

_log = logging.getLogger(__name__)


@takes_settings()
def serve(context: Context, given: GivenSettings) -> None:
    """Run the server.

    Each option has a variable: --max-value is DUNENA_MAX_VALUE. The two whose name
    differs are CACHE_DIR and DUNENA_AUTH_TOKEN.

    Example: dunena serve --port 8080 --cache-dir ./values
    """
    from dunena.cli.original import advice, misspelt
    from dunena.cli.running import run_server
    from dunena.desktop.folder import DataFolder, default_folder, own_pages, place_of_pages
    from dunena.logs import set_up_logging

    # Before a folder is made: settings that contradict each other end the start here.
    sources = sources_of(context)
    settings = settings_of(given, given.cache_dir, given.www, sources)
    set_up_logging(settings.log_level, settings.log_format)
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
    start_mode = context.obj if isinstance(context.obj, StartMode) else TYPED
    run_server(settings, start_mode, [folder.note] if folder is not None and folder.note else [])
