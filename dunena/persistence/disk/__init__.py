"""The disk engine: a folder with one readable JSON file per key, and a journal."""
