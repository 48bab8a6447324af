"""The form of a backup: bytes out, bytes in, and what is refused."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.backup import zip_stream
from dunena.backup.form import ENTRIES, MANIFEST, BackupError
from dunena.backup.reading import BackupReader
from dunena.backup.restore_plan import Plan, make_plan
from dunena.backup.writing import Page, Snapshot, write_backup
from dunena.store.entry import Entry, EphemeralEntry
from dunena.store.names import is_name
from dunena.store.values import encode

NOW = 1_800_000_000_000

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=90).filter(
    is_name
) | st.sampled_from(
    ["A", "a", "con", "NUL", "lpt1.json", ".", "..", "../up", "a/b", "x" * 512, "Ä" * 256, "a.json"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=400)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)  # fmt: skip


def made(entries: list[Entry], pages: dict[str, bytes] | None = None, step_ms: int = 0) -> bytes:
    moment = Snapshot(list(entries), 7, NOW, step_ms)
    some = [Page(name, iter([content])) for name, content in (pages or {}).items()]
    return b"".join(write_backup(moment, "1.2.3", some))


def read(content: bytes, bytes_max: int | None = None) -> BackupReader:
    backup = BackupReader(io.BytesIO(content), len(content), bytes_max)
    backup.check()
    return backup


def entry(
    key: str = "score", value: bytes = b"1", ns: str = "", expires_at: int | None = None,
    then: bytes | None = None,
) -> Entry:  # fmt: skip
    return Entry(ns, key, value, expires_at, 1, then=then)


@given(
    st.dictionaries(
        st.tuples(st.just("") | names, names),
        st.tuples(values, st.none() | st.integers(NOW + 1, 2**53), st.none() | values),
        max_size=12,
    )
)
def test_any_entries_come_back_as_they_were_under_names_that_differ_in_any_case(
    held: dict[tuple[str, str], tuple[object, int | None, object]],
) -> None:
    entries = [
        entry(
            key,
            encode(value),
            ns,
            expires_at,
            None if then is None or expires_at is None else encode(then),
        )
        for (ns, key), (value, expires_at, then) in held.items()
    ]
    content = made(entries)
    backup = read(content)
    assert [(one.ns, one.key, one.value, one.expires_at, one.then) for one in backup.entries] == [
        (one.ns, one.key, one.value, one.expires_at, one.then) for one in entries
    ]
    files = [name.lower() for name in zipfile.ZipFile(io.BytesIO(content)).namelist()]
    assert len(set(files)) == len(files)
    assert all(len(part) <= 255 and part.isascii() for name in files for part in name.split("/"))
    plan = make_plan(backup.entries, {(one.ns, one.key): one for one in entries}, NOW, deletes=True)
    assert plan == Plan(same=len(entries))


def test_it_is_an_ordinary_zip_whose_files_people_can_read() -> None:
    content = made(
        [
            entry(value=b'{"home":1}'),
            entry("timer", b'"' + b"x" * 999 + b'"', "show", NOW + 5, b"null"),
        ],
        {"board/panel.html": b"<h1>" * 999},
    )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "values/score.json", "values/show/timer.json", "pages/board/panel.html", ENTRIES,
            MANIFEST,
        ]  # fmt: skip
        assert archive.read("values/score.json") == b'{"home":1}'
        assert archive.read("pages/board/panel.html") == b"<h1>" * 999
        lines = [json.loads(line) for line in archive.read(ENTRIES).splitlines()]
        assert lines == [
            {"file": "values/score.json", "key": "score"},
            {
                "file": "values/show/timer.json", "key": "timer", "ns": "show",
                "expiresAt": NOW + 5, "then": None,
            },
        ]  # fmt: skip
        manifest = json.loads(archive.read(MANIFEST))
        printed = "".join(
            f"{hashlib.sha256(archive.read(name)).hexdigest()}  {name}\n"
            for name in archive.namelist()[:-1]
        )
        moment = datetime.fromtimestamp(NOW / 1000, UTC)
        assert archive.getinfo("values/score.json").date_time[:5] == moment.timetuple()[:5]
    assert manifest == {
        "format": 1, "dunena": "1.2.3", "madeAt": NOW, "date": "2027-01-15T08:00:00Z",
        "revision": 7, "keys": 2, "namespaces": 1, "expiring": 1, "bytes": 1011, "pages": 1,
        "leftOut": [], "sha256": hashlib.sha256(printed.encode()).hexdigest(),
    }  # fmt: skip


def test_keys_of_sessions_and_expired_ones_are_left_out_and_times_are_those_of_the_wall() -> None:
    mine = EphemeralEntry("", "here", b"1", None, 1, 0, None, "session")
    entries = [mine, entry("old", expires_at=NOW), entry("due", b"{}", expires_at=NOW, then=b"1")]
    backup = read(made([*entries, entry("later", expires_at=NOW + 9)], step_ms=1000))
    assert [(one.key, one.expires_at) for one in backup.entries] == [
        ("due", NOW + 1000), ("later", NOW + 1009),
    ]  # fmt: skip
    assert backup.manifest.made_at == NOW + 1000


def test_entries_are_let_go_as_they_are_written() -> None:
    moment = Snapshot([entry(str(number)) for number in range(5)], 7, NOW)
    pieces = write_backup(moment, "1")
    next(pieces)
    next(pieces)
    assert len(moment.entries) == 3


def test_a_page_that_cannot_be_read_is_named_and_one_that_breaks_off_ends_the_backup() -> None:
    def broken(*pieces: bytes) -> Iterator[bytes]:
        yield from pieces
        raise OSError(5, "Input/output error")

    pages = [Page("gone.html", broken()), Page("empty.html", iter(()))]
    backup = read(b"".join(write_backup(Snapshot([], 0, NOW), "1", pages)))
    assert backup.manifest.left_out == ["gone.html: Input/output error"]
    assert backup.pages == ["empty.html"]
    assert list(backup.page("empty.html")) == []
    with pytest.raises(OSError, match="Input/output"):
        list(write_backup(Snapshot([], 0, NOW), "1", [Page("a.html", broken(b"half"))]))


def test_a_zip_of_many_files_and_one_past_four_gigabytes_have_the_longer_lists() -> None:
    backup = read(made([entry(str(number)) for number in range(70_000)]))
    assert len(backup.entries) == 70_000
    stream = zip_stream.ZipStream(datetime(2026, 1, 1, tzinfo=UTC))
    stream.add("a", b"1")
    stream._offset = 2**32  # as if a file were that large
    end = stream.add("b", b"2") + b"".join(stream.finish())
    # The reader takes away what is missing before the files that it is given.
    assert zipfile.ZipFile(io.BytesIO(end)).read("b") == b"2"


def rezipped(content: bytes, **changed: bytes | None) -> bytes:
    """Pack a backup anew with other contents of files, by their names with _ for / and a dot."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            mark = name.replace("/", "_").replace(".", "_")
            given = changed.get(mark, old.read(name))
            if given is not None:
                new.writestr(name, given)
    return out.getvalue()


def with_member(content: bytes, name: str, data: bytes = b"1") -> bytes:
    out = io.BytesIO(content)
    with zipfile.ZipFile(out, "a") as archive, pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_args, **_kw: None)
        archive.writestr(name, data)
    return out.getvalue()


GOOD = made([entry(), entry("b", b'{"x":2}', expires_at=NOW + 1)], {"a.html": b"<p>" * 99})


def manifest_with(**fields: object) -> bytes:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        return orjson.dumps(json.loads(archive.read(MANIFEST)) | fields)


def lines(*some: object) -> bytes:
    return b"".join(orjson.dumps(one) + b"\n" for one in some)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no zip"),
        (b"hello", "no zip"),
        (GOOD[:-30], "no zip"),
        (with_member(GOOD, "values/score.json"), "values/score.json is in it twice"),
        (with_member(GOOD, "values/../../etc.json"), "of no key"),
        (with_member(GOOD, "/etc/passwd"), "of no key"),
        (with_member(GOOD, "pages/../x.html"), "of no key"),
        (with_member(GOOD, "pages/con.html"), "no name of a page"),
        (with_member(GOOD, "pages/.htaccess"), "no name of a page"),
        (with_member(GOOD, "pages/c:\\x"), "no name of a page"),
        (with_member(GOOD, "values/c.json"), "of no key"),
        (with_member(GOOD, "values/"), "of no key"),
        (with_member(GOOD, "pages/b.html"), "2 keys and 2 pages"),
        (rezipped(GOOD, manifest_json=None), "no manifest.json"),
        (rezipped(GOOD, manifest_json=b"{"), "no JSON"),
        (rezipped(GOOD, manifest_json=b"[]"), "not that of a backup"),
        (rezipped(GOOD, manifest_json=manifest_with(format=2, dunena="9.0")), "dunena 9.0"),
        (rezipped(GOOD, manifest_json=manifest_with(keys="2")), "not complete"),
        (rezipped(GOOD, manifest_json=manifest_with(keys=3)), "was made with 3"),
        (rezipped(GOOD, manifest_json=manifest_with(sha256="0")), "checksum"),
        (rezipped(GOOD, entries_jsonl=None), "no entries.jsonl"),
        (rezipped(GOOD, entries_jsonl=b"{}"), "cut off"),
        (rezipped(GOOD, entries_jsonl=b"{}\n"), "names no file"),
        (rezipped(GOOD, entries_jsonl=b"{\n"), "no JSON"),
        (rezipped(GOOD, entries_jsonl=b"1\n"), "no object"),
        (
            rezipped(GOOD, entries_jsonl=lines({"file": "values/b.json", "key": "score"})),
            "wrong line",
        ),
        (rezipped(GOOD, entries_jsonl=lines({"file": "a", "key": "a\nb"})), "no key can have"),
        (
            rezipped(GOOD, entries_jsonl=lines({"file": "a", "key": "a", "expiresAt": True})),
            "no time",
        ),
        (rezipped(GOOD, entries_jsonl=lines({"file": "a", "key": "a", "then": 1})), "no time"),
        (rezipped(GOOD, values_score_json=None), "missing"),
        (rezipped(GOOD, values_score_json=b"{"), "no JSON"),
        (rezipped(GOOD, values_score_json=b'{"a":1,"a":2}'), "same key twice"),
        (rezipped(GOOD, values_score_json=b"2"), "checksum"),
        (rezipped(GOOD, pages_a_html=b"<script>"), "checksum"),
    ],
)
def test_what_is_no_backup_is_refused_in_one_sentence(content: bytes, reason: str) -> None:
    with pytest.raises(BackupError, match=reason) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_an_export_is_told_from_a_backup() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("dunena.jsonl", b"{}")
    with pytest.raises(BackupError, match="dunena import reads it"):
        read(out.getvalue())


def test_another_way_of_packing_and_an_encrypted_file_are_refused() -> None:
    place = GOOD.rindex(b"PK\x01\x02")
    lzma = GOOD[: place + 10] + b"\x0e\x00" + GOOD[place + 12 :]
    with pytest.raises(BackupError, match="packed in another way"):
        read(lzma)
    encrypted = GOOD[: place + 8] + b"\x01\x08" + GOOD[place + 10 :]
    with pytest.raises(BackupError, match="encrypted"):
        read(encrypted)


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = rezipped(GOOD)
    place = bomb.index(b"PK\x01\x02")
    claims = bomb[: place + 24] + (2**31).to_bytes(4, "little") + bomb[place + 28 :]
    with pytest.raises(BackupError, match="more content than it can have"):
        read(claims)
    # Files of which all have the same packed bytes: together they are larger than the zip.
    stream = zip_stream.ZipStream(datetime(2026, 1, 1, tzinfo=UTC))
    packed = zip_stream.pack(bytes(range(256)) * 300)
    body = stream.add_packed("values/a.json", packed)
    for number in range(999):
        stream._offset = 0
        stream.add_packed(f"values/{number}.json", packed)
    stream._offset = len(body)
    with pytest.raises(BackupError, match="more content than it can have"):
        read(body + b"".join(stream.finish()))
    with pytest.raises(BackupError, match="which is more than 100"):
        read(GOOD, bytes_max=100)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_backup_with_one_wrong_byte_is_refused_or_the_same(place: int, change: int) -> None:
    damaged = bytearray(GOOD)
    damaged[place] ^= change
    try:
        backup = read(bytes(damaged))
    except BackupError:
        return
    assert [(one.key, one.value) for one in backup.entries] == [
        ("score", b"1"), ("b", b'{"x":2}'),
    ]  # fmt: skip


def test_a_plan_counts_what_is_new_changed_the_same_gone_and_over() -> None:
    backup = read(
        made([
            entry("new"), entry("same"), entry("changed", b"2"), entry("soon", expires_at=NOW + 5),
            entry("then", b'{"a":1}', expires_at=NOW + 5, then=b'{"a":2}'),
        ])
    )  # fmt: skip
    standing = [entry("same"), entry("changed"), entry("other")]
    table = {(one.ns, one.key): one for one in standing}
    plan = make_plan(backup.entries, table, NOW + 5, deletes=True)
    assert (plan.new, plan.changed, plan.same, plan.deleted, plan.expired) == (2, 1, 1, 1, 1)
    assert plan.loses
    assert [(step.key, step.held and step.value) for step in plan.steps] == [
        ("other", None), ("new", b"1"), ("changed", b"2"), ("then", b'{"a":2}'),
    ]  # fmt: skip
    assert plan.steps[-1].expires_at is plan.steps[-1].then is None
    merged = make_plan(backup.entries, table, NOW, deletes=False)
    assert (merged.deleted, merged.kept, merged.new) == (0, 1, 3)


def test_expiries_that_differ_by_some_ms_are_the_same_and_others_are_not() -> None:
    backup = read(made([entry(expires_at=NOW + 5000)]))
    for expires_at, is_same in [(NOW + 5100, True), (NOW + 9000, False), (None, False)]:
        table = {("", "score"): entry(expires_at=expires_at)}
        plan = make_plan(backup.entries, table, NOW, deletes=False)
        assert (plan.same, plan.changed) == (int(is_same), int(not is_same))
