"""The examination of a shared store for `dunena doctor`: servers, rights and the stream.

It changes nothing: what it asks for to learn whether it may is refused for another reason.
"""

import asyncio
import json
from dataclasses import replace
from typing import Any

from dunena.persistence.jetstream import stream_requests
from dunena.persistence.jetstream.connection import NatsConnectError, NatsConnection
from dunena.persistence.jetstream.findings import (
    StoreFinding,
    examine_copies,
    examine_settings,
    examine_space,
)
from dunena.persistence.jetstream.harmless import (
    excessive_messages,
    harmless_requests,
    harmless_telling,
)
from dunena.persistence.jetstream.link import NatsLink, address_of
from dunena.persistence.jetstream.log import MESSAGE_OVERHEAD_BYTES
from dunena.persistence.jetstream.login import Login, LoginError
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.stream_requests import StreamRequests, stream_config
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import LinkFault, Message
from dunena.persistence.policy import StoreSettings

VERSION_MIN = (2, 12, 1)
"""The first server that stores several messages as one, each with conditions."""

API_LEVEL_MIN = 2
"""The level of JetStream's API that has this, also where a cluster has older servers."""

_ANSWER_SECONDS = 5.0
_NAME = "dunena doctor"
_DENIED = "permissions violation for"


def examine_store(store: StoreSettings, value_bytes_max: int) -> list[StoreFinding]:
    """Examine a store and return the findings in the order in which they are shown.

    ``value_bytes_max`` is the size that a value may have.
    """
    return asyncio.run(_examine(store, value_bytes_max))


async def _examine(store: StoreSettings, value_bytes_max: int) -> list[StoreFinding]:
    tries = await asyncio.gather(*(_reach(store, server) for server in store.servers))
    findings = [finding for finding, _ in tries]
    reached = [
        server for server, (_, is_there) in zip(store.servers, tries, strict=True) if is_there
    ]
    if not reached:
        return findings
    if len(reached) < len(tries):
        # A cluster works without some of its servers, and so does a node.
        findings = [replace(one, level="note") if not is_there else one for one, is_there in tries]
    examiner = _Examiner(replace(store, servers=(reached[0],)))
    try:
        findings += await examiner.examine(value_bytes_max)
    finally:
        await examiner.close()
    return findings


async def _reach(store: StoreSettings, server: str) -> tuple[StoreFinding, bool]:
    """Connect to a server; return what was found, and whether it can be reached."""
    about = "server"
    address = address_of(server)
    connection = NatsConnection(server, lambda _: None, lambda _: None)
    try:
        await connection.open(Login(store, server), _NAME)
    except (NatsConnectError, LoginError) as error:
        advice = "see that it runs, and give its address and a login that it takes"
        return StoreFinding("bad", about, f"{address}: {error}", advice), False
    version = connection.server_version
    await connection.close()
    text = f"{address} answers, with version {version}"
    if tuple(map(int, version.split("."))) >= VERSION_MIN:
        return StoreFinding("ok", about, text), True
    wanted = ".".join(map(str, VERSION_MIN))
    return StoreFinding("bad", about, text, f"put in nats-server {wanted} or later"), True


class _Examiner:
    """Asks one server, and listens to what it denies."""

    def __init__(self, store: StoreSettings) -> None:
        self._store = store
        self._terms = LogTerms(store.bucket, store.timeout_s, store.domain, store.is_reader)
        self._requests = StreamRequests(self._terms)
        self._denied: list[str] = []
        self._news = asyncio.Event()
        self._link = NatsLink(store, _NAME, report=self._take_report)
        self._link.on_change(self._news.set)
        self._link.start()

    async def close(self) -> None:
        await self._link.close()

    async def examine(self, value_bytes_max: int) -> list[StoreFinding]:
        """Return the findings on what the server answers."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            while not self._link.is_connected:
                self._news.clear()
                await self._news.wait()
        findings = [self._examine_payload(value_bytes_max)]
        rights = await self._examine_rights()
        more = await self._examine_more_rights()
        jetstream = await self._examine_jetstream()
        findings += [jetstream, rights, *more]
        if jetstream.level != "bad":
            findings += await self._examine_stream()
        return findings

    def _examine_payload(self, value_bytes_max: int) -> StoreFinding:
        limit = self._link.max_payload
        about, text = "largest value", f"the server takes messages of {limit:,} bytes"
        if value_bytes_max <= limit - MESSAGE_OVERHEAD_BYTES:
            return StoreFinding("ok", about, text)
        least = value_bytes_max + MESSAGE_OVERHEAD_BYTES
        advice = f"set max_payload: {least} at all servers, or give a lower --max-value"
        return StoreFinding("bad", about, text, advice)

    async def _examine_jetstream(self) -> StoreFinding:
        """Examine whether JetStream is there, and new enough."""
        about = "JetStream"
        prefix = f"$JS.{self._store.domain}.API" if self._store.domain else "$JS.API"
        answer = await self._ask(Message(f"{prefix}.INFO", {}, b""))
        if answer is LinkFault.NO_RESPONDERS and isinstance(
            await self._ask(self._requests.info()), Message
        ):
            # By way of a leaf node nobody answers who may not ask.
            answer = LinkFault.TIMEOUT
        if answer is LinkFault.NO_RESPONDERS:
            advice = "switch it on: `jetstream { ... }` in the configuration of the servers"
            if self._store.domain:
                advice = f"see that {self._store.domain} is the domain of the servers that have it"
            return StoreFinding("bad", about, "nobody answers for it", advice)
        body = _body(answer)
        if body is None:
            return StoreFinding("note", about, "its level is not known: this user may not ask")
        if "error" in body:
            text = str(body["error"].get("description"))
            return StoreFinding("bad", about, text, "switch it on for the account of this user")
        level = int(body.get("api", {}).get("level", 0))
        if level < API_LEVEL_MIN:
            wanted = ".".join(map(str, VERSION_MIN))
            advice = f"put in nats-server {wanted} or later everywhere in the cluster"
            return StoreFinding("bad", about, f"its API has level {level}", advice)
        return StoreFinding("ok", about, f"its API has level {level}")

    async def _examine_rights(self) -> StoreFinding:
        """Try everything that a node does, so that nothing comes of it."""
        names = SubjectNames(self._store.bucket, self._store.domain)
        if not self._store.is_reader:
            # Nobody answers; what the server denies comes before its next answer.
            self._link.publish(harmless_telling(self._terms))
        for subject in (names.flow, f"{names.channels}>"):
            self._link.subscribe(subject, lambda _: None)
        for one in harmless_requests(self._terms, self._requests):
            await self._ask(one)
        about = "rights"
        if not self._denied:
            return StoreFinding("ok", about, "this user may do what a node does")
        advice = "docs/cluster.md has the list of what a user of NATS needs"
        if not self._store.is_reader:
            advice += "; a node with --store-read-only needs less"
        return StoreFinding("bad", about, f"missing: {', '.join(self._denied)}", advice)

    async def _examine_more_rights(self) -> list[StoreFinding]:
        """Try what a node need not do and could do harm with, so that nothing comes of it."""
        more = []
        for excess in excessive_messages(self._terms, self._requests):
            denied = len(self._denied)
            if excess.is_answered:
                await self._ask(excess.message)
            else:
                self._link.publish(excess.message)
                await self._ask(self._requests.info())  # a denial comes before the answer
            subject = excess.message.subject.lower()
            if not any(subject in one for one in self._denied[denied:]):
                more.append(f"publish to {excess.right} ({excess.harm})")
        if not more:
            return []
        advice = "take that away from it: docs/cluster.md has the list of what a node needs"
        text = f"this user may do more than a node has to: {', '.join(more)}"
        return [StoreFinding("note", "more rights", text, advice)]

    async def _examine_stream(self) -> list[StoreFinding]:
        """Examine the stream, if it is there already."""
        about = "stream"
        name = self._requests.stream
        answer = await self._ask(self._requests.info())
        body = _body(answer)
        if body is None:
            return [StoreFinding("bad", about, f"{name}: no answer", "see what the servers log")]
        if "error" in body:
            if body["error"].get("err_code") != stream_requests.STREAM_NOT_FOUND:
                return [StoreFinding("bad", about, f"{name}: {body['error'].get('description')}")]
            text = f"{name} is not there"
            if self._store.is_reader:
                return [StoreFinding("bad", about, text, "start a node that writes first")]
            return [StoreFinding("ok", about, f"{text}; the first node makes it")]
        return [
            examine_settings(name, body["config"], stream_config(self._terms)),
            examine_copies(name, body),
            *filter(None, [examine_space(name, body)]),
            StoreFinding(
                "note",
                "sync",
                "whether an acknowledged write is on the disks is not known here",
                "`curl http://SERVER:8222/varz | grep sync_always` says it",
            ),
        ]

    async def _ask(self, message: Message) -> Message | LinkFault:
        """Return the answer to a request; TIMEOUT at once if the server denies it."""
        answer: asyncio.Future[Message | LinkFault] = asyncio.get_running_loop().create_future()
        request = self._link.request(message, _ANSWER_SECONDS, answer.set_result)
        answer.add_done_callback(lambda _: self._news.set())
        denied = len(self._denied)
        while not answer.done():
            self._news.clear()
            await self._news.wait()
            if any(message.subject.lower() in one for one in self._denied[denied:]):
                request.cancel()
                return LinkFault.TIMEOUT
        return answer.result()

    def _take_report(self, text: str) -> None:
        """Take what the server reports: it names each thing that is denied, in small letters."""
        what = text.partition(_DENIED)[2].strip()
        if what:
            self._denied.append(what)
        self._news.set()


def _body(answer: Message | LinkFault) -> dict[str, Any] | None:
    """Return the JSON of an answer; None if there is none."""
    if isinstance(answer, LinkFault):
        return None
    try:
        body = json.loads(answer.data)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
