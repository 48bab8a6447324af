"""Opening a page in the user's browser."""

import webbrowser
from contextlib import suppress

from dunena.desktop.terminal import has_display


def open_page(url: str) -> bool:
    """Open a page in the browser; return False if there is no display or no browser.

    Without the check for a display, `webbrowser` could start a text browser in the terminal.
    """
    if not has_display():
        return False
    with suppress(webbrowser.Error, OSError):
        return webbrowser.open(url)
    return False
