"""Comparing a client's backup with what is stored; the client then restores it by transactions.

So every way of storing restores alike: with a folder, without one, and on a store that servers
share. A worker thread does it.
"""

from functools import partial
from io import BytesIO

import orjson

from dunena.dialects.errors import ClientError
from dunena.server.backups import SWITCH, Backups, StoreMoment
from dunena.server.http.message import Cut, Prepared, Request, Response
from dunena.server.limits import BACKUP_FILES_MAX, BACKUP_UNPACKED_BYTES_MAX

_MODES = {"merge": False, "replace": True}

_LISTED_START = b"PK\x01\x02"  # APPNOTE.TXT 4.3.12: begins the line of a file in the zip's list


def compare(backups: Backups, request: Request) -> Cut:
    """Return the work that says what restoring the backup in a request's body would change.

    Raise `ClientError` for a wrong query.
    """
    query = request.query()
    deletes = _MODES.get(query.get("mode", "replace"))
    has_batches = SWITCH.get(query.get("batches", "false"))
    if deletes is None or has_batches is None:
        raise ClientError("mode is replace or merge, and batches true or false")
    body = request.body
    return Cut(
        lambda now: partial(
            _respond, body, backups.look(now), deletes=deletes, has_batches=has_batches
        )
    )


def _respond(body: bytes, moment: StoreMoment, *, deletes: bool, has_batches: bool) -> Prepared:
    from dunena.backup.form import BackupError

    try:
        fields = _compared(body, moment, deletes=deletes, has_batches=has_batches)
    except BackupError as error:
        return Prepared(Response.error(400, f"The file cannot be restored: {error}"))
    return Prepared(Response(200, orjson.dumps(fields)))


def _compared(
    body: bytes, moment: StoreMoment, *, deletes: bool, has_batches: bool
) -> dict[str, object]:
    from dunena.backup.form import BackupError
    from dunena.backup.reading import BackupReader
    from dunena.backup.restore_plan import make_plan
    from dunena.backup.transactions import batches_of
    from dunena.store.entry import EphemeralEntry

    if body.count(_LISTED_START) > BACKUP_FILES_MAX:
        # Its list alone would take a multiple of its size.
        raise BackupError(f"it has more than {BACKUP_FILES_MAX:,} files, so use dunena restore")
    backup = BackupReader(BytesIO(body), len(body), BACKUP_UNPACKED_BYTES_MAX)
    backup.check()
    now = moment.now + moment.step_ms
    standing = {
        (one.ns, one.key): one for one in moment.entries if not isinstance(one, EphemeralEntry)
    }
    plan = make_plan(
        backup.entries, standing, now, deletes=deletes, standing_step_ms=moment.step_ms
    )
    manifest = backup.manifest
    fields: dict[str, object] = {
        "madeAt": manifest.made_at,
        "dunena": manifest.dunena,
        "keys": manifest.keys,
        "pages": manifest.pages,
        **plan.numbers,
    }
    if has_batches:
        fields["batches"] = [one.body.decode() for one in batches_of(plan.steps, lambda: now)]
    return fields
