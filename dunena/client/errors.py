"""The exceptions of the client, all of them subclasses of `Error`."""


class Error(Exception):
    """The base of all exceptions that a store raises for server and connection."""


class ConnectError(Error):
    """No server answers at the address, or one that does not speak dunena."""


class WrongAddressError(ConnectError):
    """Something that is no dunena answers at the address."""


class RefusedError(Error):
    """The server does not let this client in.

    The text is the server's; ``status`` is the HTTP status of its answer.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class RequestError(Error):
    """The server refused a request; the text is the server's, as in docs/dunena.md."""


class NoAnswerError(Error, TimeoutError):
    """No answer came in time. A write may or may not have been stored."""


class ClosedError(Error):
    """The store was closed or is not open yet."""


class TooSlowError(Error):
    """Too many events wait, because the feed is read more slowly than they arrive."""
