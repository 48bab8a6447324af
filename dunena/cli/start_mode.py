"""How the program was started, which determines what it does besides serving."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StartMode:
    """What a server's start does in addition if nobody typed a command.

    ``opens_page``: open the test page in the browser, or that of the dunena that runs already.
    ``finds_port``: take the next free port if the wanted one is in use.
    ``keeps_window``: keep the window open until a key is pressed, so that its text can be read.
    """

    opens_page: bool = False
    finds_port: bool = False
    keeps_window: bool = False


TYPED = StartMode()
DOUBLE_CLICKED = StartMode(opens_page=True, finds_port=True, keeps_window=True)
