"""Messages by which a login learns whether it may do something, and of which nothing comes; no I/O.

A server looks at the rights first, and at the rest of a message later.
"""

import json
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
