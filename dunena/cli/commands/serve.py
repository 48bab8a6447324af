"""`dunena serve` runs a server; its options are the rows of `dunena.setting_table`.

Usual command lines are read by `dunena.cli.plain_serve` instead, without typer.
"""

from typer import Context

from dunena.cli.setting_options import settings_of, sources_of, takes_settings
from dunena.cli.start_mode import TYPED, StartMode
from dunena.setting_table import GivenSettings


@takes_settings()
def serve(context: Context, given: GivenSettings) -> None:
    """Run the server.

    Each option has a variable: --max-value is DUNENA_MAX_VALUE. The two whose name
    differs are CACHE_DIR and DUNENA_AUTH_TOKEN.

    Example: dunena serve --port 8080 --cache-dir ./values
    """
    from dunena.cli.serving import serve_given

    # Before a folder is made: settings that contradict each other end the start here.
    sources = sources_of(context)
    settings = settings_of(given, given.cache_dir, given.www, sources)
    start_mode = context.obj if isinstance(context.obj, StartMode) else TYPED
    serve_given(given, settings, sources, start_mode)
