"""The server: event loop, sockets, TLS and signals. The packages it imports know none of these."""
