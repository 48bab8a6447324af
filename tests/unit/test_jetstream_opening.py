"""What is missing for a shared store is said at the start, in one line."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dunena.persistence.interface import OpenError
from dunena.persistence.jetstream.opening import LoopScheduler, open_log
from dunena.persistence.policy import StoreSettings

SERVERS = ("nats://localhost:1",)


WITHOUT = """\
import sys
class Away:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == away:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Away())
"""


def said_without(package: str, script: str) -> str:
    """What a script prints where a package is missing."""
    command = [sys.executable, "-c", f"away = {package!r}\n{WITHOUT}\n{script}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def opened(store: StoreSettings) -> str:
    """The id of a node that would have such a store."""

    async def open_it() -> str:
        return open_log(store).node

    return asyncio.run(open_it())


def test_each_start_of_a_node_has_an_id_of_its_own():
    assert opened(StoreSettings(SERVERS)) != opened(StoreSettings(SERVERS))


def test_a_missing_library_is_named_with_what_to_do():
    script = """\
import asyncio
from dunena.persistence.interface import OpenError
from dunena.persistence.jetstream.opening import open_log
from dunena.persistence.policy import StoreSettings
async def main():
    try:
        open_log(StoreSettings(("nats://localhost:1",)))
    except OpenError as error:
        print(error.reason)
asyncio.run(main())
"""
    assert (
        said_without("nats", script)
        == '--store needs the package nats-py: pip install "dunena[nats]"\n'
    )


def test_a_missing_library_for_nkeys_is_named_likewise():
    script = """\
from dunena.persistence.jetstream.credentials import CredentialsError, UserKey
try:
    UserKey("S")
except CredentialsError as error:
    print(error)
"""
    assert (
        said_without("cryptography", script)
        == 'a login with an nkey needs the package cryptography: pip install "dunena[nats]"\n'
    )


@pytest.mark.parametrize("way", ["password_file", "token_file", "nkey_file", "creds_file"])
def test_a_login_file_that_cannot_be_read_is_named(tmp_path: Path, way: str):
    missing = tmp_path / "none"
    user = "dunena" if way == "password_file" else None
    with pytest.raises(OpenError, match="none cannot be read: No such file"):
        opened(StoreSettings(SERVERS, user=user, **{way: missing}))


def test_certificates_that_cannot_be_used_are_named(tmp_path: Path):
    file = tmp_path / "ca.pem"
    file.write_text("nothing", "ascii")
    with pytest.raises(OpenError, match=r"no certificates in .*ca\.pem"):
        opened(StoreSettings(SERVERS, ca_file=file))


def test_the_time_goes_on_while_that_of_the_loop_stands_still():
    class Loop(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return 0.0

    async def use_it() -> None:
        scheduler = LoopScheduler()
        before = scheduler.now_s()
        until = time.monotonic() + 0.002
        while time.monotonic() < until:
            pass
        assert scheduler.now_s() - before >= 0.002

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(use_it())


def test_the_scheduler_calls_what_was_not_cancelled():
    async def use_it() -> None:
        scheduler = LoopScheduler()
        called = asyncio.Event()
        cancelled: list[int] = []
        scheduler.call_later(0, lambda: cancelled.append(1)).cancel()
        scheduler.call_later(0, called.set)
        await called.wait()
        assert not cancelled

    asyncio.run(use_it())
