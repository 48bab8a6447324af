"""The modules that can be compiled: which they are, and whether this run is on compiled ones.

`python3 build/dev.py test --compiled` sets DUNENA_TEST_COMPILED, so that a run which shall be on
compiled modules and is not fails here instead of passing for the wrong reason.
"""

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import tomllib
from pathlib import Path

import orjson
import pytest

from dunena.dialects.services import Services
from dunena.hub import Hub
from dunena.persistence.memory import MemoryEngine
from dunena.server.status.figures import Figures
from dunena.server.status.introspection import Introspection
from dunena.settings import Settings
from dunena.store.store import Store
from dunena.telemetry import Telemetry
from tests.support.sessions import sessions

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PATHS = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["modules"]
MODULES = [path.removesuffix(".py").replace("/", ".") for path in PATHS]

IS_COMPILED = "DUNENA_TEST_COMPILED" in os.environ


def test_the_list_of_compiled_modules_is_sorted_and_names_existing_files():
    assert sorted(set(PATHS)) == PATHS
    assert all((ROOT / path).is_file() for path in PATHS)


@pytest.mark.parametrize("name", MODULES)
def test_each_listed_module_is_compiled_exactly_when_the_run_is_compiled(name):
    module = importlib.import_module(name)
    kind = (
        importlib.machinery.ExtensionFileLoader
        if IS_COMPILED
        else importlib.machinery.SourceFileLoader
    )
    assert isinstance(module.__loader__, kind)


def test_the_system_calls_of_connections_are_compiled_exactly_when_the_run_is_compiled():
    found = importlib.util.find_spec("dunena.server.sockets._system_calls")
    assert (found is not None) is (IS_COMPILED and sys.platform != "win32")


@pytest.mark.parametrize("name", ["dunena._unmasking", "dunena.store._plain_json"])
def test_what_is_written_in_c_is_compiled_exactly_when_the_run_is_compiled(name):
    assert (importlib.util.find_spec(name) is not None) is IS_COMPILED


def test_info_reports_whether_the_server_is_compiled():
    store = Store()
    services = Services(store, store, Hub())
    figures = Figures(services, MemoryEngine(), None, Telemetry(started_at_ms=0), sessions())
    introspection = Introspection(figures, Settings())
    assert orjson.loads(introspection.info(0, store).body)["compiled"] is IS_COMPILED
