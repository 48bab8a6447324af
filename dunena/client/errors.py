"""What can go wrong for a client: one family."""


class Error(Exception):
    """Everything that a store of this client raises by itself."""


class ConnectError(Error):
    """There is no server at the address, or none that speaks dunena."""


class WrongAddressError(ConnectError):
    """Something answers at the address, and there it is no dunena."""


class RefusedError(Error):
    """The server does not let this client in; the text is the server's. ``status``: of HTTP."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class RequestError(Error):
    """The server refused a request; the text is the server's, as in docs/dunena.md."""


class NoAnswerError(Error, TimeoutError):
    """No answer in time. A write may or may not have been stored."""


class ClosedError(Error):
    """The store was closed, or is not open yet."""


class TooSlowError(Error):
    """Events came faster than they were taken, for too long."""
