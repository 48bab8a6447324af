"""Every setting given by flag or variable is applied by `doctor` and by a server."""

import json
from enum import Enum
from pathlib import Path

import pytest

from dunena.setting_table import Row, rows
from dunena.settings import Settings, describe_settings
from tests.e2e.processes import free_port, make_certificate, run_copy
from tests.protocol.clients import http
from tests.support.server import ServerProcess

OF_STORE = [row for row in rows().values() if row.held_as.startswith("store.")]
"""Those of a shared store, which contradict some of the others."""

ROWS = [row for row in rows().values() if row not in OF_STORE]

TEXTS = {
    "host": "127.0.0.1",
    "token": "a-secret",
    "get_writes": "a-secret-for-addresses",
    "allow_origin": "https://a.example",
    "allow_host": "a.example",
    "proxy_header": "10.0.0.0/8",
    "text_keys": "score-*",
    "event_loop": "standard",
}

TOKENS = '[reader]\ntoken = "of-a-reader"\nrights = ["read", "write"]\n'


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    """For each setting a value other than its default, as it is typed."""
    (tmp_path / "tokens.toml").write_text(TOKENS, "utf-8")
    (tmp_path / "www").mkdir()
    chain, key = make_certificate(tmp_path)
    paths = {
        "tokens": tmp_path / "tokens.toml",
        "tls_cert": chain,
        "tls_key": key,
        "text_dir": tmp_path / "texts",
    }
    values = {row.name: typed_value(row, paths.get(row.name, tmp_path / "www")) for row in ROWS}
    return values | {"port": str(free_port())}


def typed_value(row: Row, path: Path) -> str:
    if row.name in TEXTS:
        return TEXTS[row.name]
    if row.type is bool:
        return "1"
    if row.setting.path_kind is not None:
        return str(path)
    if isinstance(row.type, type) and issubclass(row.type, Enum):
        return next(one.value for one in row.type if one is not row.default)
    return str(row.default + 1)


def flags(given: dict[str, str], *left_out: str) -> list[str]:
    """The settings as a command line."""
    words = []
    for row in ROWS:
        if row.name not in left_out:
            words += [row.flag] if row.type is bool else [row.flag, given[row.name]]
    return words


def settings_seen_by_doctor(
    *arguments: str, environment: dict[str, str] | None = None
) -> dict[str, dict[str, object]]:
    done = run_copy("doctor", *arguments, environment=environment)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert TEXTS["token"] not in done.stdout
    return json.loads(done.stdout)["settings"]


def assert_none_is_at_its_default(shown: dict[str, object], *left_out: str) -> None:
    """Every setting is told of, and but for those left out it has another value than without."""
    default = describe_settings(Settings())
    assert list(shown) == [row.label for row in (*ROWS, *OF_STORE)]
    for row in ROWS:
        if row.name not in left_out:
            assert shown[row.label] != default[row.label], row.name


def test_doctor_applies_every_flag(given: dict[str, str]) -> None:
    left_out = ("no_persist", "no_watch")
    shown = settings_seen_by_doctor(*flags(given, *left_out))
    assert_none_is_at_its_default({label: one["value"] for label, one in shown.items()}, *left_out)
    for row in ROWS:
        assert shown[row.label]["from"] == ("default" if row.name in left_out else row.flag)


def test_doctor_applies_every_variable(given: dict[str, str]) -> None:
    left_out = ("cache_dir", "watch")
    environment = {row.variable: given[row.name] for row in ROWS if row.name not in left_out}
    shown = settings_seen_by_doctor(environment=environment)
    # Of these two others than were left out decide.
    values = {label: one["value"] for label, one in shown.items()}
    assert values["watch"] == "off"
    assert_none_is_at_its_default(values | {"no-persist": True}, *left_out, "no_persist")
    for row in ROWS:
        assert shown[row.label]["from"] == ("default" if row.name in left_out else row.variable)


def test_doctor_applies_the_options_of_a_shared_store_and_shows_no_secret(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim\n", "utf-8")
    texts = {
        "store": f"nats://127.0.0.1:{free_port()}",
        "bucket": "show",
        "store_timeout": "1",
        "store_domain": "hub",
        "store_replicas": "1",
        "store_read_only": "1",
        "store_user": "me",
        "store_password_file": str(tmp_path / "password"),
        "store_ca": str(tmp_path / "ca.pem"),
        "store_cert": str(tmp_path / "cert.pem"),
        "store_key": str(tmp_path / "key.pem"),
    }
    other_logins = {"store_token", "store_token_file", "store_nkey", "store_creds"}
    environment = {row.variable: texts[row.name] for row in OF_STORE if row.name in texts}
    done = run_copy("doctor", "--port", "0", environment=environment)
    assert done.returncode == 1, "there is no such NATS server"
    assert "geheim" not in done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert "folder" not in {one["about"] for one in found["findings"]}
    for row in OF_STORE:
        if row.name in texts:
            assert found["settings"][row.label]["from"] == row.variable
    values = {label: one["value"] for label, one in found["settings"].items()}
    assert values["store"] == [texts["store"]]
    assert values["store-password-file"] == texts["store_password_file"]
    assert (values["bucket"], values["store-timeout"], values["store-domain"]) == ("show", 1, "hub")
    assert texts.keys() | other_logins | {"store_password"} == {row.name for row in OF_STORE}


def test_info_lists_every_setting_for_permitted_clients_only(given: dict[str, str]) -> None:
    left_out = ("port", "no_persist", "no_watch", "tls_cert", "tls_key")
    with ServerProcess(None, *flags(given, *left_out)) as server:
        bearer = {"Authorization": f"Bearer {TEXTS['token']}"}
        answer = http(server, "GET", "/info", headers=bearer)
        assert_none_is_at_its_default(answer.json["settings"], *left_out)
        assert answer.json["settings"]["token"] is True
        assert TEXTS["token"] not in json.dumps(answer.json)
        of_reader = http(server, "GET", "/info", headers={"Authorization": "Bearer of-a-reader"})
        assert of_reader.status == 200
        assert "settings" not in of_reader.json


def test_doctor_reports_each_given_setting_and_its_source(given: dict[str, str]) -> None:
    done = run_copy(
        "doctor", "--port", "0", "--max-value", "1000", environment={"DUNENA_NO_PERSIST": "1"}
    )
    found = {one["about"]: one["text"] for one in json.loads(done.stdout)["findings"]}
    assert found["settings"] == (
        "port 0 (--port), max-value 1000 bytes (--max-value), no-persist on (DUNENA_NO_PERSIST)"
    )
    assert found["folder"] == "none: nothing is kept on disk"
    assert "hand edits" not in found


@pytest.mark.parametrize(
    ("arguments", "about", "text"),
    [
        (("--tls-cert", "no-cert.pem", "--tls-key", "no-key.pem"), "certificate", "no-cert.pem"),
        (("--tokens", "no-tokens.toml"), "who gets in", "no-tokens.toml"),
    ],
)
def test_doctor_reports_files_that_would_prevent_a_start(
    arguments: tuple[str, ...], about: str, text: str
) -> None:
    done = run_copy("doctor", "--port", "0", *arguments)
    assert done.returncode == 1
    (finding,) = [one for one in json.loads(done.stdout)["findings"] if one["level"] == "bad"]
    assert finding["about"] == about
    assert text in finding["text"]


def test_doctor_normalizes_origins_like_serve() -> None:
    """The trailing slash of an address copied from a browser is removed."""
    origins = "https://a.example/,https://b.example"
    done = run_copy("doctor", "--port", "0", "--allow-origin", origins)
    assert done.returncode == 0
    (finding,) = [one for one in json.loads(done.stdout)["findings"] if one["about"] == "origins"]
    assert finding["text"].endswith(", https://a.example, https://b.example")


@pytest.mark.parametrize("command", ["serve", "doctor"])
@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("http://Show.example", "show.example"),
        ("a.example,https://show.example/test?x#y", "show.example"),
        ("show.example:3000/", "show.example"),
        ("show.example:3000", "show.example"),
        ("[fd00::1]", "fd00::1"),
    ],
)
def test_an_allowed_host_that_is_no_bare_name_is_refused_with_the_name(
    command: str, typed: str, name: str
) -> None:
    wrong = typed.removeprefix("a.example,")
    for done in (
        run_copy(command, "--port", "0", "--no-persist", "--allow-host", typed),
        run_copy(command, "--port", "0", "--no-persist", environment={"DUNENA_ALLOW_HOST": typed}),
    ):
        assert done.returncode == 2
        assert "--allow-host" in done.stderr
        assert f"{wrong} is more than a name; write {name}\n" in done.stderr


@pytest.mark.parametrize("typed", ["*.example", "show example", ".", "http://", "bühne"])
def test_an_allowed_host_without_a_name_is_refused(typed: str) -> None:
    done = run_copy("serve", "--port", "0", "--no-persist", "--allow-host", typed)
    assert done.returncode == 2
    assert f"{typed} is no host name" in done.stderr


@pytest.mark.parametrize(
    ("typed", "held"),
    [
        ("Show.example., show-pc,", ["show-pc", "show.example"]),
        ("*", ["*"]),
        ("fd00::1", ["fd00::1"]),
        ("192.168.1.5", ["192.168.1.5"]),
        ("my_pc", ["my_pc"]),
    ],
)
def test_allowed_hosts_are_names_and_addresses(typed: str, held: list[str]) -> None:
    done = run_copy("doctor", "--port", "0", "--no-persist", "--allow-host", typed)
    assert json.loads(done.stdout)["settings"]["allow-host"]["value"] == held


@pytest.mark.parametrize(("watch", "text"), [("off", "left alone"), ("poll", "looked for")])
def test_doctor_reports_how_hand_edits_are_detected(watch: str, text: str) -> None:
    done = run_copy("doctor", "--port", "0", "--watch", watch)
    (finding,) = [
        one for one in json.loads(done.stdout)["findings"] if one["about"] == "hand edits"
    ]
    assert finding["level"] == "ok"
    assert text in finding["text"]
