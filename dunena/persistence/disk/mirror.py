"""The files: values written to and read from the folder, one file per key.

A value's file and its expiry record are two files. The record is written first and names the
value by a checksum, so a crash between the two leaves the old value as it was.
"""

from collections.abc import Callable
from pathlib import Path

from dunena.persistence.disk.atomic import replace_file
from dunena.persistence.disk.layout import Found, Layout
from dunena.persistence.disk.records import Records, checksum
from dunena.persistence.effects import Place
from dunena.persistence.interface import Damage
from dunena.store.entry import Entry
from dunena.store.values import InvalidJsonError, decode_file, encode, encode_readable


class Mirror:
    """Keeps the folder equal to what it is told; raises OSError as the file system does.

    With ``force`` every write is on the device when it returns; ``written`` hears of the path of
    each.
    """

    def __init__(
        self, layout: Layout, records: Records, *, force: bool, written: Callable[[Path], None]
    ) -> None:
        self._layout = layout
        self._records = records
        self._force = force
        self._written = written
        self._damaged: dict[Place, Damage] = {}
        self._unreadable: list[Damage] = []
        self._quarantine = records.folder / "quarantine"

    def load(self, revision: int) -> list[Entry]:
        """Every entry of the folder, at ``revision``. What is damaged is noted and left alone."""
        expiries, self._unreadable = self._records.load_expiries()
        entries = []
        for found in self._layout.scan(self._unreadable):
            value = self.read(found)
            if value is None:
                continue
            self._layout.adopt(found)
            expires_at, bound_to = expiries.get(self._layout.relative(found.place), (None, None))
            if bound_to != checksum(value):
                expires_at = None
            entries.append(Entry(*found.place, value, expires_at, revision))
        return entries

    def read(self, found: Found) -> bytes | None:
        """The encoded value in a file; None if it is damaged, which is then noted."""
        try:
            value = encode(decode_file(found.path.read_bytes()))
        except (OSError, InvalidJsonError) as error:
            self._damaged[found.place] = Damage(str(found.path), _reason(error))
            return None
        self._damaged.pop(found.place, None)
        return value

    def write(self, entry: Entry, *, had_expiry: bool) -> None:
        """Put an entry's value into its file; ``had_expiry`` of what stood there before."""
        place = (entry.ns, entry.key)
        self._set_damage_aside(place)
        self._layout.make_way(place, force=self._force)
        name = self._layout.relative(place)
        if entry.expires_at is not None:
            self._records.keep_expiry(name, entry.expires_at, entry.value, force=self._force)
        path = self._layout.canonical(place)
        replace_file(path, encode_readable(entry.value), self._records.temporary, force=self._force)
        self._written(path)
        if had_expiry and entry.expires_at is None:
            self._records.drop_expiry(name)
        alias = self._layout.forget_alias(place)
        if alias is not None:
            alias.unlink(missing_ok=True)

    def remove(self, place: Place, *, had_expiry: bool) -> None:
        """Take a key's file away; it is no fault if it is gone already."""
        self._set_damage_aside(place)
        path = self._layout.actual(place)
        path.unlink(missing_ok=True)
        self._layout.forget_alias(place)
        self._written(path)
        self._layout.drop_folder(place[0])
        if had_expiry:
            self._records.drop_expiry(self._layout.relative(place))

    def settle(self, place: Place, *, had_expiry: bool) -> None:
        """A key's file was changed by another hand: only what we keep beside it has to follow."""
        if had_expiry:
            self._records.drop_expiry(self._layout.relative(place))

    def damages(self) -> list[Damage]:
        """What cannot be read and was left where it is."""
        return [*self._unreadable, *self._damaged.values()]

    def forget_damage(self, place: Place) -> None:
        """A damaged file is gone."""
        self._damaged.pop(place, None)

    def _set_damage_aside(self, place: Place) -> None:
        """Move a damaged file to quarantine before its key is written or removed."""
        damage = self._damaged.get(place)
        if damage is None:
            return
        source = Path(damage.path)
        if source.exists():
            self._quarantine.mkdir(exist_ok=True)
            target = self._quarantine / source.name
            number = 1
            while target.exists():
                number += 1
                target = self._quarantine / f"{source.stem}-{number}{source.suffix}"
            source.replace(target)
        del self._damaged[place]


def _reason(error: OSError | InvalidJsonError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
