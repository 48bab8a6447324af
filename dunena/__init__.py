"""dunena: a realtime JSON store, followed key by key over WebSocket and HTTP."""

__version__ = "0.1.0"
