"""`dunena doctor` examines the machine for a server; it takes the options of `serve`."""

from typer import Context, Exit

from dunena.cli.connect_options import Json
from dunena.cli.failure import EXIT_FAILED
from dunena.cli.output import is_for_people, say_json
from dunena.cli.setting_options import settings_of, sources_of, takes_settings
from dunena.desktop.terminal import say
from dunena.setting_table import GivenSettings, rows

_LISTED = frozenset({"cache_dir", "host", "port", "allow_origin", "token"})
"""Names of the settings that the help lists: most findings depend on these."""


@takes_settings(listed=_LISTED)
def doctor(context: Context, given: GivenSettings, as_json: Json = False) -> None:
    """Say what would go wrong for a server here, and what to do.

    Takes all options of serve, not only these. Exit code 1: a server would not start, or not do
    what it should.

    Example: dunena doctor --port 3000
    """
    from dataclasses import asdict

    from dunena.cli.examination import examine
    from dunena.cli.finding import Level
    from dunena.desktop.folder import DataFolder, foreseen_folder, own_pages
    from dunena.settings import describe_settings

    if given.no_persist:
        folder = None
    else:
        folder = foreseen_folder() if given.cache_dir is None else DataFolder(given.cache_dir)
    path = None if folder is None else folder.path
    by_name = sources_of(context)
    settings = settings_of(given, path, given.www or own_pages(path), by_name)
    sources = {row.label: by_name[row.name] for row in rows().values()}
    note = folder.note if folder is not None and settings.store is None else ""
    findings = examine(settings, sources, note)
    is_well = all(finding.level is not Level.BAD for finding in findings)
    if is_for_people(as_json=as_json):
        width = max(len(finding.about) for finding in findings)
        for finding in findings:
            say(f"{finding.level.value:4}  {finding.about.ljust(width)}  {finding.text}")
            if finding.advice:
                say(f"{' ' * (width + 6)}  -> {finding.advice}")
    else:
        values = describe_settings(settings)
        say_json(
            {
                "isWell": is_well,
                "findings": [asdict(finding) for finding in findings],
                "settings": {
                    label: {"value": value, "from": sources[label] or "default"}
                    for label, value in values.items()
                },
            }
        )
    if not is_well:
        raise Exit(EXIT_FAILED)
