"""The folder: one readable JSON file per key."""
