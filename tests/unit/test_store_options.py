"""The options on a shared store: what is made of them, and what is refused."""

import sys
from pathlib import Path

import pytest
import typer

from dunena.cli.setting_options import settings_of
from dunena.persistence.policy import Fsync, StoreSettings, WatchMode
from dunena.setting_table import GivenSettings
from dunena.settings import describe_settings
from dunena.store.limits import Eviction


def store_of(**given: object) -> StoreSettings:
    store = settings_of(GivenSettings(**{"store": "nats://n1", **given}), None, None).store
    assert store is not None
    return store


def refusal_of(sources: dict[str, str | None] | None = None, **given: object) -> str:
    with pytest.raises(typer.BadParameter) as refused:
        settings_of(GivenSettings(**given), None, None, sources)
    assert refused.value.param_hint
    return f"{refused.value.param_hint}: {refused.value.message}"


@pytest.mark.parametrize(
    ("typed", "servers"),
    [
        ("nats://n1", ["nats://n1:4222"]),
        ("n1", ["nats://n1:4222"]),
        ("nats://n1,nats://n2:4333", ["nats://n1:4222", "nats://n2:4333"]),
        ("nats://n1, n2 ,n3", ["nats://n1:4222", "nats://n2:4222", "nats://n3:4222"]),
        ("tls://n1,n2", ["tls://n1:4222", "tls://n2:4222"]),
        ("nats://[::1]:4222/", ["nats://[::1]:4222"]),
        ("nats://n1,nats://n1:4222,", ["nats://n1:4222"]),
    ],
)
def test_the_servers_of_a_store_are_urls_with_ports(typed: str, servers: list[str]) -> None:
    assert list(store_of(store=typed).servers) == servers


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "needs a server"),
        (" , ", "needs a server"),
        ("http://n1", "does not begin with nats://"),
        ("nats://n1:port", "no URL"),
        ("nats://n1:0", "no URL"),
        ("nats://n1/path", "no URL"),
        ("nats://", "no URL"),
        ("nats://a b", "no URL"),
        (",".join(f"n{number}" for number in range(101)), "at most 100"),
    ],
)
def test_a_wrong_url_of_a_store_is_refused(typed: str, reason: str) -> None:
    refusal = refusal_of(store=typed)
    assert refusal.startswith("--store: ")
    assert reason in refusal


def test_a_login_in_the_url_is_refused_and_not_repeated() -> None:
    refusal = refusal_of(store="nats://me:geheim@n1")
    assert "--store-password-file" in refusal
    assert "geheim" not in refusal


@pytest.mark.parametrize("bucket", ["", "a b", "a.b", "ü", "a/b", "x" * 201])
def test_a_bucket_with_other_characters_is_refused(bucket: str) -> None:
    assert refusal_of(store="n1", bucket=bucket).startswith("--bucket: ")


@pytest.mark.parametrize("domain", ["", "a b", "a.b", "*", ">"])
def test_a_domain_that_is_no_part_of_a_subject_is_refused(domain: str) -> None:
    assert refusal_of(store="n1", store_domain=domain).startswith("--store-domain: ")


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"cache_dir": Path("values")}, "--cache-dir"),
        ({"no_persist": True}, "--no-persist"),
        ({"fsync": Fsync.ALWAYS}, "--fsync"),
        ({"no_watch": True}, "--no-watch"),
        ({"watch": WatchMode.POLL}, "--watch"),
        ({"eviction": Eviction.LRU}, "--eviction"),
        ({"get_writes": "auto"}, "--get-writes"),
    ],
)
def test_what_needs_a_folder_is_refused_with_a_store(given: dict[str, object], flag: str) -> None:
    assert refusal_of(store="n1", **given).startswith(f"{flag}: ")


@pytest.mark.parametrize("name", ["fsync", "watch"])
def test_an_option_for_folders_is_refused_though_it_is_the_default(name: str) -> None:
    assert refusal_of({name: f"--{name}"}, store="n1").startswith(f"--{name}: ")


def test_the_variable_of_the_folder_is_passed_over_with_a_store(tmp_path: Path) -> None:
    given = GivenSettings(store="n1", cache_dir=tmp_path)
    settings = settings_of(given, tmp_path, None, {"cache_dir": "CACHE_DIR"})
    assert settings.cache_dir is None
    assert settings.store is not None
    assert refusal_of({"cache_dir": "--cache-dir"}, store="n1", cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bucket", "other"),
        ("store_timeout", 3),
        ("store_read_only", True),
        ("store_user", "me"),
        ("store_token_file", Path("token")),
        ("store_ca", Path("ca.pem")),
    ],
)
def test_an_option_on_a_store_needs_one(name: str, value: object) -> None:
    flag = f"--{name.replace('_', '-')}"
    assert refusal_of(**{name: value}).startswith(f"{flag}: {flag} needs --store")


@pytest.mark.parametrize(
    "given",
    [
        {"store_user": "me"},
        {"store_password": "p"},
        {"store_user": "me", "store_password": "p", "store_token": "t"},
        {"store_user": "me", "store_password": "p", "store_password_file": Path("p")},
        {"store_user": "me", "store_password": ""},
        {"store_token": "t", "store_nkey": Path("seed")},
        {"store_creds": Path("c"), "store_nkey": Path("seed")},
        {"store_token": "t", "store_token_file": Path("t")},
        {"store_cert": Path("c.pem")},
        {"store_key": Path("k.pem")},
    ],
)
def test_a_login_that_contradicts_itself_is_refused(given: dict[str, object]) -> None:
    assert refusal_of(store="n1", **given)


def test_a_file_with_a_password_goes_with_a_user(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"geheim\r\n")
    store = store_of(store_user="me", store_password_file=file)
    assert (store.user, store.password, store.password_file) == ("me", None, file)


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe", b"x" * 5000, None])
def test_a_file_without_a_secret_is_refused(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    refusal = refusal_of(store="n1", store_token_file=file)
    assert refusal.startswith("--store-token-file: ")
    assert str(file) in refusal


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file")
def test_a_secret_in_something_else_than_a_file_is_refused() -> None:
    assert refusal_of(store="n1", store_token_file=Path("/dev/zero"))


def test_a_described_store_shows_no_secret() -> None:
    given = GivenSettings(store="n1,n2", store_user="me", store_password="geheim", bucket="show")
    settings = settings_of(given, None, None)
    described = describe_settings(settings)
    assert described["store"] == ["nats://n1:4222", "nats://n2:4222"]
    assert (described["bucket"], described["store-timeout"]) == ("show", 15)
    assert (described["store-user"], described["store-password"]) == ("me", True)
    assert described["store-token"] is False
    assert "geheim" not in f"{described}{settings}"
