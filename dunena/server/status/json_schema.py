"""Parts of JSON Schemas that the descriptions of requests and answers are made of."""

from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
OBJECT: Schema = {"type": "object"}


def fields(*, optional: Schema | None = None, **required: Schema) -> Schema:
    """Make the schema of an object with required and optional members."""
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
    }


def list_of(items: Schema) -> Schema:
    """Make the schema of an array."""
    return {"type": "array", "items": items}


def or_null(schema: Schema) -> Schema:
    """Make the schema of what may be null as well."""
    return {**schema, "type": [schema["type"], "null"]}


def counts(*names: str) -> Schema:
    """Make the schemas of members that are counts, by their names."""
    return dict.fromkeys(names, COUNT)
