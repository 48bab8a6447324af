"""Whether the server in this container answers: exit code 0 or 1, as HEALTHCHECK wants it.

In Python because the image has no curl, and needs none for anything else. It asks the address that
says no more than that, and so wants no token. With the argument `ready` it asks whether changes can
be stored, which a node of a cluster cannot before it has loaded everything.
"""

import os
import ssl
import sys
import urllib.request


def main() -> int:
    """Ask, and say what went wrong where `docker inspect` shows it."""
    encrypted = bool(os.environ.get("DUNENA_TLS_CERT"))
    scheme, port = "https" if encrypted else "http", os.environ.get("DUNENA_PORT", "3000")
    # The certificate names the host that clients use, which is not this one.
    context = ssl._create_unverified_context() if encrypted else None
    address = (
        f"{scheme}://127.0.0.1:{port}/health/{'ready' if sys.argv[1:] == ['ready'] else 'live'}"
    )
    try:
        # A proxy of the environment must not be asked for the machine's own server.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(address, timeout=4) as answer:
            return 0 if answer.status == 200 else 1
    except OSError as error:
        sys.stderr.write(f"{address}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
