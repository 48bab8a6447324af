"""What a server is built with."""

import asyncio
from pathlib import Path

from dunena.server.app import Server
from dunena.settings import Settings


def test_a_server_loads_values_at_its_time_and_keeps_as_many_as_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "k.json").write_text("1")

    async def start_and_stop() -> Server:
        settings = Settings(
            host="127.0.0.1", port=0, cache_dir=tmp_path, history_values_max=2, compression=False
        )
        server = Server(settings)
        before = server.clock()
        await server.start()
        assert [before <= e.written_at <= server.clock() for e in server.store.entries()] == [True]
        await server.stop()
        return server

    assert asyncio.run(start_and_stop()).store.history.count_max == 2
