"""`dunena check` examines and repairs a folder of values, by `dunena.persistence.folder`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option

from dunena.cli.failure import EXIT_FAILED, fail
from dunena.cli.setting_options import option_of
from dunena.desktop.terminal import say
from dunena.setting_table import DEFAULTS, rows

if TYPE_CHECKING:
    from dunena.persistence.folder import Findings

_SHOWN_MAX = 20


def check(
    folder: Annotated[Path, Argument(metavar="DIR", help="A server's folder for the values.")],
    repair: Annotated[bool, Option("--repair", help="Put in order what is not.")] = False,
    max_value: Annotated[
        int, option_of(rows()["max_value"], "The server's largest value, bytes.")
    ] = DEFAULTS.max_value,
    as_json: Annotated[bool, Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Say what is in a folder and what is wrong with it.

    No server may be using it. Exit code 0: all is in order; 1: something is not, or the folder
    cannot be read.

    Example: dunena check .cache --repair
    """
    import logging

    import orjson

    from dunena.persistence.folder import check_folder, repair_folder
    from dunena.persistence.interface import OpenError

    logging.disable()  # what the server would log is in the report
    try:
        before = check_folder(folder, max_value)
        findings = repair_folder(folder, max_value) if repair else before
    except OpenError as error:
        fail(error.reason)
    if as_json:
        shown = _shown(_for_programs(findings))
        say(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
    else:
        say(_for_people(findings, done=before.steps if repair else None))
    if not findings.is_in_order:
        raise Exit(EXIT_FAILED)


def _for_programs(findings: "Findings") -> dict[str, object]:
    from dataclasses import asdict

    report = asdict(findings)
    for name in ("damaged", "clashes"):
        for damage in report[name]:
            damage["kind"] = damage["kind"].value
    report["journal"] = _in_camel_case(report["journal"])
    return {
        **_in_camel_case(report),
        "inOrder": findings.is_in_order,
        "steps": findings.steps,
    }


def _in_camel_case(fields: dict[str, object]) -> dict[str, object]:
    """Name the fields as in the answers of a server."""
    named = {}
    for name, value in fields.items():
        first, *others = name.split("_")
        named[first + "".join(map(str.capitalize, others))] = value
    return named


def _shown(part: object) -> object:
    """Copy a report with each text as one line of valid UTF-8: a file's name may be any bytes."""
    from dunena.persistence.interface import display_path_of

    if isinstance(part, str):
        return display_path_of(part)
    if isinstance(part, dict):
        return {name: _shown(value) for name, value in part.items()}
    return [_shown(one) for one in part] if isinstance(part, list) else part


def _for_people(findings: "Findings", *, done: list[str] | None) -> str:
    journal = findings.journal
    lines = [
        findings.folder,
        f"  keys        {findings.keys} ({findings.expiring} with an expiry)",
        f"  bytes       {findings.bytes}",
        f"  namespaces  {len(findings.namespaces)}",
        f"  revision    {findings.revision}",
        f"  format      {findings.format or 'not recorded'}",
        f"  journal     {journal.bytes} bytes, {journal.commits} commits not in files yet",
    ]
    wrong = [f"{damage.path}: {damage.reason}" for damage in findings.damaged + findings.clashes]
    wrong += [f"{path}: follows a missing part of the journal" for path in journal.ignored]
    if journal.torn_bytes:
        wrong.append(f"the journal ends with {journal.torn_bytes} bytes of an unfinished write")
    wrong += [f"{path}: a draft that was left behind" for path in findings.drafts]
    wrong += [f"{path}: an expiry of no value" for path in findings.stale_expiries]
    wrong += [f"{path}: a name of no file" for path in findings.stale_names]
    wrong += [f"{path}: of the format of an older dunena" for path in findings.older]
    lines += _section("Not values, left alone:", findings.foreign)
    lines += _section("%XX may stand for itself, then write %25XX:", findings.doubts)
    lines += _section("Done:", done or [])
    lines += _section("Wrong:", wrong)
    lines += _section("With --repair this would be done:", findings.steps)
    lines += ["", "All is in order." if findings.is_in_order else "Not all is in order."]
    return "\n".join(str(_shown(line)) for line in lines)


def _section(title: str, items: list[str]) -> list[str]:
    if not items:
        return []
    more = len(items) - _SHOWN_MAX
    rest = [f"  and {more} more; --json shows all"] if more > 0 else []
    return ["", title, *[f"  {item}" for item in items[:_SHOWN_MAX]], *rest]
