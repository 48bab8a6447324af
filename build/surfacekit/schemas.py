"""Promises from JSON schemas: the fields of a message, its types and the values it names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from surfacekit.facts import PART, Facts, Surface, values_of

_Json = dict[str, Any]

_LIMITS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern")
_FORMS = ("oneOf", "anyOf")


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads schemas of one document; ``schemas`` are those that a ``$ref`` may name.

    ``is_given``: callers give what they describe; else the server does. What callers may give has
    limits, and no field may become required; of what the server gives no field may go.
    """

    schemas: Mapping[str, _Json]
    is_given: bool

    def read(self, name: str, schema: _Json, *, is_required: bool) -> Surface:
        """Return the promises of a schema: one for itself, its fields, items, forms and values."""
        schema = self._whole(schema)
        facts: Facts = {("required" if self.is_given else "always"): is_required}
        facts["accepts" if self.is_given else "gives"] = sorted(self._types(schema))
        if self.is_given:
            facts |= {limit: schema[limit] for limit in _LIMITS if limit in schema}
        surface = {name: facts} | values_of(name, _values(schema))
        for field, described in schema.get("properties", {}).items():
            is_needed = field in schema.get("required", ())
            surface |= self.read(f"{name}{PART}{field}", described, is_required=is_needed)
        if isinstance(schema.get("items"), dict):
            surface |= self._below(f"{name}{PART}[]", schema["items"])
        if isinstance(schema.get("additionalProperties"), dict):
            surface |= self._below(f"{name}{PART}{{}}", schema["additionalProperties"])
        for form, described in self._forms(schema):
            surface |= self._below(f"{name}{PART}({form})", described)
        return surface

    def _below(self, name: str, schema: _Json) -> Surface:
        return self.read(name, schema, is_required=False)

    def _whole(self, schema: _Json) -> _Json:
        """Return a schema together with all that it refers to."""
        parts = [schema]
        if "$ref" in schema:
            parts.append(self._whole(self.schemas[schema["$ref"].rpartition("/")[2]]))
        parts += [self._whole(part) for part in schema.get("allOf", ())]
        whole: _Json = {}
        for part in reversed(parts):
            fields = {**whole.get("properties", {}), **part.get("properties", {})}
            required = [*whole.get("required", ()), *part.get("required", ())]
            whole = whole | part | {"properties": fields, "required": required}
        return whole

    def _types(self, schema: _Json) -> set[str]:
        named = schema.get("type", [])
        types = {named} if isinstance(named, str) else set(named)
        types |= {_type_of(value) for value in _values(schema)}
        for form in _alternatives(schema):
            types |= self._types(self._whole(form)) - {"any"}
        if "number" in types:
            types.add("integer")
        return types or {"object" if schema["properties"] else "any"}

    def _forms(self, schema: _Json) -> Iterator[tuple[str, _Json]]:
        """Yield the forms that an object may have, each with a name that says which it is.

        What only limits the fields that the schema has itself is none.
        """
        for form in _alternatives(schema):
            whole = self._whole(form)
            if not whole["properties"].keys() <= schema["properties"].keys():
                fields = whole["properties"].values()
                constants = [str(field["const"]) for field in fields if "const" in field]
                named = form["$ref"].rpartition("/")[2] if "$ref" in form else ""
                yield named or "".join(constants) or ", ".join(whole["required"]), form


def _alternatives(schema: _Json) -> list[_Json]:
    return [form for key in _FORMS for form in schema.get(key, ())]


def _values(schema: _Json) -> list[Any]:
    return list(schema.get("enum", [schema["const"]] if "const" in schema else []))


def _type_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return names.get(type(value), "null")
