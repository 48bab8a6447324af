"""Where changes are kept: one small interface, several engines."""
