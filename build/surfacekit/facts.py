"""The form of a public surface: names of what is promised, and facts about each.

A name is made of its parts from the outside in, with `PART` between them: ``Store.set | ttl`` is
the parameter ``ttl`` of ``Store.set``. The facts are JSON, and each kind of fact means the same in
every area (`comparison.RULES` says which changes of one break a promise):

- ``required``: a caller has to give it; ``always``: an answer always has it;
- ``accepts``: the types that a caller may give; ``gives``: those that an answer may have;
- ``minimum``, ``maximum``, ``minLength``, ``maxLength``, ``minItems``, ``maxItems``, ``pattern``:
  limits of what a caller may give;
- ``default``: what counts if a caller gives nothing;
- ``passed``: how a parameter is given, "by name", "by position" or "either"; ``position``: its
  place, from 0;
- ``bases``: the public classes that a class is one of; ``may``: what else it can be used for;
- ``rights``: the rights of a token of which one is needed, none for any token;
- all others: what it is, which does not change.
"""

import json
from typing import Any

Facts = dict[str, Any]
Surface = dict[str, Facts]

PART = " | "


def parent_of(name: str) -> str:
    """Return the name that a name is a part of, "" for an outermost one."""
    return name.rpartition(PART)[0]


def values_of(name: str, values: Any) -> Surface:
    """Return an entry for each value that a promise names, so that each is kept by itself."""
    return {name + PART + json.dumps(value, ensure_ascii=False): {} for value in values}
