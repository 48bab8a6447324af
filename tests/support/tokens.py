"""Files of tokens, as servers are given them."""

from pathlib import Path

ALL = '[director]\ntoken = "director"\nrights = ["read", "write", "admin"]\n'
"""A token with all rights."""

READER = '[overlay]\ntoken = "overlay"\nrights = ["read"]\n'
"""A token that may read everything."""

OVERLAY = READER + 'keys = ["score"]\n'
"""The same for one key alone."""


def write_tokens(folder: Path, text: str) -> Path:
    """Write a file of tokens that nobody else may read, as a server wants it; return its path."""
    file = folder / "tokens.toml"
    file.touch(mode=0o600)
    file.write_text(text, "utf-8")
    return file
