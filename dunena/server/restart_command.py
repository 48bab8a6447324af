"""The command that starts a server anew so that other machines reach it; no I/O."""

import re
import shlex
from pathlib import Path

from dunena.readable_text import readable_text
from dunena.settings import Settings

_PLAIN = re.compile(r"[A-Za-z0-9_.:/\\-]+").fullmatch  # means itself in PowerShell and in cmd


def restart_commands(program: str, settings: Settings, port: int, token: str) -> dict[str, str]:
    """Return the command for ``bash`` and for ``windows`` (PowerShell), with the same values.

    ``program`` is the executable, or its name where the system finds it. For a shared store these
    are options alone: those about the store must be kept.
    """
    options = ["--host", "0.0.0.0", "--port", str(port)]
    words = options if settings.store is not None else [program, "serve", *options]
    for option, folder in (("--cache-dir", settings.cache_dir), ("--www", settings.www)):
        if folder is not None:
            words += [option, readable_text(Path(folder).absolute())]
    if not settings.has_token:
        words += ["--token", token]
    call = "" if _PLAIN(words[0]) else "& "
    return {"bash": shlex.join(words), "windows": call + " ".join(map(_for_windows, words))}


def _for_windows(word: str) -> str:
    # In single quotes PowerShell gives nothing but the quote itself a meaning.
    return word if _PLAIN(word) else "'" + word.replace("'", "''") + "'"
