"""A fault in an answer, in a whole server: compiled classes take no stand-ins."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from dunena.backup import writing
from dunena.dialects.store_search import StoreSearch
from dunena.server.app import Server
from dunena.settings import Settings

SECONDS_MAX = 20


@pytest.mark.parametrize("fault", [RuntimeError(), SystemExit()], ids=["bug", "module gone"])
@pytest.mark.parametrize("when", ["at once", "in a later portion", "in a worker thread"])
def test_a_fault_costs_one_client_its_answer_and_nobody_else(
    when: str,
    fault: BaseException,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> Iterator[None]:
        raise fault

    def fail_later(_search: StoreSearch) -> Iterator[None]:
        yield
        raise fault

    monkeypatch.setattr(StoreSearch, "work", fail_later if when == "in a later portion" else fail)
    monkeypatch.setattr(writing, "write_backup", fail)
    path = "/backup" if when == "in a worker thread" else "/search?q=a"

    async def ask(port: int, target: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        answer = await reader.read()
        writer.close()
        return answer

    async def run() -> list[bytes]:
        server = Server(Settings(host="127.0.0.1", port=0, cache_dir=tmp_path))
        await server.start()
        try:
            async with asyncio.timeout(SECONDS_MAX):
                return [await ask(server.port, target) for target in (path, "/health")]
        finally:
            await server.stop()

    failed, healthy = asyncio.run(run())
    assert failed.startswith(b"HTTP/1.1 500 ")
    assert b'{"error":"Internal error",' in failed
    assert healthy.startswith(b"HTTP/1.1 200 ")
    assert "could not be answered" in caplog.text
