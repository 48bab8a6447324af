"""The least rights that a node needs at the NATS servers; no I/O.

Nobody but the servers may publish to ``dn.<bucket>.log.>``: it is what nodes believe. What else
does harm is in `harmless.excessive_messages`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permissions:
    """Subjects that a user may publish to and subscribe to, as in the servers' configuration."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


_READING = ("STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET")
_WRITING = ("STREAM.CREATE", "STREAM.PURGE")
"""Requests to JetStream on the one stream. That to make it is not needed where it was made."""


def permissions_of(
    bucket: str, *, domain: str | None = None, is_reader: bool = False
) -> Permissions:
    """Return the least rights on a bucket, of a node that writes or of one that only reads.

    With a JetStream domain, those of both kinds of names: a server looks at them before and after
    it maps one to the other.
    """
    requests = _READING if is_reader else (*_READING, *_WRITING)
    publish = [] if is_reader else [f"$KV.{bucket}.>", f"dn.{bucket}.ch.>"]
    publish += [f"$JS.API.{request}.KV_{bucket}" for request in requests]
    if domain is not None:
        api = f"$JS.{domain}.API"
        publish += [] if is_reader else [f"{api}.$KV.{bucket}.>"]
        publish += [f"{api}.{request}.KV_{bucket}" for request in requests]
    return Permissions(tuple(publish), (f"dn.{bucket}.log.>", f"dn.{bucket}.ch.>", "_INBOX.>"))
