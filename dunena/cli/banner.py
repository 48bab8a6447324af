"""What a person sees when the server has started."""

from pathlib import Path

from dunena import __version__
from dunena.settings import Settings


def banner(
    settings: Settings, url: str, addresses: tuple[str, ...], entries: int, notes: list[str]
) -> str:
    """URLs, addresses, folder, how to stop; ``notes`` are what differs from what was expected."""
    lines = [
        f"dunena {__version__}",
        "",
        f"  Test page   {url}/test",
        f"  WebSocket   {url.replace('http', 'ws', 1)}/ws",
        f"  HTTP        {url}/get/<key>",
        *([f"  Your pages  {url}/www/"] if settings.www is not None else []),
        f"  Listens on  {', '.join(addresses)}",
        f"  Data        {_shown_data(settings.cache_dir, entries)}",
        *[f"  Note        {note}" for note in notes],
        "",
        "  Press Ctrl+C to stop.",
        "",
    ]
    return "\n".join(lines)


def _shown_data(folder: Path | None, entries: int) -> str:
    if folder is None:
        return "in memory only"
    return f"{folder} ({entries} {'key' if entries == 1 else 'keys'})"
