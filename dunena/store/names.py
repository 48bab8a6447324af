"""The rules for names of keys and namespaces, whatever interface they come from."""

from fnmatch import translate

from dunena.store.limits import KEY_BYTES_MAX


def has_control_character(name: str) -> bool:
    """Return whether a name has a character of category Cc: U+0000-U+001F or U+007F-U+009F."""
    # A printable name has none; other unprintable characters are permitted.
    return not name.isprintable() and any(char < " " or "\x7f" <= char <= "\x9f" for char in name)


def is_name(name: str) -> bool:
    """Return whether the store accepts a name: by the widest rule, that of the object store."""
    return (
        0 < len(name) <= KEY_BYTES_MAX
        and len(name.encode()) <= KEY_BYTES_MAX
        and not has_control_character(name)
    )


def glob_expression(pattern: str) -> str:
    """Translate a glob into a regular expression for whole names.

    ``*`` is any run of characters, ``?`` is one character; all others stand for themselves. The
    expression of `fnmatch` does not backtrack, so that no pattern can block the server.
    """
    return translate(pattern.replace("[", "[[]"))
