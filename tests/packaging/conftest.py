"""What the tests of the release have in common."""

import pytest

from tests.packaging import made_up
from tests.packaging.made_up import load


@pytest.fixture
def dist(tmp_path):
    return made_up.dist(tmp_path / "dist")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command; its exit code, its output and its errors."""

    def run(*arguments):
        code = load("releasekit.commands").main([str(word) for word in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    # Words of the machine that runs the tests would change what is tested.
    for name in ("GITHUB_REPOSITORY", "GITHUB_ENV"):
        monkeypatch.delenv(name, raising=False)
    return run


@pytest.fixture
def version():
    return load("releasekit.commands")._version()
