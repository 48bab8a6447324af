"""WebSocket: the handshake, the connection and its frames."""
