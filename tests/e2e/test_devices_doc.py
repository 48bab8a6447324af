"""The page "Devices and apps": its examples do what it says, and get what the page shows.

Programs that can be had here run the examples as they are written. For the others the requests of
the page are sent as their documentation or sources say that they send them.
"""

from pathlib import Path

from tests.support.documents import try_curl_examples, try_examples
from tests.support.server import ServerProcess

PAGE = "docs/devices.md"


def test_the_examples_for_curl_and_wget_print_what_is_written(
    server: ServerProcess, curl: Path, wget: Path
) -> None:
    # The tables that curl reads further down have the value that wget stores.
    assert try_examples(PAGE, server, wget, "-T", "10") == 2
    assert try_curl_examples(PAGE, server, curl) == 6
