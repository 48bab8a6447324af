"""A list of releases as GitHub has it, on this machine, and proxies before it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ReleaseFeed:
    """Answers each request with ``status``, ``headers`` and ``body``; ``requests`` has them all."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.newest("1.1.0")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/releases/latest"

    def newest(self, version: str, **fields: Any) -> None:
        self.body = json.dumps({"tag_name": f"v{version}", **fields}).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        feed = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                feed.requests.append((self.command, self.path, headers))
                self.send_response(feed.status)
                for name, value in feed.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(feed.body)))
                self.end_headers()
                self.wfile.write(feed.body)

            do_CONNECT = do_GET  # noqa: N815 - the name that the library looks for

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def release_feed() -> Iterator[ReleaseFeed]:
    feed = ReleaseFeed()
    try:
        yield feed
    finally:
        feed.close()
