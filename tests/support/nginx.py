"""The real nginx, with the configuration of the recipe as it stands there."""

import os
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.documents import blocks

RECIPE = "docs/recipes/proxy.md"
SECONDS_MAX = 10

# What a package puts around the recipe, with every file below the folder of the test.
_SURROUNDINGS = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{http}
    server {{
        listen 127.0.0.1:{port};
{server}
    }}
}}
"""


class NginxProxy:
    """nginx on a free port, passing what is below /store/ on to the server at ``port``.

    It works in ``folder``. At the end of a `with` it is stopped. ``parts`` are those of another
    configuration than that of the recipe: what stands in the block `http`, and in `server`.
    """

    def __init__(
        self, program: Path, port: int, folder: Path, parts: tuple[str, str] | None = None
    ) -> None:
        # It takes the socket over, as from an nginx that it replaces: the port is the system's
        # choice, and who connects before nginx is up waits in the queue.
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/store"
        self._program = program
        self._folder = folder
        folder.mkdir(exist_ok=True)
        http, server = parts or _recipe(port)
        text = _SURROUNDINGS.format(http=http, server=server, port=self.port)
        (folder / "nginx.conf").write_text(text, "utf-8")

    def __enter__(self) -> Self:
        descriptor = self._listener.fileno()
        self._process = subprocess.Popen(
            [self._program, "-p", self._folder, "-c", "nginx.conf", "-e", "stderr"],
            env={**os.environ, "NGINX": f"{descriptor};"},
            pass_fds=[descriptor],
        )
        self._listener.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        assert self._process.wait(SECONDS_MAX) == 0


def _recipe(port: int) -> tuple[str, str]:
    http, server = blocks(RECIPE, "nginx")
    written = "127.0.0.1:3000/"
    assert server.count(written) == 1
    return http, server.replace(written, f"127.0.0.1:{port}/")
