"""Opening a page in the person's browser."""

import webbrowser
from contextlib import suppress

from dunena.desktop.terminal import has_display


def open_page(url: str) -> bool:
    """Show a page; False where there is no browser or nothing to show it on.

    Without the look at the display, a text browser could take the terminal over.
    """
    if not has_display():
        return False
    with suppress(webbrowser.Error, OSError):
        return webbrowser.open(url)
    return False
