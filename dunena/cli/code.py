"""QR codes in the terminal, for the camera of a phone."""

from dunena.desktop.terminal import say, say_black_on_white


def show_code(text: str) -> bool:
    """Print a text as a QR code; return False if the terminal cannot show it.

    Only a terminal can: `dunena.desktop.terminal.shows_codes` says whether it is one.
    """
    from dunena.qr_code import TextTooLongError, qr_lines  # few starts need it

    try:
        lines = qr_lines(text)
    except TextTooLongError:
        return False
    is_shown = say_black_on_white(lines)
    if is_shown:
        say("")
    return is_shown
