"""How the program was started, which decides what it does besides serving."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StartMode:
    """What is different when nobody typed a command.

    ``opens_page``: the browser shows the test page, or that of the dunena that runs already.
    ``finds_port``: a port in use is no failure; the next free one is taken.
    ``keeps_window``: the window stays until a key is pressed, so that what it says can be read.
    """

    opens_page: bool = False
    finds_port: bool = False
    keeps_window: bool = False


TYPED = StartMode()
DOUBLE_CLICKED = StartMode(opens_page=True, finds_port=True, keeps_window=True)
