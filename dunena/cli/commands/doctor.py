"""`dunena doctor`."""

from pathlib import Path
from typing import Annotated

from typer import Exit, Option

from dunena.cli.connect_options import Json, Token
from dunena.cli.failure import EXIT_FAILED
from dunena.cli.output import is_for_people, say_json
from dunena.desktop.terminal import say


def doctor(
    cache_dir: Annotated[
        Path | None,
        Option(envvar="CACHE_DIR", help="Folder of the values.  [default: .cache]"),
    ] = None,
    host: Annotated[str, Option(envvar="DUNENA_HOST", help="Address to listen on.")] = "localhost",
    port: Annotated[int, Option(envvar="DUNENA_PORT", min=0, max=65535, help="Port.")] = 3000,
    allow_origin: Annotated[
        list[str] | None, Option(envvar="DUNENA_ALLOW_ORIGIN", help="Origin to let in.")
    ] = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Say what would go wrong for a server here, and what to do.

    Options are those of serve. Exit code 1: a server would not start, or not do what it should.

    Example: dunena doctor --port 3000
    """
    from dataclasses import asdict

    from dunena.cli.examination import Level, Plan, examine
    from dunena.desktop.folder import expected_folder

    folder = cache_dir or expected_folder()
    plan = Plan(folder, host, port, tuple(allow_origin or ()), token or None)
    findings = examine(plan)
    is_well = all(finding.level is not Level.BAD for finding in findings)
    if is_for_people(as_json=as_json):
        width = max(len(finding.about) for finding in findings)
        for finding in findings:
            say(f"{finding.level.value:4}  {finding.about.ljust(width)}  {finding.text}")
            if finding.advice:
                say(f"{' ' * (width + 6)}  -> {finding.advice}")
    else:
        say_json({"isWell": is_well, "findings": [asdict(finding) for finding in findings]})
    if not is_well:
        raise Exit(EXIT_FAILED)
