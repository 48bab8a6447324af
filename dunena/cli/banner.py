"""The text that `dunena serve` prints when the server has started."""

from collections.abc import Sequence
from pathlib import Path

from dunena import __version__
from dunena.settings import Settings


def banner(
    settings: Settings,
    url: str,
    addresses: tuple[str, ...],
    entries: int | None,
    notes: list[str],
    get_secret: str | None = None,
    phones: Sequence[str] = (),
    *,
    takes_changes: bool = True,
) -> str:
    """Make the text: URLs, addresses, folder, number of entries, notes and how to stop.

    ``entries`` is None while a shared store has not been loaded.
    ``get_secret`` is the secret of GET writes that the server has made, which is shown nowhere
    else; None for none. ``phones`` are addresses for other machines. ``notes`` are lines about what
    differs from the settings, another port for example. Without ``takes_changes`` nothing is said
    of a first key.
    """
    lines = [
        f"dunena {__version__}",
        "",
        f"  Test page   {url}/test",
        f"  WebSocket   {url.replace('http', 'ws', 1)}/ws",
        f"  HTTP        {url}/kv/<key>",
        *_get_writes(settings, url, get_secret),
        *([f"  Your pages  {url}/www/"] if settings.www else []),
        *([f"  Phones      {', '.join(phones)}"] if phones else []),
        f"  Listens on  {', '.join(addresses)}",
        f"  Data        {_shown_data(settings, entries)}",
        *(_first_key(settings.cache_dir, entries) if takes_changes else []),
        *[f"  Note        {note}" for note in notes],
        "",
        "  Press Ctrl+C to stop.",
        "",
    ]
    return "\n".join(lines)


def _first_key(folder: Path | None, entries: int | None) -> list[str]:
    """Return the line on how to begin, if there is no key yet; ``folder`` is that of the values."""
    if entries != 0:
        return []
    file = "" if folder is None else f"; the key score is the file {folder / 'score.json'}"
    return [f'  First key   press "New key" on the test page{file}']


def _get_writes(settings: Settings, url: str, get_secret: str | None) -> list[str]:
    """Return the line on GET writes, if they are on; a secret that was given is not repeated."""
    if settings.get_writes is None:
        return []
    secret = "<secret>" if get_secret is None else get_secret
    return [f"  GET writes  {url}/do/{secret}/set/<key>?value=1"]


def _shown_data(settings: Settings, entries: int | None) -> str:
    store, folder = settings.store, settings.cache_dir
    if store is None and folder is None:
        return "in memory only"
    where = folder if store is None else f"bucket {store.bucket} at {', '.join(store.servers)}"
    if entries is None:
        return f"{where} (not loaded yet)"
    return f"{where} ({entries} {'key' if entries == 1 else 'keys'})"
