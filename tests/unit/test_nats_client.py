"""What the library's client does at the end of a connection."""

import asyncio

from dunena.persistence.jetstream.nats_client import NatsClient


class ClosedTransport:
    """As uvloop has it after a reset: only the second one to write is told by an error."""

    def writelines(self, _payload: list[bytes]) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")

    async def drain(self) -> None:
        """There is nothing."""

    def close(self) -> None:
        """It is."""

    async def wait_closed(self) -> None:
        """It is."""


def test_a_connection_that_was_reset_ends_with_unsent_bytes_too() -> None:
    async def lose() -> list[str]:
        told: list[str] = []

        async def closed() -> None:
            told.append("closed")

        client = NatsClient()
        client._status = NatsClient.CONNECTED
        client._current_server = object()
        client._transport = ClosedTransport()
        client._flush_queue = asyncio.Queue()
        client._closed_cb = closed
        client.options["allow_reconnect"] = False
        client._pending, client._pending_data_size = [b"PUB a 0\r\n\r\n"], 11
        await client._process_op_err(ConnectionResetError(104, "Connection reset by peer"))
        return told

    assert asyncio.run(lose()) == ["closed"]
