"""Names of files as text that can be encoded.

Python decodes a name's bytes that are not UTF-8 as lone surrogates (PEP 383), which neither JSON
nor UTF-8 can have. Windows permits lone surrogates in names.
"""

import re

_SURROGATE = re.compile("[\\ud800-\\udfff]")


def readable_text(name: object) -> str:
    """Return a name or path with the replacement character for each surrogate in it."""
    return _SURROGATE.sub("\ufffd", str(name))
