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
    """The server refused a request; the text is the server's, as in docs/dunena.md.

    ``code`` names the reason for programs, "" for requests whose answers have none. ``op`` is the
    index of the operation of a transaction that cannot be done.
    """

    def __init__(self, text: str, code: str = "", op: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.op = op


def is_passing(error: Error | None) -> bool:
    """Return whether a server of a cluster refused a request as its store is away for now."""
    return isinstance(error, RequestError) and error.code in ("unavailable", "unknown")


class ConflictError(RequestError):
    """The key is not at the revision that the request named with ``if_rev``.

    ``key`` is the key and ``rev`` its present revision, 0 if it does not exist.
    """

    def __init__(self, text: str, key: str, rev: int, op: int | None = None) -> None:
        super().__init__(text, "conflict", op)
        self.key = key
        self.rev = rev


class NoAnswerError(Error, TimeoutError):
    """No answer came in time, or the server was restarted before it came.

    A write may or may not have been carried out.
    """


class ClosedError(Error):
    """The store was closed or is not open yet, or the transaction has ended."""


class TooSlowError(Error):
    """Too many events wait, because the feed is read more slowly than they arrive."""
