"""Responses that a worker thread makes, made here at once."""

from dunena.server.http.message import Response


def text_of(response: Response) -> str:
    """Do the work of a response; return the text of its body."""
    assert callable(response.later)
    return response.later().response.body.decode()
