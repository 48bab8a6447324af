"""What a person sees when the server has started."""

from pathlib import Path

from dunena import __version__
from dunena.settings import Settings

ANY_HOSTS = frozenset({"0.0.0.0", "::", ""})


def banner(settings: Settings, port: int, entries: int, notes: list[str]) -> str:
    """URLs, folder, how to stop; ``notes`` are what differs from what was expected."""
    web, socket = ("https", "wss") if settings.is_encrypted else ("http", "ws")
    place = f"{_shown_host(settings.host)}:{port}"
    lines = [
        f"dunena {__version__}",
        "",
        f"  Test page   {web}://{place}/test",
        f"  WebSocket   {socket}://{place}/ws",
        f"  HTTP        {web}://{place}/get/<key>",
        f"  Data        {_shown_data(settings.cache_dir, entries)}",
        *[f"  Note        {note}" for note in notes],
        "",
        "  Press Ctrl+C to stop.",
        "",
    ]
    return "\n".join(lines)


def _shown_host(host: str) -> str:
    """A host as it stands in a URL that works on this machine."""
    if host in ANY_HOSTS or host == "127.0.0.1":
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _shown_data(folder: Path | None, entries: int) -> str:
    if folder is None:
        return "in memory only"
    return f"{folder} ({entries} {'key' if entries == 1 else 'keys'})"
