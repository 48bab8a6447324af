"""The value of the Date header, made once a second."""

from time import time


class HttpDate:
    """Makes the value; ``second`` is the one, Unix time, that it was last made for."""

    __slots__ = ("_text", "second")

    def __init__(self) -> None:
        self.second = -1
        self._text = ""

    def look(self) -> int:
        """Return the present second."""
        second = int(time())
        if second != self.second:
            # Imported when needed, so that the server starts faster.
            from email.utils import formatdate

            self._text = formatdate(second, usegmt=True)
            self.second = second
        return second

    def text(self) -> str:
        """Return the value for the present second."""
        self.look()
        return self._text
