"""What any test may ask for: the programs that dunena's users reach it with.

build/dev.py finds or installs them and says where they are in environment variables. A test that
asks for one which is not there is skipped with the reason, but fails under CI, where a skipped test
is one that nobody misses.
"""

import gc
import os
import shutil
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.support.missing import IS_CI, report_missing
from tests.support.shared_mode import is_shared

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# No deadline in either: it measures the machine, and a busy one is no bug.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.register_profile("dev", deadline=None, print_blob=True)

# No test asks another machine for releases: those that want any have a feed of their own.
os.environ["DUNENA_RELEASES_URL"] = "http://127.0.0.1:1/"

pytest_plugins = ["tests.support.fixtures"]
if is_shared():
    pytest_plugins.append("tests.support.shared_plugin")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell starts a job in the background: Ctrl+C would end none of the programs of the tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # Under nohup the servers of the tests would ignore it too: what is handled is not inherited.
    signal.signal(signal.SIGHUP, lambda *_: None)

hypothesis.settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if IS_CI else "dev"),
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while tests are: all of it stays, and is not looked at again later.

    It would be a fourth of the time that each process needs before its first test.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


_LONGEST_FIRST = {
    # The last of these would be one of the last of all.
    Path(__file__).parent / name
    for name in ("cluster", "simulation", "crash", "conformance", "unit/test_winekit.py")
}
"""Files that take long, or folders of such; the others follow as they are called."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, and so those of tests/unit last.

    Processes take them in this order. A long one at the end would be waited for by all the others.
    """
    items.sort(key=lambda item: _LONGEST_FIRST.isdisjoint((item.path, *item.path.parents)))


OTHER_HOST = "show-pc"
"""This machine, by a name that browsers do not trust as they trust `localhost`."""

BROWSER_ARGUMENTS = [
    # Containers and CI machines run as root, where the sandbox cannot start, without a GPU.
    "--no-sandbox",
    "--disable-gpu",
    # QUIC would race the port under test with UDP packets to it.
    "--disable-quic",
    # Nothing but the test may use the network, or a dialog may cover the page.
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name as another machine has one, that no name server has to know.
    f"--host-resolver-rules=MAP {OTHER_HOST} 127.0.0.1",
]


@pytest.fixture(scope="session")
def node() -> Path:
    """The Node executable."""
    return _program("DUNENA_TEST_NODE", "node")


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The `node_modules` folder with the package `ws`; good as NODE_PATH."""
    folder = os.environ.get("DUNENA_TEST_NODE_MODULES", "")
    if not folder or not Path(folder, "ws").is_dir():
        report_missing("the Node package ws")
    return Path(folder)


@pytest.fixture(scope="session")
def node_red() -> Path:
    """The script that starts Node-RED, on Linux."""
    if sys.platform != "linux":
        pytest.skip("Node-RED is installed on Linux only")
    script = os.environ.get("DUNENA_TEST_NODE_RED", "")
    if not Path(script).is_file():
        report_missing("Node-RED")
    return Path(script)


@pytest.fixture(scope="session")
def curl() -> Path:
    """The curl executable."""
    return _program("DUNENA_TEST_CURL", "curl")


@pytest.fixture(scope="session")
def wget() -> Path:
    """The wget executable, on Linux."""
    if sys.platform != "linux":
        pytest.skip("only Linux systems come with wget")
    return _program("DUNENA_TEST_WGET", "wget")


@pytest.fixture(scope="session")
def nginx() -> Path:
    """The nginx executable."""
    if sys.platform == "win32":
        pytest.skip("nginx for Windows is no web server for the public")
    return _program("DUNENA_TEST_NGINX", "nginx")


@pytest.fixture(scope="session")
def nats_server() -> Path:
    """The nats-server executable, on Linux; its package puts it beside Python."""
    if sys.platform != "linux":
        pytest.skip("clusters of NATS servers are tried on Linux only")
    beside = Path(sys.prefix, "bin", "nats-server")
    return beside if beside.is_file() else _program("DUNENA_TEST_NATS", "nats-server")


@pytest.fixture(scope="session")
def compiler() -> Path:
    """A C compiler."""
    return _program("DUNENA_TEST_CC", "cc")


@pytest.fixture(scope="session")
def helm() -> Path:
    """Helm, for the chart."""
    return _program("DUNENA_TEST_HELM", "helm")


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A headless browser of Playwright's synchronous API: Chromium, or DUNENA_TEST_BROWSER_KIND.

    It lives as long as one test file: while it does, its event loop counts as running in this
    thread, and tests that start one of their own could not share the process with it.
    """
    # Imported here: it costs every test process a third of a second, and few need it.
    from playwright.sync_api import Error, sync_playwright

    executable = os.environ.get("DUNENA_TEST_BROWSER") or None
    kind = os.environ.get("DUNENA_TEST_BROWSER_KIND") or "chromium"
    with sync_playwright() as playwright:
        try:
            opened = getattr(playwright, kind).launch(
                executable_path=executable,
                headless=True,
                args=BROWSER_ARGUMENTS if kind == "chromium" else [],
            )
        except Error as error:
            report_missing(f"a browser ({error.message.splitlines()[0]})")
        yield opened
        opened.close()


def _program(variable: str, name: str) -> Path:
    found = os.environ.get(variable) or shutil.which(name)
    if not found:
        report_missing(name)
    return Path(found)
