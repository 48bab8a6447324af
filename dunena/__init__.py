"""dunena: a realtime JSON store, followed key by key over WebSocket and HTTP."""

__version__ = "0.1.0"

NAME = "dunena"
"""What the program calls itself: `/info`, the Server header, folders of the system."""
