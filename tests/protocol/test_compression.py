"""`--compression`: negotiated with clients that support it, and absent for the others."""

import json
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from tests.protocol.clients import (
    TEXT,
    UPGRADE,
    RawConnection,
    frame,
    http,
    open_objects,
)
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

VALUE = {"names": ["player"] * 500, "text": "ünïcödé " * 200}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("compressed")
    with ServerProcess(folder, "--compression") as started:
        yield started


def agreed(raw: RawConnection, offer: str) -> str:
    """What the server answers to an offer of extensions."""
    raw.request("GET", "/", headers=UPGRADE | {"Sec-WebSocket-Extensions": offer})
    reply = raw.read_reply()
    assert reply.status == 101
    return reply.headers.get("sec-websocket-extensions", "")


def exchange(client: Any) -> None:
    """Set, update and get of a large value and a small one."""
    for key, value in (("large", VALUE), ("small", 1)):
        client.send({"action": "subscribe", "key": key})
        client.send({"action": "set", "key": key, "value": value})
        client.send({"action": "get", "key": key})
        seen = [client.receive(), client.receive()]
        while seen[-2:] != [{"key": key, "value": value}] * 2:
            seen.append(client.receive())  # the value of another test came first


@pytest.mark.parametrize("bits", [None, 9, 12, 15])
def test_the_websockets_library_exchanges_messages_with_any_window_bits(
    server: ServerProcess, bits: int | None
):
    offer = ClientPerMessageDeflateFactory(server_max_window_bits=bits)
    with open_objects(server, compression=None, extensions=[offer]) as client:
        exchange(client)


def test_a_client_without_compression_gets_uncompressed_messages(server: ServerProcess):
    with open_objects(server, compression=None) as client:
        exchange(client)


def test_the_ws_library_of_node_exchanges_compressed_messages(
    server: ServerProcess, node: Path, node_modules: Path
):
    script = """
    const WebSocket = require('ws');
    const ws = new WebSocket(process.argv[2], { perMessageDeflate: { threshold: 0 } });
    const value = 'abc'.repeat(5000);
    ws.on('open', () => {
      ws.send(JSON.stringify({ action: 'set', key: 'node', value }));
      ws.send(JSON.stringify({ action: 'get', key: 'node' }));
    });
    ws.on('message', (data) => {
      const sent = JSON.parse(data).value === value;
      console.log(ws.extensions, sent, ws._socket.bytesRead < 1000);
      ws.close();
    });
    """
    done = subprocess.run(
        [node, "-e", script, "x", server.ws_url.removesuffix("ws")],
        capture_output=True,
        timeout=30,
        check=True,
        env={"NODE_PATH": str(node_modules), "PATH": str(node.parent)},
    )
    assert done.stdout.split() == [b"permessage-deflate", b"true", b"true"]


def test_no_context_takeover_is_negotiated_for_both_sides(server: ServerProcess):
    with RawConnection(server) as raw:
        answer = agreed(raw, "permessage-deflate; client_max_window_bits")
        names = {part.split("=")[0].strip() for part in answer.split(";")}
        assert {"server_no_context_takeover", "client_no_context_takeover"} <= names


def test_compression_is_not_negotiated_without_the_flag(shared_server: ServerProcess):
    with RawConnection(shared_server) as raw:
        assert agreed(raw, "permessage-deflate; client_max_window_bits") == ""


def test_a_compressed_message_is_smaller_on_the_wire(server: ServerProcess):
    http(server, "POST", "/set", {"key": "wire", "value": VALUE})
    with RawConnection(server) as raw:
        assert agreed(raw, "permessage-deflate")
        for _ in range(2):
            raw.send(frame(TEXT, '{"action":"get","key":"wire"}'))
            first, size = raw.take(2)
            assert (first, size) == (0xC1, 126), "compressed, and below 64 KiB"
            data = raw.take(int.from_bytes(raw.take(2)))
            assert len(data) < len(json.dumps(VALUE)) / 10
            plain = zlib.decompressobj(wbits=-15).decompress(data + b"\x00\x00\xff\xff")
            assert json.loads(plain) == {"key": "wire", "value": VALUE}


def test_a_compression_bomb_closes_with_1009(start_server: StartServer):
    server = start_server("--compression", "--max-value", "100000", "--no-persist")
    machine = zlib.compressobj(wbits=-15)
    bomb = machine.compress(b" " * 100_000_000) + machine.flush(zlib.Z_SYNC_FLUSH)
    with RawConnection(server) as raw:
        assert agreed(raw, "permessage-deflate")
        raw.send(frame(TEXT, bomb.removesuffix(b"\x00\x00\xff\xff"), reserved=4))
        assert raw.read_close().close_code == 1009


def test_a_reserved_bit_not_negotiated_closes_with_1002(server: ServerProcess):
    for reserved in (1, 2):
        with RawConnection(server) as raw:
            assert agreed(raw, "permessage-deflate")
            raw.send(frame(TEXT, "{}", reserved=reserved))
            assert raw.read_close().close_code == 1002
