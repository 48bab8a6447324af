"""WebSocket: the upgrade, frames in, replies and events out."""
