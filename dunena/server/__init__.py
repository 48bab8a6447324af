"""The only place that knows asyncio, sockets, TLS and signals."""
