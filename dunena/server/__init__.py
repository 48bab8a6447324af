"""The server's event loop, sockets, TLS and signals, of which nothing that it imports knows."""
