"""Where a server is, from what a person wrote."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from dunena import DEFAULT_HOST, DEFAULT_PORT

DEFAULT_URL = f"ws://{DEFAULT_HOST}:{DEFAULT_PORT}"

_SECURE = {"ws": False, "http": False, "wss": True, "https": True}
_PORTS = {False: 80, True: 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A server; ``prefix`` is the path at which a proxy shows it, without a slash at the end."""

    host: str
    port: int
    is_secure: bool = False
    prefix: str = ""

    @classmethod
    def parse(cls, url: str) -> "Address":
        """From ``ws://``, ``wss://``, ``http://``, ``https://`` or just ``host:port``.

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
        """Host and port, as they stand in an address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """Where HTTP is, without a slash at the end."""
        return f"http{'s' if self.is_secure else ''}://{self.authority}{self.prefix}"

    @property
    def root(self) -> str:
        """The server without the path, as it is given to `parse`."""
        return f"ws{'s' if self.is_secure else ''}://{self.authority}"

    @property
    def websocket_url(self) -> str:
        """Where both dialects are spoken, whatever the server's default."""
        return f"{self.root}{self.prefix}/ws?protocol=auto"

    def target(self, path: str, query: dict[str, object]) -> str:
        """A path of the server with a query, as a request names it; empty fields are left out."""
        fields = {name: value for name, value in query.items() if value not in ("", None)}
        asked = f"?{urlencode(fields)}" if fields else ""
        return f"{quote(self.prefix, safe='/%')}{path}{asked}"


def path_of(room: str, key: str) -> str:
    """The path of one key, ``/entries/{key}`` for example."""
    return f"/{room}/{quote(key, safe='')}"
