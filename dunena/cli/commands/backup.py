"""`dunena backup` writes all values and pages of one moment to a zip; `backup_places` has them."""

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

from typer import Argument, Option

from dunena.cli.backup_places import BackupPlace, Folder, open_place
from dunena.cli.connect_options import Json, Token, Url
from dunena.cli.failure import fail
from dunena.cli.output import count_of, is_for_people, say_json
from dunena.client.address import DEFAULT_URL
from dunena.client.errors import NoAnswerError
from dunena.desktop.terminal import is_reader_gone, say, silence

if TYPE_CHECKING:
    from dunena.backup.form import Manifest

_STDOUT = Path("-")


def backup(
    file: Annotated[
        Path, Argument(metavar="FILE", help="The zip to write; - for stdout.", dir_okay=False)
    ],
    folder: Folder = None,
    www: Annotated[
        Path | None,
        Option(
            "--www",
            metavar="DIR",
            file_okay=False,
            show_default=False,
            help="The pages of a folder of values.",
        ),
    ] = None,
    without_pages: Annotated[bool, Option("--without-pages", help="Only the values.")] = False,
    force: Annotated[bool, Option("--force", help="Replace a FILE that exists.")] = False,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Write all values and pages of one moment to a zip.

    Of a running server, or of a folder that none uses. `dunena restore` reads it.

    Example: dunena backup backup.zip
    """
    from dunena.cli.new_file import refuse_existing, write_new
    from dunena.desktop.folder import own_pages

    pages = www if www is not None or folder is None else own_pages(folder)
    with open_place(url, token, folder, pages) as place:
        if file == _STDOUT:
            _write_to_stdout(place, has_pages=not without_pages)
            return
        refuse_existing(file, force=force)
        with write_new(file) as draft:
            missing = place.save(draft, has_pages=not without_pages)
            manifest = _checked(draft)
    if missing:
        fail(f"{file} is made, but {len(missing):,} values cannot be read: {missing[0]}")
    size = file.stat().st_size
    if as_json or not is_for_people():
        say_json({
            "file": str(file), "keys": manifest.keys, "pages": manifest.pages,
            "madeAt": manifest.made_at, "revision": manifest.revision, "bytes": size,
            "leftOut": manifest.left_out,
        })  # fmt: skip
        return
    some = f" and {count_of(manifest.pages, 'page file')}" if manifest.pages else ""
    say(f"{file} has {count_of(manifest.keys, 'key')}{some}: {size:,} bytes.")
    for one in manifest.left_out:
        say(f"Left out: {one}")


def _checked(draft: IO[bytes]) -> "Manifest":
    """Return the manifest of the backup that was written; end the program if it has none."""
    from dunena.backup.form import BackupError
    from dunena.backup.reading import BackupReader

    try:
        return BackupReader(draft, draft.seek(0, 2)).manifest
    except BackupError as error:
        fail(f"what was received is no backup, so nothing was kept: {error}")


def _write_to_stdout(place: BackupPlace, *, has_pages: bool) -> None:
    if sys.stdout.isatty():
        fail("a backup is a zip, which no terminal shows: write it to a file, or into a pipe")
    try:
        missing = place.save(sys.stdout.buffer, has_pages=has_pages)
        sys.stdout.buffer.flush()
    except NoAnswerError:
        raise
    except OSError as error:
        silence(sys.stdout.fileno())
        if is_reader_gone(error):
            return
        fail(f"standard output cannot be written: {error.strerror or error}")
    if missing:
        fail(f"{len(missing):,} values cannot be read: {missing[0]}")
