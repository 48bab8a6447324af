"""Who has the port that we wanted."""

import http.client

from dunena import NAME

_ANSWER_SECONDS_MAX = 1.0


def is_dunena(host: str, port: int) -> bool:
    """Whether a dunena answers there; its Server header says so even where a token is needed."""
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS_MAX)
    try:
        connection.request("GET", "/health/live", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().getheader("Server") == NAME
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
