"""The environment variables of the original server: accepted, or warned of with a replacement."""

import re
from pathlib import Path

import pytest

from dunena.cli.original import UNUSED
from tests.e2e.processes import run_program
from tests.protocol.clients import http
from tests.support.server import ServerProcess

ROOT = Path(__file__).resolve().parents[2]


def warnings_of(*arguments: str, **environment: str) -> list[str]:
    """What a server with these settings warns of as it starts, without time and level."""
    with ServerProcess(None, "--no-persist", *arguments, environment=environment) as server:
        lines = server.errors
    return [line.split(" warning ", 1)[1].strip() for line in lines if " warning " in line]


def test_log_level_accepts_warn_for_warning():
    said = warnings_of(DUNENA_LOG_LEVEL="warn", DUNENA_RATE_MAX="1000")
    assert len(said) == 1
    assert warnings_of(DUNENA_LOG_LEVEL="error", DUNENA_RATE_MAX="1000") == []


def test_the_default_ttl_variable_sets_the_default_ttl():
    environment = {"DUNENA_DEFAULT_TTL": "300000"}
    with ServerProcess(None, "--no-persist", environment=environment) as server:
        http(server, "POST", "/set", {"key": "k", "value": 1})
        answer = http(server, "GET", "/entries/k").json
        assert 0 < answer["entry"]["expiresAt"] - answer["timestamp"] <= 300_000
        assert http(server, "GET", "/info").json["defaultTtlMs"] == 300_000
    assert run_program("serve", "--default-ttl", "-1").returncode == 2


def test_set_with_ttl_0_and_import_override_the_default_ttl(tmp_path: Path):
    file = str(tmp_path / "all.jsonl")
    with ServerProcess(None, "--no-persist", "--default-ttl", "300000") as server:

        def run(*arguments: str) -> None:
            done = run_program(*arguments, "--url", server.url)
            assert done.returncode == 0, done.stderr

        def expires(key: str) -> bool:
            return http(server, "GET", f"/entries/{key}").json["entry"]["expiresAt"] is not None

        run("set", "new", "1")
        run("set", "staying", "1", "--ttl", "0")
        assert (expires("new"), expires("staying")) == (True, False)
        run("export", file)
        run("flush", "--yes")
        run("import", file)
        assert (expires("new"), expires("staying")) == (True, False)


def test_each_unused_variable_is_warned_of_once():
    said = warnings_of(**dict.fromkeys(UNUSED, "1"))
    assert [line.split(" ", 1)[0] for line in said] == list(UNUSED)


def test_a_misspelt_variable_is_warned_of_with_suggestions():
    said = warnings_of(DUNENA_TOKEN="t", DUNENA_CACHE_DIR="d", DUNENA_MAXENTRIES="5")
    assert said == [
        "DUNENA_CACHE_DIR has no meaning here; is CACHE_DIR meant?",
        "DUNENA_MAXENTRIES has no meaning here; is DUNENA_MAX_ENTRIES meant?",
        "DUNENA_TOKEN has no meaning here; is DUNENA_TOKENS or DUNENA_AUTH_TOKEN meant?",
    ]


def test_a_variable_unlike_any_setting_is_ignored():
    assert warnings_of(DUNENA_TEST_BROWSER="x", DUNENA_URL="http://h", DUNENA_Q="1") == []


def test_an_empty_unused_variable_is_not_warned_of():
    assert warnings_of(**dict.fromkeys(UNUSED, "")) == []


def test_the_replacing_recipe_lists_every_original_variable():
    text = (ROOT / "docs" / "recipes" / "replacing.md").read_text("utf-8")
    rows = "".join(line for line in text.splitlines(keepends=True) if line.startswith("| `DUNENA_"))
    assert set(UNUSED) <= set(re.findall(r"`(DUNENA_[A-Z_]+)`", rows))


@pytest.mark.parametrize(
    ("arguments", "environment", "is_warned_of"),
    [
        ([], {"DUNENA_MAX_ENTRIES": "100000"}, True),
        ([], {"DUNENA_MAX_ENTRIES": "0"}, False),
        ([], {"DUNENA_MAX_ENTRIES": "100000", "DUNENA_EVICTION": "lru"}, False),
        ([], {"DUNENA_MAX_ENTRIES": "100000", "DUNENA_EVICTION": "none"}, False),
        (["--eviction", "lru"], {"DUNENA_MAX_ENTRIES": "100000"}, False),
        (["--max-entries", "5"], {}, False),
    ],
)
def test_the_max_entries_variable_without_eviction_is_warned_of(
    arguments: list[str], environment: dict[str, str], is_warned_of: bool
):
    said = warnings_of(*arguments, **environment)
    assert [line.split(" ", 1)[0] for line in said] == ["DUNENA_MAX_ENTRIES"] * is_warned_of


@pytest.mark.parametrize(
    ("arguments", "warned_of"),
    [
        ([], ["DUNENA_AUTH_TOKEN", "DUNENA_TOKENS"]),
        (["--token", "secret"], []),
    ],
)
def test_an_empty_variable_for_tokens_is_warned_of_if_everybody_is_let_in(
    arguments: list[str], warned_of: list[str]
):
    said = warnings_of(*arguments, DUNENA_AUTH_TOKEN="", DUNENA_TOKENS="")
    assert [line.split(" ", 1)[0] for line in said] == warned_of
    assert all("everybody is let in" in line for line in said)
