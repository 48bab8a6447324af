"""Clients with a session: they lose connections, resume elsewhere, and leave in several ways."""

import time
from typing import Any

from websockets.sync.client import ClientConnection

from tests.cluster.clients import NS, Client, ask, cut, is_refused
from tests.cluster.history import GUEST, WILLS, History, Life, Resume

TIMEOUT_MS = 4000
GRACE_MS = 6000


class Guest(Client):
    """Is present for a while again and again, under one key that the next session takes over.

    Its session's will counts one up, so that each session that began ends once.
    """

    def __init__(self, urls: list[str], node: int, history: History, seed: int) -> None:
        super().__init__(urls, node, history, seed)
        self._key = f"{GUEST}{seed}"
        self._secret: str | None = None
        self._heard_at = 0.0
        self._stays = 0
        self._life = Life(self._key)
        self._step = 0

    def use(self, connection: ClientConnection) -> None:
        self._begin(connection)
        while self.goes_on:
            self._set(connection)
            self.rest(self.random.uniform(0.05, 1))
            if self.random.random() < 0.3:
                self._leave(connection)
                return
        self._secret = None

    def _begin(self, connection: ClientConnection) -> None:
        will = [{"op": "incr", "key": WILLS, "ns": NS}]
        terms: dict[str, Any] = {"timeout": TIMEOUT_MS, "grace": GRACE_MS, "will": will}
        if self._secret is not None:
            terms["resume"] = self._secret
        # Unsure until it is answered: also one that is to be resumed may be a new one.
        self.history.unsure += 1
        answer = ask(connection, {"action": "session", **terms}, ns=None)
        if "error" in answer:
            self.history.unsure -= is_refused(answer)
            raise ConnectionError(answer["error"])
        self.history.unsure -= 1
        result, now = answer["result"], time.monotonic()
        if self._secret is not None:
            away = now - self._heard_at
            self.history.resumes.append(Resume(away, GRACE_MS / 1000, result["resumed"]))
        if not result["resumed"]:
            self.history.begun += 1
            self._life = Life(self._key)
            self.history.lives.append(self._life)
            self._stays = self.random.randint(0, 3)
        self._secret, self._heard_at = result["resume"], now

    def _set(self, connection: ClientConnection) -> None:
        self._step += 1
        value = {"step": self._step}
        message = {"action": "set", "key": self._key, "value": value, "ephemeral": True}
        answer = ask(connection, message)
        if "error" in answer:
            is_refused(answer)
            return
        self._heard_at = time.monotonic()
        rev = answer["result"]["rev"]
        self._life.first = self._life.first or rev
        self._life.last = rev

    def _leave(self, connection: ClientConnection) -> None:
        """Lose the connection to go on elsewhere, be gone for good, or say goodbye."""
        self._stays -= 1
        if self._stays < 0:
            self._secret = None
            if self.random.random() < 0.5:
                connection.close()
        cut(connection)
        self.move()
