"""The command that starts a server anew on the network."""

import shlex
from pathlib import Path

import pytest

from dunena.persistence.policy import StoreSettings
from dunena.server.restart_command import restart_commands
from dunena.settings import Settings


def test_the_command_has_the_port_the_folders_and_a_token(tmp_path: Path) -> None:
    values, www = tmp_path / "my values", tmp_path / "www"
    settings = Settings(cache_dir=values, www=www)
    commands = restart_commands("dunena", settings, 3001, "secret")
    words = ["dunena", "serve", "--host", "0.0.0.0", "--port", "3001"]
    words += ["--cache-dir", str(values), "--www", str(www), "--token", "secret"]
    assert shlex.split(commands["bash"]) == words


@pytest.mark.parametrize(
    ("program", "written"),
    [
        ("dunena", "dunena serve"),
        (r"C:\Tools\dunena.exe", r"C:\Tools\dunena.exe serve"),
        (r"C:\My Tools\dunena.exe", r"& 'C:\My Tools\dunena.exe' serve"),
        (r"C:\Ann's\dunena.exe", r"& 'C:\Ann''s\dunena.exe' serve"),
    ],
)
def test_a_program_is_named_as_powershell_wants_it(program: str, written: str) -> None:
    command = restart_commands(program, Settings(), 3000, "secret")["windows"]
    assert command == f"{written} --host 0.0.0.0 --port 3000 --token secret"


def test_a_server_of_a_shared_store_gets_options_alone() -> None:
    settings = Settings(store=StoreSettings(("nats://n1:4222",), "show"))
    options = "--host 0.0.0.0 --port 3000 --token secret"
    for command in restart_commands(r"C:\a b\dunena.exe", settings, 3000, "secret").values():
        assert command == options


def test_a_server_with_a_token_gets_no_other() -> None:
    command = restart_commands("dunena", Settings(token="own"), 3000, "secret")["bash"]
    assert "--token" not in command
    assert "own" not in command
