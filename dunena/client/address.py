"""The address of a server, parsed from what a person typed."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from dunena import DEFAULT_HOST, DEFAULT_PORT

DEFAULT_URL = f"ws://{DEFAULT_HOST}:{DEFAULT_PORT}"

_SECURE = {"ws": False, "http": False, "wss": True, "https": True}
_PORTS = {False: 80, True: 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Address of a server; ``prefix`` is its path behind a proxy, without a slash at the end."""

    host: str
    port: int
    is_secure: bool = False
    prefix: str = ""

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Parse a URL with ``ws``, ``wss``, ``http`` or ``https``, or just ``host:port``.

        Raise `ValueError` for anything else.
        """
        parts = urlsplit(url if "://" in url else f"ws://{url}")
        if parts.scheme not in _SECURE or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"not the address of a server: {url}; one is {DEFAULT_URL}")
        if parts.username or parts.password:
            raise ValueError("a token is no part of the address; give it as the token")
        is_secure = _SECURE[parts.scheme]
        port = _PORTS[is_secure] if parts.port is None else parts.port
        prefix = parts.path.rstrip("/").removesuffix("/ws").rstrip("/")
        return cls(parts.hostname, port, is_secure, prefix)

    @property
    def authority(self) -> str:
        """Host and port as in a URL (RFC 3986, 3.2): an IPv6 address is in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL for HTTP, without a slash at the end."""
        return f"http{'s' if self.is_secure else ''}://{self.authority}{self.prefix}"

    @property
    def root(self) -> str:
        """The WebSocket URL without the prefix, as `parse` accepts it."""
        return f"ws{'s' if self.is_secure else ''}://{self.authority}"

    @property
    def websocket_url(self) -> str:
        """The WebSocket URL on which the server speaks both dialects, whatever its default is."""
        return f"{self.root}{self.prefix}/ws?protocol=auto"

    def target(self, path: str, query: dict[str, object]) -> str:
        """Make the target of a request: prefix, ``path`` and query; leave out empty fields."""
        fields = {name: value for name, value in query.items() if value not in ("", None)}
        asked = f"?{urlencode(fields, doseq=True)}" if fields else ""
        return f"{quote(self.prefix, safe='/%')}{path}{asked}"


def path_of(room: str, key: str) -> str:
    """Make the path of one key, ``/entries/{key}`` for example, with the key percent-encoded."""
    return f"/{room}/{quote(key, safe='')}"
