"""What a key or namespace may be called, whichever door it comes through."""

from dunena.store.limits import KEY_BYTES_MAX


def has_control_character(name: str) -> bool:
    """Whether a name holds one of Unicode's category Cc: U+0000-U+001F and U+007F-U+009F."""
    # What prints has none; what does not may be another kind of character.
    return not name.isprintable() and any(char < " " or "\x7f" <= char <= "\x9f" for char in name)


def is_name(name: str) -> bool:
    """Whether the store takes a name at all: the widest rule, the object-store dialect's."""
    return (
        0 < len(name) <= KEY_BYTES_MAX
        and len(name.encode()) <= KEY_BYTES_MAX
        and not has_control_character(name)
    )
