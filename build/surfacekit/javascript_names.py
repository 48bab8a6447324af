"""The promises of the JavaScript client, from its types; a test compares these with the client.

Types are compared as they are written: one that is written differently counts as another one.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from surfacekit.declarations import Declared, Function, Member, declarations, members_of, split
from surfacekit.facts import PART, Facts, Surface, values_of

_GIVEN = frozenset({
    "ChangeOptions", "Op", "OpOptions", "Options", "Place", "Session", "WatchOptions",
    "WriteOptions",
})  # fmt: skip
"""Types of what programs give; the client gives the others."""

_STRING = re.compile(r'"(\w+)"')
_ATTRIBUTE = re.compile(r"\[(data-[\w-]+)\]")
_OBJECT = re.compile(r"\{ (?:[^{}]|\{[^{}]*\})* \}")


def surface(types: Path, module: Path) -> Surface:
    """Return the promises of a file of types, and the attributes that the module reads in pages."""
    attributes = _ATTRIBUTE.findall(module.read_text("utf-8"))
    found: Surface = {f"attribute {name}": {} for name in attributes}
    functions: list[tuple[str, Function]] = []
    for declared in declarations(types.read_text("utf-8")):
        found |= _promises_of(declared)
        prefix = "" if declared.kind == "function" else f"{declared.name}."
        functions += [(prefix + method.name, method) for method in declared.methods]
    functions.sort(key=lambda pair: pair[0])
    for name, forms in groupby(functions, key=lambda pair: pair[0]):
        found |= _of_functions(name, [function for _, function in forms])
    return found


def _promises_of(declared: Declared) -> Surface:
    name, is_given = declared.name, declared.name in _GIVEN
    if declared.kind == "function":
        return {}
    if declared.kind == "variable":
        return {name: {"kind": "global", "type": declared.type}}
    if declared.kind == "type":
        return _of_alias(name, declared.type)
    bases = sorted(declared.bases)
    return {name: {"kind": declared.kind, "bases": bases}} | _of_members(
        name, declared.members, is_given=is_given
    )


def _of_alias(name: str, text: str) -> Surface:
    strings = _STRING.findall(text)
    if len(strings) == len(split(text, "|")):
        return {name: {"kind": "type"}} | values_of(name, strings)
    objects = _OBJECT.findall(text)
    if name not in _GIVEN or not objects:
        return {name: {"kind": "type", "type": text}}
    surface: Surface = {name: {"kind": "type", "bases": [_OBJECT.split(text)[0].split()[0]]}}
    for form in objects:
        tag, *others = members_of(form[2:-2])
        for value in _STRING.findall(tag.type):
            surface |= values_of(name, [value])
            surface |= _of_members(f'{name}{PART}"{value}"', others, is_given=True)
    return surface


def _of_members(name: str, members: Sequence[Member], *, is_given: bool) -> Surface:
    """Return the promises of properties or parameters, and of what is in those that are objects."""
    surface: Surface = {}
    for member in members:
        place = f"{name}{PART}{member.name}"
        types, strings, inner = _taken_apart(member.type)
        facts: Facts = {"always": not member.is_optional, "gives": types}
        if is_given:
            facts = {"required": not member.is_optional, "accepts": types}
        surface[place] = facts
        surface |= values_of(place, strings)
        surface |= _of_members(place, inner, is_given=is_given)
    return surface


def _taken_apart(text: str) -> tuple[list[str], list[str], list[Member]]:
    """Return the types of which one is meant, the texts among them, and the fields written out."""
    if "=>" in "".join(split(text, " ")):
        return [text], [], []
    types, strings = set[str](), []
    inner: list[Member] = []
    for alternative in split(text, "|"):
        if _STRING.fullmatch(alternative):
            types.add("string")
            strings.append(alternative.strip('"'))
            continue
        named = []
        for part in split(alternative, "&"):
            if _OBJECT.fullmatch(part):
                inner += members_of(part[2:-2])
            else:
                named.append(part)
        types.add(" & ".join(named) or "object")
    return sorted(types), strings, inner


def _of_functions(name: str, forms: list[Function]) -> Surface:
    surface: Surface = {name: {"kind": "function"}}
    for form in forms:
        place = name if len(forms) == 1 else f"{name}{PART}({_told_apart(form, forms)})"
        surface[place] = surface.get(place, {}) | {"gives": _taken_apart(form.returns)[0]}
        surface |= _of_members(place, form.parameters, is_given=True)
        for position, member in enumerate(form.parameters):
            surface[f"{place}{PART}{member.name}"]["position"] = position
    return surface


def _told_apart(form: Function, forms: list[Function]) -> str:
    """Return the type of the first parameter by which the forms of a function differ."""
    for position, member in enumerate(form.parameters):
        types = {other.parameters[position].type for other in forms}
        if len(types) == len(forms):
            return member.type.replace(PART, " or ")
    raise ValueError(f"the forms of {form.name} differ in no parameter")
