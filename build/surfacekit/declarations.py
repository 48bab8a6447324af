"""Reading a file of TypeScript declarations: as much of the language as `dunena.d.ts` uses.

What it does not know is a `ValueError`, so that nothing in the file is passed over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_COMMENTS = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_BLOCK = re.compile(
    r"(?:export )?(?P<kind>interface|class) (?P<name>\w+)(?:<[\w, ]+>)?"
    r"(?: extends (?P<bases>[^{]+))? \{(?P<body>.*)\}",
    re.DOTALL,
)
_ALIAS = re.compile(r"export type (?P<name>\w+)(?:<[\w, ]+>)? = (?P<type>.*)", re.DOTALL)
_FUNCTION = re.compile(r"export function (?P<rest>.*)", re.DOTALL)
_GLOBAL = re.compile(r"declare global \{(?P<body>.*)\}", re.DOTALL)
_VARIABLE = re.compile(r"var (?P<name>\w+): (?P<type>.*)", re.DOTALL)
_MEMBER = re.compile(
    r"(?:readonly )?(?P<name>\w+|\[.*?\])(?P<optional>\??): ?(?P<type>.*)", re.DOTALL
)
_METHOD = re.compile(r"(?P<name>\w+)(?:<[\w, =]+>)?(?P<rest>\(.*)", re.DOTALL)

_OPENING, _CLOSING = "([{<", ")]}>"


@dataclass(frozen=True, slots=True)
class Member:
    """A property or a parameter."""

    name: str
    type: str
    is_optional: bool


@dataclass(frozen=True, slots=True)
class Function:
    """One form of a function or method: its parameters, and the type of what it returns."""

    name: str
    parameters: tuple[Member, ...]
    returns: str


@dataclass(frozen=True, slots=True)
class Declared:
    """A declaration that is exported, or a global.

    ``kind`` is interface, class, type, function or variable. ``type`` is that of a type or
    variable. A function has itself as its one method.
    """

    kind: str
    name: str
    bases: tuple[str, ...] = ()
    type: str = ""
    members: tuple[Member, ...] = ()
    methods: tuple[Function, ...] = ()


def declarations(text: str) -> list[Declared]:
    """Return everything that a file declares; raise ValueError for what is not understood."""
    plain = _COMMENTS.sub("", text)
    return [_declared(statement) for statement in _statements(plain)]


def split(text: str, separator: str) -> list[str]:
    """Split a text at the separators that are in no brackets; leave empty parts out."""
    parts, begin, depth = [], 0, 0
    for place, character in enumerate(text):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING and text[place - 1 : place + 1] != "=>":
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[begin:place])
            begin = place + 1
    return [part for part in map(_tidy, [*parts, text[begin:]]) if part]


def members_of(text: str) -> tuple[Member, ...]:
    """Return the properties in the text between the braces of an object type."""
    members, methods = _body(text)
    if methods:
        raise ValueError(f"methods in a type: {text}")
    return members


def _statements(text: str) -> Iterator[str]:
    """Yield the statements: what ends with a semicolon, or with the brace of a block."""
    begin = depth = 0
    for place, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        statement = text[begin : place + 1].strip()
        ends_block = character == "}" and re.match(
            r"(export )?(interface|class|declare)", statement
        )
        if depth == 0 and (character == ";" or ends_block):
            begin = place + 1
            if statement != ";":
                yield statement.removesuffix(";")
    if text[begin:].strip():
        raise ValueError(f"no end of: {text[begin:].strip()}")


def _declared(statement: str) -> Declared:
    if found := _BLOCK.fullmatch(statement):
        members, methods = _body(found["body"])
        bases = tuple(split(found["bases"] or "", ","))
        return Declared(found["kind"], found["name"], bases, "", members, methods)
    if found := _ALIAS.fullmatch(statement):
        return Declared("type", found["name"], type=_tidy(found["type"]))
    if found := _FUNCTION.fullmatch(statement):
        function = _function(found["rest"])
        return Declared("function", function.name, methods=(function,))
    if found := _GLOBAL.fullmatch(statement):
        (inside,) = split(found["body"], ";")
        if variable := _VARIABLE.fullmatch(inside):
            return Declared("variable", variable["name"], type=variable["type"])
    raise ValueError(f"not understood: {statement}")


def _body(text: str) -> tuple[tuple[Member, ...], tuple[Function, ...]]:
    members, methods = [], []
    for part in split(text, ";"):
        if found := _MEMBER.fullmatch(part):
            members.append(Member(found["name"], _tidy(found["type"]), bool(found["optional"])))
        else:
            methods.append(_function(part))
    return tuple(members), tuple(methods)


def _function(text: str) -> Function:
    found = _METHOD.fullmatch(_tidy(text))
    if not found:
        raise ValueError(f"not understood: {text}")
    rest = found["rest"]
    end = _end_of_brackets(rest)
    parameters = []
    for part in split(rest[1:end], ","):
        member = _MEMBER.fullmatch(part)
        if not member:
            raise ValueError(f"not understood: {part}")
        parameters.append(Member(member["name"], member["type"], bool(member["optional"])))
    returns = rest[end + 1 :].removeprefix(":").strip()
    return Function(found["name"], tuple(parameters), returns)


def _end_of_brackets(text: str) -> int:
    """Return where the round brackets end with which a text begins."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return place
    raise ValueError(f"no end of the brackets: {text}")


def _tidy(text: str) -> str:
    return " ".join(text.split()).removeprefix("| ")
