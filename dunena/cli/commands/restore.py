"""`dunena restore` brings back what a backup has; `dunena.cli.restoring` does the steps."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from dunena.cli.backup_places import Folder, open_place
from dunena.cli.connect_options import Json, Token, Url
from dunena.cli.failure import EXIT_FAILED, fail
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL
from dunena.desktop.terminal import say


def restore(
    file: Annotated[
        Path,
        Argument(metavar="FILE", help="What backup wrote.", exists=True, dir_okay=False),
    ],
    folder: Folder = None,
    replace: Annotated[bool, Option("--replace", help="Make it all as in FILE.")] = False,
    merge: Annotated[bool, Option("--merge", help="Keep keys not in FILE.")] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what would change.")] = False,
    www: Annotated[
        Path | None,
        Option(
            "--www",
            metavar="DIR",
            file_okay=False,
            show_default=False,
            help="Where to write its pages.",
        ),
    ] = None,
    without_copy: Annotated[
        bool, Option("--without-copy", help="Copy nothing before --replace.")
    ] = False,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Bring back what a backup has.

    Without --replace or --merge it only fills an empty store. An interrupted one is finished by
    starting it again.

    Example: dunena restore backup.zip --replace
    """
    from dunena.cli.restoring import Restore, open_backup

    if replace and merge:
        fail("--replace and --merge exclude each other")
    with (
        open_backup(file) as backup,
        open_place(url, token, folder, None, may_be_missing=True) as place,
    ):
        work = Restore(file, backup, place, deletes=replace)
        plan = work.compare()
        if not (dry_run or replace or merge):
            work.refuse_full_store()
        if not dry_run:
            work.carry_out(has_copy=replace and not without_copy)
            if www is not None:
                work.write_pages(www)
    report: dict[str, object] = {**plan.numbers, "pages": work.pages_written, "dryRun": dry_run}
    if work.copy is not None:
        report["copy"] = str(work.copy)
    if as_json or not is_for_people():
        say_json(report)
    else:
        say(work.told(dry_run=dry_run))
    if work.refused:
        fail(
            f"not restored: {len(work.refused):,} of {len(plan.steps):,} changes; the first is "
            f"{work.refused[0]}",
            EXIT_FAILED,
        )
