"""The promises of the Python client: its names, their parameters, attributes and bases."""

import ast
import builtins
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from inspect import Parameter
from types import ModuleType
from typing import Any, get_args

import dunena
import dunena.sync
from surfacekit.facts import PART, Facts, Surface

_PASSED = {
    Parameter.POSITIONAL_ONLY: "by position",
    Parameter.POSITIONAL_OR_KEYWORD: "either",
    Parameter.KEYWORD_ONLY: "by name",
    Parameter.VAR_POSITIONAL: "any number",
}

_USES = {
    "__aenter__": "async with",
    "__aiter__": "async for",
    "__enter__": "with",
    "__iter__": "for",
}

_MADE_BY_USERS = ("Session",)
"""Classes that programs make themselves; of all others the client alone does."""


def surface() -> Surface:
    """Return the promises of `dunena` and `dunena.sync`."""
    # `dir` of the package has its version too.
    return _of_module(dunena, dir(dunena)) | _of_module(dunena.sync, dunena.sync.__all__)


def of_function(name: str, function: Any) -> Surface:
    """Return the promises of a function or method: itself and its parameters."""
    kind = "coroutine" if inspect.iscoroutinefunction(function) else "function"
    surface: Surface = {name: {"kind": kind}}
    parameters = list(inspect.signature(function).parameters.values())
    parameters = [parameter for parameter in parameters if parameter.name != "self"]
    for position, parameter in enumerate(parameters):
        if parameter.kind is Parameter.VAR_KEYWORD:
            surface |= _options_of(name, parameter)
            continue
        facts: Facts = {"passed": _PASSED[parameter.kind], "required": False}
        if parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
            facts["position"] = position
        if parameter.default is not Parameter.empty:
            facts["default"] = repr(parameter.default)
        elif parameter.kind is not Parameter.VAR_POSITIONAL:
            facts["required"] = True
        surface[f"{name}{PART}{parameter.name}"] = facts
    return surface


def of_class(name: str, cls: type) -> Surface:
    """Return the promises of a class: what it is, its methods, and its attributes."""
    is_error = issubclass(cls, BaseException)
    facts: Facts = {"kind": "exception" if is_error else "class", "bases": sorted(_bases(cls))}
    facts["may"] = sorted(_uses(cls))
    fields = getattr(cls, "_fields", None)
    if fields is not None:
        facts["unpacks to"] = list(fields)
    surface = {name: facts}
    if cls.__name__ in _MADE_BY_USERS:
        surface |= _parts_of(name, of_function(name, cls))
    for attribute in sorted(_attributes(cls)):
        member = getattr(cls, attribute, None)
        if inspect.isfunction(member):
            surface |= of_function(f"{name}.{attribute}", member)
        else:
            surface[f"{name}.{attribute}"] = {"kind": "attribute"}
    return surface


def _options_of(name: str, parameter: Parameter) -> Surface:
    """Return the promises of keyword arguments whose names a `TypedDict` has."""
    (options,) = get_args(parameter.annotation)
    return {
        f"{name}{PART}{option}": {"passed": "by name", "required": False}
        for option in options.__annotations__
    }


def _of_module(module: ModuleType, names: Iterable[str]) -> Surface:
    surface: Surface = {}
    for public in names:
        name, value = f"{module.__name__}.{public}", getattr(module, public)
        if inspect.isclass(value):
            surface |= of_class(name, value)
        elif callable(value):
            surface |= of_function(name, value)
        else:
            surface[name] = {"kind": type(value).__name__}
    return surface


def _parts_of(name: str, surface: Surface) -> Surface:
    return {part: facts for part, facts in surface.items() if part != name}


def _bases(cls: type) -> Iterator[str]:
    for base in cls.__mro__[1:-1]:
        if getattr(dunena, base.__name__, None) is base and base.__name__ in dunena.__all__:
            yield f"dunena.{base.__name__}"
        elif getattr(builtins, base.__name__, None) is base:
            yield base.__name__


def _uses(cls: type) -> Iterator[str]:
    for method, use in _USES.items():
        # The asyncio store has a `with` only to say that it wants another one.
        refuses = use == "with" and hasattr(cls, "__aenter__")
        if hasattr(cls, method) and not refuses:
            yield use


def _attributes(cls: type) -> set[str]:
    """Return the public names of methods and attributes, also of those that instances set."""
    names: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] != dunena.NAME:
            continue
        names |= {name for name in vars(base) if not name.startswith("_")}
        tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        names |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
            and not node.attr.startswith("_")
        }
    return names
