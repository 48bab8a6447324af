"""Recognizing a dunena at a port that is in use."""

import http.client

from dunena import NAME

_ANSWER_SECONDS_MAX = 1.0

_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # what a program connects to instead


def is_dunena(host: str, port: int) -> bool:
    """Return whether a dunena answers at a port, by its Server header: that needs no token.

    ``host`` is an address to bind to, so it may be that of all interfaces.
    """
    connection = http.client.HTTPConnection(
        _REACHED_AT.get(host, host), port, timeout=_ANSWER_SECONDS_MAX
    )
    try:
        connection.request("GET", "/health/live", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().getheader("Server") == NAME
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
