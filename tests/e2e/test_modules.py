"""Which modules a server imports: what it does not use costs its start nothing."""

import re
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT
from tests.protocol.clients import http, open_dunena
from tests.support.server import ServerProcess

SHARED = re.compile(r"nats|dunena\.(server\.shared|persistence\.(log|jetstream))(\.|$)")
"""What only a store that servers share needs."""

_IMPORTED = re.compile(r"^import time:.*\| +([\w.]+)$", re.MULTILINE)


@pytest.mark.parametrize("options", [(), ("--no-persist",)])
def test_a_server_of_its_own_imports_nothing_of_shared_stores(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    command = (sys.executable, "-X", "importtime", "-m", "dunena")
    environment = {"PYTHONPATH": str(ROOT)}
    folder = None if options else tmp_path
    with ServerProcess(folder, *options, environment=environment, command=command) as server:
        assert http(server, "GET", "/health").status == 200
        with open_dunena(server) as client:
            assert client.ask({"type": "incr", "key": "a"})["data"]["value"] == 1
            assert client.ask({"type": "session", "timeout": 10000, "grace": 0})["type"] == "result"
    imported = _IMPORTED.findall(server.log)
    assert "dunena.server.tick" in imported
    assert not [name for name in imported if SHARED.match(name)]
