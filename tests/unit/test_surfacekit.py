"""What users may rely on: the record in tests/surface, and what a change of it is called."""

import copy
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dunena
from dunena.server.route_table import ROUTES

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "build"))
try:
    from surfacekit import (
        command_answers,
        declarations,
        error_codes,
        http_requests,
        javascript_names,
        messages,
        python_names,
        recording,
    )
    from surfacekit.areas import AREAS, Area
    from surfacekit.comparison import Difference, Kind, compare
    from surfacekit.schemas import Reader
finally:
    sys.path.remove(str(ROOT / "build"))

TYPES = ROOT / "dunena" / "web" / "client" / "dunena.d.ts"
MODULE = TYPES.with_name("dunena.js")
ASYNCAPI = ROOT / "docs" / "asyncapi.json"


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.name)
def test_the_surface_is_the_recorded_one(area: Area) -> None:
    differences = compare(recording.read(recording.FOLDER, area), area.derive())
    assert not differences, recording.complaint(area, differences)


def test_every_record_is_of_an_area_and_written_as_recording_does(tmp_path: Path) -> None:
    recorded = {path.stem for path in recording.FOLDER.iterdir()}
    assert recorded == {area.name for area in AREAS}
    for area in AREAS:
        recording.write(tmp_path, area, recording.read(recording.FOLDER, area))
        name = f"{area.name}.json"
        assert (tmp_path / name).read_bytes() == (recording.FOLDER / name).read_bytes()


def test_the_document_names_every_area() -> None:
    text = (ROOT / "docs" / "stability.md").read_text("utf-8")
    assert set(re.findall(r"`tests/surface/(\w+)\.json`", text)) == {area.name for area in AREAS}


def only(differences: list[Difference]) -> tuple[str, Kind, bool]:
    (difference,) = differences
    return difference.name, difference.kind, difference.is_breaking


# --- Python: the same functions before and after a change ---


def python(function: Callable[..., Any]) -> Any:
    return python_names.of_function("set", function)


def before(self: Any, key: str, value: int = 0, *, ttl: int | None = None) -> None: ...


def test_a_parameter_that_is_removed_is_found() -> None:
    def now(self: Any, key: str, value: int = 0) -> None: ...

    assert only(compare(python(before), python(now))) == ("set | ttl", Kind.GONE, True)


def test_an_optional_parameter_that_becomes_required_is_found() -> None:
    def now(self: Any, key: str, value: int = 0, *, ttl: int | None) -> None: ...

    found = compare(python(before), python(now))
    assert ("set | ttl", "required was False and is True", True) in [
        (each.name, each.what, each.is_breaking) for each in found
    ]


def test_a_default_that_changes_is_found() -> None:
    def now(self: Any, key: str, value: int = 1, *, ttl: int | None = None) -> None: ...

    (difference,) = compare(python(before), python(now))
    assert (difference.name, difference.is_breaking) == ("set | value", True)
    assert difference.what == "default was 0 and is 1"


def test_a_positional_parameter_that_is_inserted_or_taken_by_name_alone_is_found() -> None:
    def inserted(
        self: Any, ns: str = "", key: str = "", value: int = 0, *, ttl: int | None = None
    ) -> None: ...
    def by_name(self: Any, key: str, *, value: int = 0, ttl: int | None = None) -> None: ...

    names = {each.name for each in compare(python(before), python(inserted)) if each.is_breaking}
    assert {"set | key", "set | value"} <= names
    names = {each.name for each in compare(python(before), python(by_name)) if each.is_breaking}
    assert names == {"set | value"}


def test_a_parameter_that_gets_a_default_breaks_nothing() -> None:
    def now(self: Any, key: str = "", value: int = 0, *, ttl: int | None = None) -> None: ...

    found = compare(python(before), python(now))
    assert {(each.name, each.is_breaking) for each in found} == {("set | key", False)}


def test_a_parameter_that_is_new_breaks_nothing_unless_it_is_required() -> None:
    def optional(
        self: Any, key: str, value: int = 0, *, ttl: int | None = None, new: int = 0
    ) -> None: ...
    def required(
        self: Any, key: str, value: int = 0, *, ttl: int | None = None, new: int
    ) -> None: ...

    assert only(compare(python(before), python(optional))) == ("set | new", Kind.NEW, False)
    assert only(compare(python(before), python(required))) == ("set | new", Kind.NARROWED, True)


def test_a_coroutine_that_becomes_a_function_is_found() -> None:
    async def waits(self: Any) -> None: ...
    def does_not(self: Any) -> None: ...

    assert only(compare(python(waits), python(does_not))) == ("set", Kind.NARROWED, True)


def test_a_base_and_an_attribute_that_go_are_found() -> None:
    recorded = python_names.of_class("Conflict", dunena.ConflictError)
    found = compare(recorded, python_names.of_class("Conflict", dunena.RequestError))
    assert [(each.name, each.kind, each.is_breaking) for each in found] == [
        ("Conflict", Kind.NARROWED, True),
        ("Conflict.key", Kind.GONE, True),
        ("Conflict.rev", Kind.GONE, True),
    ]
    assert found[0].what.startswith("bases was")


def test_a_method_that_goes_is_found_once_and_not_for_each_parameter() -> None:
    recorded = python_names.of_class("Store", dunena.Store)
    left = {name: facts for name, facts in recorded.items() if not name.startswith("Store.touch")}
    assert only(compare(recorded, left)) == ("Store.touch", Kind.GONE, True)


def test_every_name_that_the_python_document_gives_is_recorded() -> None:
    text = (ROOT / "docs" / "python.md").read_text("utf-8")
    calls = re.findall(r"^\| (`\w+\(.*?)\|", text, re.MULTILINE)
    surface = python_names.surface()
    assert len(calls) > 20
    for name, parameters in re.findall(r"`(\w+)\(([^`]*)\)`", " ".join(calls)):
        words = re.findall(r"(?:^|, )\**(\w+)(?==|,|$)", re.sub(r"\{.*?\}", "entries", parameters))
        for module in ("dunena", "dunena.sync"):
            assert f"{module}.Store.{name}" in surface
            for word in words:
                assert f"{module}.Store.{name} | {word}" in surface, f"{name}: {word}"


# --- JavaScript ---


def javascript(tmp_path: Path, old: str, new: str) -> list[Difference]:
    text = TYPES.read_text("utf-8")
    assert text.count(old) == 1
    changed = tmp_path / "changed.d.ts"
    changed.write_text(text.replace(old, new), "utf-8")
    recorded = javascript_names.surface(TYPES, MODULE)
    return compare(recorded, javascript_names.surface(changed, MODULE))


@pytest.mark.parametrize(
    ("old", "new", "name", "kind"),
    [
        ("  now(): number;\n", "", "Store.now", Kind.GONE),
        ("  ifRev?: number;\n", "", "ChangeOptions | ifRev", Kind.GONE),
        ("  bind?: ParentNode", "  bind: ParentNode", "Options | bind", Kind.NARROWED),
        ("& { max?: number }", "", "Store.append | options | max", Kind.GONE),
        ('"wait" | "refuse"', '"wait"', 'Options | whileAway | "refuse"', Kind.GONE),
        ("data: unknown): Promise<void>", "data: unknown): void", "Store.publish", Kind.NARROWED),
        ('"revert"; toRev?: number', '"revert"', 'Op | "revert" | toRev', Kind.GONE),
        ("  readonly status: Status;\n", "", "Store | status", Kind.GONE),
    ],
)  # fmt: skip
def test_what_a_change_of_the_types_breaks_is_found(
    tmp_path: Path, old: str, new: str, name: str, kind: Kind
) -> None:
    assert only(javascript(tmp_path, old, new)) == (name, kind, True)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ('"delete" | "expired" | "clear"', '"delete" | "expired" | "clear" | "moved"',
         'CacheEvent | event | "moved"'),
        ("& { max?: number }", "& { max?: number; min?: number }", "Store.append | options | min"),
        ("  close(): void;\n", "  close(): void;\n  flush(all?: boolean): void;\n", "Store.flush"),
    ],
)  # fmt: skip
def test_an_addition_to_the_types_breaks_nothing(
    tmp_path: Path, old: str, new: str, name: str
) -> None:
    assert only(javascript(tmp_path, old, new)) == (name, Kind.NEW, False)


@pytest.mark.parametrize("text", ["enum Unknown { A }", "export type Cut = string", "interface {"])
def test_a_declaration_that_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"not understood|no end"):
        declarations.declarations(text)


# --- HTTP and WebSocket ---


def http_without(monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any]) -> list[Difference]:
    recorded = http_requests.surface()
    monkeypatch.setattr(http_requests, "ROUTES", tuple(filter(None, map(change, ROUTES))))
    return compare(recorded, http_requests.surface())


def test_a_route_that_goes_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = http_without(monkeypatch, lambda route: None if route.path == "/txn" else route)
    assert only(found) == ("POST /txn", Kind.GONE, True)


def test_a_parameter_of_a_query_that_goes_and_another_right_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin = next(route.rights for route in ROUTES if route.path == "/metrics")

    def change(route: Any) -> Any:
        if route.path != "/search":
            return route
        return route._replace(parameters=("q", "count"), rights=admin)

    found = http_without(monkeypatch, change)
    assert [(each.name, each.kind) for each in found] == [
        ("GET /search", Kind.NARROWED),
        ("GET /search | query cursor", Kind.GONE),
    ]
    assert all(each.is_breaking for each in found)


def websocket(tmp_path: Path, change: Callable[[Any], None]) -> list[Difference]:
    document = json.loads(ASYNCAPI.read_text("utf-8"))
    changed = copy.deepcopy(document)
    change(changed["components"]["schemas"])
    path = tmp_path / "asyncapi.json"
    path.write_text(json.dumps(changed), "utf-8")
    return compare(messages.surface(ASYNCAPI), messages.surface(path))


def test_an_event_that_is_renamed_is_found(tmp_path: Path) -> None:
    def rename(schemas: Any) -> None:
        names = schemas["event"]["properties"]["event"]["enum"]
        names[names.index("expired")] = "ended"

    found = websocket(tmp_path, rename)
    assert [(each.name, each.kind, each.is_breaking) for each in found] == [
        ('event | event | "ended"', Kind.NEW, False),
        ('event | event | "expired"', Kind.GONE, True),
    ]


def test_a_field_of_an_answer_that_goes_or_may_be_missing_is_found(tmp_path: Path) -> None:
    def drop(schemas: Any) -> None:
        schemas["event"]["properties"].pop("timestamp")

    assert only(websocket(tmp_path, drop)) == ("event | timestamp", Kind.GONE, True)

    def loosen(schemas: Any) -> None:
        schemas["event"]["required"].remove("timestamp")

    assert only(websocket(tmp_path, loosen)) == ("event | timestamp", Kind.NARROWED, True)


def test_a_new_field_of_an_answer_and_a_new_message_break_nothing(tmp_path: Path) -> None:
    def add(schemas: Any) -> None:
        schemas["event"]["properties"]["by"] = {"type": "string"}
        schemas["event"]["required"].append("by")
        schemas["request"]["properties"]["type"]["enum"].append("move")

    found = websocket(tmp_path, add)
    assert [(each.name, each.is_breaking) for each in found] == [
        ("event | by", False),
        ('request | type | "move"', False),
    ]


@pytest.mark.parametrize(
    ("old", "new", "is_breaking"),
    [
        ({"type": "integer"}, {"type": ["integer", "null"]}, False),
        ({"type": ["integer", "null"]}, {"type": "integer"}, True),
        ({"type": "integer"}, {"type": "number"}, False),
        ({"type": "integer"}, {}, False),
        ({"type": "string", "maxLength": 5}, {"type": "string", "maxLength": 9}, False),
        ({"type": "string", "maxLength": 5}, {"type": "string", "maxLength": 4}, True),
        ({"type": "string"}, {"type": "string", "pattern": "a"}, True),
        ({"type": "string", "pattern": "a"}, {"type": "string"}, False),
        ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 0}, False),
        ({"type": "integer"}, {"type": "integer", "minimum": 0}, True),
    ],
)
def test_callers_may_give_as_much_as_ever_or_more(
    old: dict[str, Any], new: dict[str, Any], is_breaking: bool
) -> None:
    given = Reader({}, is_given=True)
    found = compare(
        given.read("ttl", old, is_required=False), given.read("ttl", new, is_required=False)
    )
    assert {each.is_breaking for each in found} == {is_breaking}


@pytest.mark.parametrize(
    ("old", "new", "is_breaking"),
    [
        ({"type": "integer"}, {"type": ["integer", "null"]}, True),
        ({"type": ["integer", "null"]}, {"type": "integer"}, False),
        ({"type": "integer"}, {"type": "number"}, True),
    ],
)
def test_answers_have_no_types_that_they_never_had(
    old: dict[str, Any], new: dict[str, Any], is_breaking: bool
) -> None:
    answer = Reader({}, is_given=False)
    found = compare(
        answer.read("ttl", old, is_required=True), answer.read("ttl", new, is_required=True)
    )
    assert {each.is_breaking for each in found} == {is_breaking}


def test_the_description_of_the_websocket_names_only_codes_that_there_are() -> None:
    described = json.loads(ASYNCAPI.read_text("utf-8"))["components"]["schemas"]["code"]["enum"]
    assert set(described) <= error_codes.surface().keys()


# --- what commands print ---

PRINT_A_VALUE = {"get", "merge", "revert"}
"""Commands that print a value of the user's alone, whatever it is."""


def test_every_command_with_json_is_recorded() -> None:
    commands = {name.partition(" | ")[0] for name in recorded("commands") if "| --json" in name}
    answers = {re.split(r" [|A-Z-]", name)[0] for name in recorded("answers")}
    assert answers == (commands - PRINT_A_VALUE) | {"get"}, "of get what it prints with --rev"


def recorded(name: str) -> dict[str, dict[str, Any]]:
    (area,) = (area for area in AREAS if area.name == name)
    return recording.read(recording.FOLDER, area)


def test_a_printed_field_that_goes_or_may_be_missing_or_has_another_type_is_found() -> None:
    printed = command_answers.describe({"set": [{"key": "a", "revs": [{"rev": 1}]}]})
    for now, name, kind in (
        ([{"key": "a", "revs": [{}]}], "set | revs | [] | rev", Kind.GONE),
        ([{"key": "a", "revs": [{"rev": 1}]}, {"revs": [{"rev": 1}]}], "set | key", Kind.NARROWED),
        ([{"key": None, "revs": [{"rev": 1}]}], "set | key", Kind.NARROWED),
    ):
        found = compare(printed, command_answers.describe({"set": now}))
        assert only(found) == (name, kind, True)


def test_a_new_printed_field_and_another_value_of_the_user_break_nothing() -> None:
    printed = command_answers.describe({"watch": [{"key": "a", "value": 1}]})
    now = command_answers.describe({"watch": [{"key": "b", "value": {"x": 2}, "ns": ""}]})
    assert only(compare(printed, now)) == ("watch | ns", Kind.NEW, False)


def test_a_command_that_fails_stops_the_recording() -> None:
    with pytest.raises(RuntimeError, match=r"dunena check ended with 2: "):
        command_answers._run(["check"])


# --- settings and commands: what the facts of all areas have in common ---


@pytest.mark.parametrize(
    ("fact", "old", "new", "is_breaking"),
    [
        ("variable", "CACHE_DIR", "DUNENA_CACHE_DIR", True),
        ("may", ["repeat"], [], True),
        ("may", [], ["repeat"], False),
        ("rights", ["read"], [], False),
        ("rights", [], ["read"], True),
        ("rights", ["read", "write"], ["read"], True),
        ("passed", "by name", "either", False),
        ("passed", "either", "by name", True),
        ("bases", ["Exception", "OSError"], ["Exception"], True),
        ("maximum", None, 5, True),
        ("maximum", 5, None, False),
        ("means", "failed", "done", True),
        ("default", "none", 5, True),
        ("default", 5, None, True),
        ("default", None, 5, False),
    ],
)
def test_a_fact_that_changes_breaks_a_promise_or_extends_it(
    fact: str, old: Any, new: Any, is_breaking: bool
) -> None:
    (difference,) = compare({"a": {fact: old}}, {"a": {fact: new}})
    assert difference.is_breaking is is_breaking
    assert difference.kind is (Kind.NARROWED if is_breaking else Kind.WIDENED)


# --- the record ---


def area_of(surface: dict[str, dict[str, Any]]) -> Area:
    return Area("made-up", "docs/made-up.md", lambda: surface)


def test_what_is_new_is_recorded_and_what_is_gone_only_if_told_so(tmp_path: Path) -> None:
    first, second = area_of({"a": {}, "b": {}}), area_of({"b": {}, "c": {"required": False}})
    assert recording.record(tmp_path, [first], may_break=False) == (0, "new: a\nnew: b")
    path = tmp_path / "made-up.json"
    assert path.read_text("utf-8") == '{\n  "a": {},\n  "b": {}\n}\n'

    code, text = recording.record(tmp_path, [second], may_break=False)
    assert code == 1
    assert "a: it is not there any more" in text
    assert "docs/made-up.md" in text
    assert "record-surface --breaking" in text
    assert text.endswith("Nothing was recorded.")
    assert path.read_text("utf-8") == '{\n  "a": {},\n  "b": {}\n}\n'

    assert recording.record(tmp_path, [second], may_break=True) == (0, "gone: a\nnew: c")
    assert recording.read(tmp_path, second) == second.derive()
    assert recording.record(tmp_path, [second], may_break=False)[1] == "The record was up to date."


def test_what_is_not_recorded_yet_has_a_message_of_its_own() -> None:
    area = area_of({})
    text = recording.complaint(area, compare({}, {"a": {}}))
    assert text == (
        "Not recorded yet (made-up): run `python3 build/dev.py record-surface`\n  a: it is new"
    )
    assert recording.complaint(area, []) == ""


def test_the_command_takes_no_other_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert recording.main(["--break"]) == 2
    assert "record-surface [--breaking]" in capsys.readouterr().err
