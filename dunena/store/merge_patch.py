"""JSON Merge Patch (RFC 7396)."""

import orjson

from dunena.store.values import JsonValue, encode


def merge(target: JsonValue, patch: JsonValue) -> JsonValue:
    """Merge a patch into a value, which may be changed in place, and return the result.

    Rule (RFC 7396, 2): members of the patch replace members of the target, null removes one,
    objects are merged recursively; a patch that is no object replaces the target. Neither the
    patch nor a part of it becomes a part of the result where it is an object.
    """
    if not isinstance(patch, dict):
        return patch
    merged = target if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def merge_encoded(target: bytes, patch: bytes) -> bytes:
    """Merge a patch into a value, both as compact JSON, and return the result as such.

    The result is nested no deeper than the deeper of the two.
    """
    if not patch.startswith(b"{"):
        return patch
    return encode(merge(orjson.loads(target), orjson.loads(patch)))
