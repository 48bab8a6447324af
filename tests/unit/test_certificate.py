"""Certificate files: links are followed, and irregular files refused without blocking."""

import os
import sys
from pathlib import Path

import pytest

from dunena.desktop.local_certificate import make
from dunena.server.certificate import Certificate

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such things")


def test_a_certificate_is_read_through_symbolic_links(tmp_path: Path) -> None:
    made = tmp_path / "made"
    make(made, [])
    for name in ("server.pem", "server-key.pem"):  # as secrets are mounted into containers
        (tmp_path / name).symlink_to(made / name)
    Certificate(tmp_path / "server.pem", tmp_path / "server-key.pem").reload_if_changed()


@pytest.mark.parametrize("which", ["server.pem", "server-key.pem"])
@pytest.mark.parametrize("kind", ["a pipe", "a device", "more than"])
def test_a_certificate_path_that_is_no_regular_small_file_is_refused(
    tmp_path: Path, kind: str, which: str
) -> None:
    make(tmp_path, [])
    path = tmp_path / which
    path.unlink()
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(2 << 30)
    with pytest.raises(OSError, match=kind):
        Certificate(tmp_path / "server.pem", tmp_path / "server-key.pem")
