"""Messages by which a login learns whether it may do something, and of which nothing comes; no I/O.

A server looks at the rights first, and at the rest of a message later.
"""

import json
from dataclasses import dataclass
from typing import Final

from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.stream_requests import StreamRequests
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import Message

NAME: Final = "=doctor"
"""Of what there is not: no key is called so, and no stream can be."""


def harmless_requests(terms: LogTerms, requests: StreamRequests) -> list[Message]:
    """Return a request for each right to publish that is answered; as it is needed by a node."""
    names = SubjectNames(terms.bucket, terms.domain)
    nothing = f"{names.prefix}{NAME}"
    reading = [requests.info(), requests.last_message(nothing), requests.page(1, 1, 1)]
    return reading if terms.is_reader else [*reading, *writing_requests(terms, requests)]


def writing_requests(terms: LogTerms, requests: StreamRequests) -> list[Message]:
    """Return those of `harmless_requests` that only a node which writes needs."""
    names = SubjectNames(terms.bucket, terms.domain)
    nothing = f"{names.prefix}{NAME}"
    # Both limits at once are refused, and there is no such subject.
    purge = json.dumps({"filter": nothing, "seq": 1, "keep": 1}).encode()
    return [
        Message(names.written_to(nothing), {"Nats-Expected-Stream": NAME}, b""),
        Message(requests.create().subject, {}, b"{"),
        Message(requests.purge_keys(1).subject, {}, purge),
    ]


def harmless_telling(terms: LogTerms) -> Message:
    """Return a message to a channel, which nobody answers and no node listens to.

    A channel with ``=`` in its name is another one at NATS.
    """
    return Message(f"{SubjectNames(terms.bucket).channels}{NAME}", {}, b"")


def harmless_messages(terms: LogTerms, requests: StreamRequests) -> list[Message]:
    """Return a message for each right to publish that a running node needs."""
    messages = harmless_requests(terms, requests)
    if terms.is_reader:
        return messages
    made = requests.create().subject  # it is there already
    return [*(one for one in messages if one.subject != made), harmless_telling(terms)]


@dataclass(frozen=True, slots=True)
class Excess:
    """A right that a node need not have, a message that asks for it, and what harm it could do."""

    message: Message
    right: str
    harm: str
    is_answered: bool = True


def excessive_messages(terms: LogTerms, requests: StreamRequests) -> list[Excess]:
    """Return a message for each right that a node need not have and that could do harm."""
    names = SubjectNames(terms.bucket, terms.domain)
    # Nodes take nothing for stored that has no sequence (`follower`).
    forged = Message(f"{names.flow[:-1]}{NAME}", {}, b"")
    found = [
        Excess(forged, names.flow, "nodes take what is there for stored", is_answered=False),
        # A request to delete has no body: with another one it is refused.
        _excess_of(requests, "STREAM.DELETE", b"[]", "removes all"),
        _excess_of(requests, "STREAM.UPDATE", b"{", "changes settings"),
        _excess_of(requests, "STREAM.MSG.DELETE", b"{", "removes a value unseen"),
    ]
    if terms.is_reader:
        writing, create, purge = writing_requests(terms, requests)
        found += [
            Excess(writing, names.written_to(names.all), "writes"),
            Excess(
                harmless_telling(terms),
                f"{names.channels}>",
                "sends messages to channels",
                is_answered=False,
            ),
            Excess(create, create.subject, "makes the stream"),
            Excess(purge, purge.subject, "removes all unseen"),
        ]
    return found


def _excess_of(requests: StreamRequests, name: str, body: bytes, harm: str) -> Excess:
    subject = requests.info().subject.replace("STREAM.INFO", name)
    return Excess(Message(subject, {}, body), subject, harm)
