"""How each protocol says what a workload does: options and messages for `wsload`.

A phrase is text for `wsload` with its slots (`wsload/message.h`): ``%d`` a random key's number,
``%i`` one in turn, ``%c`` the connection's own, ``%t`` a stamp, ``%z`` a filling. Each stands for
text of a fixed width, which is how the lengths that HTTP and RESP want can be written here.
"""

import json
from dataclasses import dataclass, replace

NUMBER_WIDTH = 6
STAMP_WIDTH = 31

POSITION = "position"
"""Stands, as a JSON string, for a position that is known only when the server runs."""

VALUE = "x" * 64
"""What `get` reads and `set` writes: the size of a small object."""


@dataclass(frozen=True, slots=True)
class Talk:
    """What one run says: `protocol` and `path` as `wsload` knows them.

    ``firsts`` are sent on each connection before all else and have ``greeting`` replies, what the
    server says by itself included; ``preload`` stores every key with ``preload_replies`` each;
    ``subscribe`` has ``subscribe_replies`` for each key; ``expected`` is in every counted reply,
    which is the last of ``replies`` to a message.
    """

    message: str
    protocol: str = "ws"
    path: str = "/"
    firsts: tuple[str, ...] = ()
    greeting: int = 0
    preload: str = ""
    preload_replies: int = 0
    subscribe: str = ""
    subscribe_replies: int = 1
    expected: str = ""
    replies: int = 1

    def options(self) -> list[str]:
        """Arguments of `wsload`, the message last."""
        given = ["-x", self.protocol, "-u", self.path, "-g", str(self.greeting)]
        for first in self.firsts:
            given += ["-f", first]
        if self.preload:
            given += ["-l", self.preload, "-n", str(self.preload_replies)]
        if self.subscribe:
            given += ["-s", self.subscribe, "-q", str(self.subscribe_replies)]
        if self.expected:
            given += ["-e", self.expected]
        if self.replies > 1:
            given += ["-b", str(self.replies)]
        return [*given, self.message]


class Phrases:
    """One protocol; ``fill`` is how many bytes ``%z`` is. A method that says None: it cannot."""

    def __init__(self, fill: int = 0) -> None:
        self._fill = fill

    def get(self) -> Talk | None:
        """Read a random one of the keys, which all have `VALUE`."""
        return None

    def set(self) -> Talk | None:
        """Write a random key and be told that it was stored."""
        return None

    def get_plain(self) -> Talk | None:
        """Read a random one of the keys, and get its value alone."""
        return None

    def put_plain(self) -> Talk | None:
        """Write a random one of the keys, which all exist, by its value alone."""
        return None

    def mget(self, count: int) -> Talk | None:
        """Read ``count`` random keys at once."""
        return None

    def set_and_see(self) -> Talk | None:
        """Write the filling to the connection's own key and see the update as its follower."""
        return None

    def fan_out(self) -> Talk | None:
        """Write keys in turn; others follow all of them. Values carry a stamp and the filling."""
        return None

    def watch(self) -> Talk | None:
        """The same as `fan_out`, with watches."""
        return None

    def incr(self) -> Talk | None:
        """Add one to a random key's number and be told the sum."""
        return None

    def txn(self, count: int) -> Talk | None:
        """Add one to the numbers of ``count`` random keys at once, all or none."""
        return None

    def resume(self) -> Talk | None:
        """Watch all keys from `POSITION` on."""
        return None

    def idle(self) -> Talk | None:
        """Connect."""
        return None


def measured_length(text: str, fill: int) -> int:
    """Bytes of ``text`` once its slots are filled."""
    length = len(text.encode())
    for slot, width in (("%d", NUMBER_WIDTH), ("%i", NUMBER_WIDTH), ("%c", NUMBER_WIDTH)):
        length += text.count(slot) * (width - 2)
    return length + text.count("%t") * (STAMP_WIDTH - 2) + text.count("%z") * (fill - 2)


def _json(**fields: object) -> str:
    return json.dumps(fields, separators=(",", ":"))


class ObjectStore(Phrases):
    """The object-store dialect: `action`."""

    def get(self) -> Talk:
        return Talk(
            _json(action="get", key="key:%d"),
            preload=_json(action="set", key="key:%i", value=VALUE),
            expected=VALUE,
        )

    def set_and_see(self) -> Talk:
        return Talk(
            _json(action="set", key="own:%c", value="%z"),
            firsts=(_json(action="subscribe", key="own:%c"),),
            expected="own:",
        )

    def fan_out(self) -> Talk:
        publish = _json(action="set", key="key:%i", value="%t%z")
        subscribe = _json(action="subscribe", key="key:%i")
        return Talk(publish, preload=publish, subscribe=subscribe)

    def watch(self) -> Talk:
        return replace(self.fan_out(), subscribe=_json(action="watch", key="key:%i"))

    def resume(self) -> Talk:
        return Talk(_json(action="watch", pattern="*", since=POSITION), expected='{"update":')

    def idle(self) -> Talk:
        return Talk("")


class Dunena(Phrases):
    """The dunena dialect: `type`. The stream of events that it starts with is ended first."""

    _QUIET = Talk(
        "",
        path="/ws",
        firsts=(_json(type="unsubscribe", channel="cache-events"), _json(type="ping")),
        greeting=2,
        preload=_json(type="set", key="key:%i", value=VALUE),
        preload_replies=1,
    )
    _COUNTING = replace(_QUIET, preload="", preload_replies=0, expected='"value":')

    def get(self) -> Talk:
        return replace(self._QUIET, message=_json(type="get", key="key:%d"), expected=VALUE)

    def set(self) -> Talk:
        message = _json(type="set", key="key:%d", value=VALUE)
        return replace(self._QUIET, message=message, expected='"ok":true')

    def mget(self, count: int) -> Talk:
        message = _json(type="mget", keys=["key:%d"] * count)
        return replace(self._QUIET, message=message, expected=VALUE)

    def incr(self) -> Talk:
        return replace(self._COUNTING, message=_json(type="incr", key="key:%d"))

    def txn(self, count: int) -> Talk:
        ops = [{"op": "incr", "key": "key:%d"}] * count
        return replace(self._COUNTING, message=_json(type="txn", ops=ops))


class Http(Phrases):
    """`GET /get/{key}`, `POST /set` and `/kv/{key}` over connections that stay open."""

    def get(self) -> Talk:
        preload = self._post("key:%i")
        message = "GET /get/key:%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        return Talk(message, "http", preload=preload, preload_replies=1, expected=VALUE)

    def set(self) -> Talk:
        return Talk(self._post("key:%d"), "http", expected=VALUE)

    def get_plain(self) -> Talk:
        message = "GET /kv/key:%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        return replace(self.put_plain(), message=message, expected=VALUE)

    def put_plain(self) -> Talk:
        preload = self._put("key:%i")
        return Talk(self._put("key:%d"), "http", preload=preload, preload_replies=1)

    @classmethod
    def _post(cls, key: str) -> str:
        return "POST /set HTTP/1.1\r\nHost: 127.0.0.1\r\n" + cls._body(_json(key=key, value=VALUE))

    @classmethod
    def _put(cls, key: str) -> str:
        head = f"PUT /kv/{key} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        return head + cls._body(json.dumps(VALUE))

    @staticmethod
    def _body(body: str) -> str:
        head = "Content-Type: application/json\r\nContent-Length: "
        return f"{head}{measured_length(body, 0)}\r\n\r\n{body}"


class Redis(Phrases):
    """RESP. What the others do with one `set`, store and tell, is SET and PUBLISH here."""

    def _command(self, *words: str) -> str:
        parts = [f"${measured_length(word, self._fill)}\r\n{word}\r\n" for word in words]
        return f"*{len(words)}\r\n{''.join(parts)}"

    def _store_and_tell(self, key: str, value: str) -> str:
        return self._command("SET", key, value) + self._command("PUBLISH", key, value)

    def get(self) -> Talk:
        preload = self._command("SET", "key:%i", VALUE)
        message = self._command("GET", "key:%d")
        return Talk(message, "resp", preload=preload, preload_replies=1, expected=VALUE)

    def set(self) -> Talk:
        return Talk(self._command("SET", "key:%d", VALUE), "resp", expected="+OK")

    def mget(self, count: int) -> Talk:
        return replace(self.get(), message=self._command("MGET", *["key:%d"] * count))

    def incr(self) -> Talk:
        return Talk(self._command("INCR", "key:%d"), "resp", expected=":")

    def txn(self, count: int) -> Talk:
        message = self._command("MULTI") + self._command("INCR", "key:%d") * count
        message += self._command("EXEC")
        return Talk(message, "resp", expected=f"*{count}\r\n:", replies=count + 2)

    def set_and_see(self) -> Talk:
        firsts = (self._command("HELLO", "3"), self._command("SUBSCRIBE", "own:%c"))
        message = self._store_and_tell("own:%c", "%z")
        return Talk(message, "resp-pushes", firsts=firsts, greeting=1, expected="own:")

    def fan_out(self) -> Talk:
        return Talk(
            self._store_and_tell("key:%i", "%t%z"),
            "resp",
            subscribe=self._command("SUBSCRIBE", "key:%i"),
        )

    def idle(self) -> Talk:
        # Without a word it would count as open before the server has accepted it.
        return Talk("", "resp", firsts=(self._command("PING"),), greeting=1)


class Nats(Phrases):
    """NATS' protocol in WebSocket frames, its key-value store (`BUCKET`) for what stores."""

    BUCKET = "bench"
    STREAM = f"KV_{BUCKET}"

    _HELLO = 'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n'
    _PING = "PING\r\n"
    _INBOX = "SUB _INBOX.%c 1\r\n"
    _SUBJECT = f"$KV.{BUCKET}.key%s"

    def _publish(self, subject: str, value: str, reply: str = "") -> str:
        length = measured_length(value, self._fill)
        return f"PUB {subject} {reply + ' ' if reply else ''}{length}\r\n{value}\r\n"

    def get(self) -> Talk:
        subject = f"$JS.API.DIRECT.GET.{self.STREAM}.{self._SUBJECT % '%d'}"
        return Talk(
            self._publish(subject, "", "_INBOX.%c"),
            "nats",
            firsts=(self._HELLO, self._INBOX, self._PING),
            greeting=1,
            preload=self._publish(self._SUBJECT % "%i", VALUE, "_INBOX.%c"),
            preload_replies=1,
            expected=VALUE,
        )

    def set(self) -> Talk:
        message = self._publish(self._SUBJECT % "%d", VALUE, "_INBOX.%c")
        return replace(self.get(), message=message, preload="", expected='"seq"')

    def set_and_see(self) -> Talk:
        own = f"$KV.{self.BUCKET}.own%c"
        firsts = (self._HELLO, f"SUB {own} 1\r\n", self._PING)
        message = self._publish(own, "%z")
        return Talk(message, "nats", firsts=firsts, greeting=1, expected=f"$KV.{self.BUCKET}.own")

    def fan_out(self) -> Talk:
        subject = self._SUBJECT % "%i"
        return Talk(
            self._publish(subject, "%t%z"),
            "nats",
            firsts=(self._HELLO, self._PING),
            greeting=1,
            subscribe=f"SUB {subject} %i\r\n{self._PING}",
        )

    def idle(self) -> Talk:
        return Talk("", "nats", firsts=(self._HELLO, self._PING), greeting=1)
