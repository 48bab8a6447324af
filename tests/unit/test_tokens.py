"""The tokens file, and the grants of its tokens."""

import logging
import os
import sys
from pathlib import Path

import pytest

from dunena.dialects.grants import ANY, EVERYTHING, Right
from dunena.server.access.tokens import COMMAND_LINE, SHARED, Tokens, TokensError
from dunena.server.limits import TOKENS_FILE_BYTES_MAX

OVERLAY = """\
[overlay]
token = "overlay secret"
rights = ["read"]
keys = ["score", "team-*"]
namespaces = ["show"]
"""
DIRECTOR = '[director]\ntoken = "director secret"\nrights = ["read", "write", "admin"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.toml"
    path.touch(mode=0o600)
    return path


def written(file: Path, text: str) -> Tokens:
    file.write_text(text, "utf-8")
    return Tokens(file=file)


def rewrite(file: Path, text: str) -> None:
    """As an editor does: another file in its place, whatever the clock's grain."""
    draft = file.with_suffix(".draft")
    draft.write_text(text, "utf-8")
    draft.replace(file)


def test_a_token_has_the_grant_of_its_file(file: Path) -> None:
    tokens = written(file, OVERLAY + DIRECTOR)
    overlay = tokens.grant_of(b"overlay secret")
    assert overlay is not None
    assert overlay.name == "overlay"
    assert overlay.rights == {Right.READ}
    assert overlay.keys == ("score", "team-*")
    assert overlay.namespaces == ("show",)
    director = tokens.grant_of(b"director secret")
    assert director is not None
    assert director.rights == set(Right)
    assert director.keys == director.namespaces == ANY
    assert overlay.channels is None
    assert tokens.grants == {overlay, director}
    assert tokens.grant_of(b"overlay secre") is None
    assert tokens.grant_of(b"") is None


@pytest.mark.parametrize("channels", [(), ("chat",), ("chat-*", "news")])
def test_a_table_names_the_channels_of_its_token(file: Path, channels: tuple[str, ...]) -> None:
    tokens = written(file, f"{OVERLAY}channels = {list(channels)}\n")
    overlay = tokens.grant_of(b"overlay secret")
    assert overlay is not None
    assert overlay.channels == channels


def test_the_command_line_token_has_all_rights_beside_the_tokens_of_the_file(file: Path) -> None:
    file.write_text(OVERLAY, "utf-8")
    tokens = Tokens("simple", file)
    simple = tokens.grant_of(b"simple")
    assert simple is not None
    assert simple.name == COMMAND_LINE
    assert simple.is_complete
    assert simple.rights == set(Right)
    assert tokens.grant_of(b"overlay secret") is not None


def test_are_needed_is_false_without_tokens() -> None:
    assert not Tokens().are_needed
    assert Tokens("x").are_needed


def test_a_cookie_has_the_grant_of_its_token_until_the_token_is_removed(file: Path) -> None:
    tokens = written(file, OVERLAY)
    cookie = tokens.cookie_of("overlay secret")
    assert "overlay secret" not in cookie
    assert tokens.grant_of_cookie(cookie.encode()) == tokens.grant_of(b"overlay secret")
    assert Tokens("overlay secret").cookie_of("overlay secret") == cookie, "outlives a restart"
    assert tokens.grant_of_cookie(b"overlay secret") is None
    rewrite(file, OVERLAY.replace("overlay secret", "another"))
    assert tokens.reload_if_changed()
    assert tokens.grant_of_cookie(cookie.encode()) is None


def test_reload_applies_a_changed_file_and_renews_grants(file: Path) -> None:
    tokens = written(file, OVERLAY + DIRECTOR)
    overlay = tokens.grant_of(b"overlay secret")
    director = tokens.grant_of(b"director secret")
    assert overlay is not None
    assert director is not None
    assert not tokens.reload_if_changed()
    rewrite(file, OVERLAY.replace('["read"]', '["write"]'))
    assert tokens.reload_if_changed()
    assert not tokens.reload_if_changed()
    current_grant = tokens.current_grant(overlay)
    assert current_grant is not None
    assert current_grant.rights == {Right.WRITE}
    assert tokens.current_grant(director) is None


def test_a_grant_ends_when_the_secret_of_its_name_changes(file: Path) -> None:
    tokens = written(file, OVERLAY)
    overlay = tokens.grant_of(b"overlay secret")
    assert overlay is not None
    rewrite(file, OVERLAY.replace("overlay secret", "another secret"))
    assert tokens.reload_if_changed()
    assert tokens.current_grant(overlay) is None


def test_a_scope_is_that_of_one_grant_and_of_its_present_rights(file: Path) -> None:
    tokens = written(file, OVERLAY)
    overlay = tokens.grant_of(b"overlay secret")
    assert overlay is not None
    assert tokens.grant_of_scope(overlay.scope) == overlay
    assert tokens.grant_of_scope(EVERYTHING.scope) is None
    rewrite(file, OVERLAY.replace('["read"]', '["write"]'))
    assert tokens.reload_if_changed()
    assert tokens.grant_of_scope(overlay.scope) is None
    assert Tokens().grant_of_scope(EVERYTHING.scope) is EVERYTHING
    assert Tokens().grant_of_scope(overlay.scope) is None


@pytest.mark.parametrize("change", ["broken", "missing", "empty"])
def test_an_invalid_changed_file_leaves_the_tokens_as_they_were(
    file: Path, caplog, change: str
) -> None:
    tokens = written(file, OVERLAY)
    if change == "missing":
        file.unlink()
    else:
        rewrite(file, "" if change == "empty" else 'token = "overlay secret')
    assert not tokens.reload_if_changed()
    assert tokens.grant_of(b"overlay secret") is not None
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert str(file) in record.getMessage()
    assert "secret" not in record.getMessage()
    assert not tokens.reload_if_changed(), "said once"
    rewrite(file, DIRECTOR)
    assert tokens.reload_if_changed()
    assert tokens.grant_of(b"overlay secret") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no tokens"),
        ("[a]\n5 = !\n[b]", "is no TOML (line 2"),
        ('token = "x"', "[token]: no table"),
        ('[a]\nrights = ["read"]', "[a]: token must be"),
        ('[a]\ntoken = ""\nrights = ["read"]', "token must be"),
        ('[a]\ntoken = " x"\nrights = ["read"]', "token must be"),
        ('[a]\ntoken = 5\nrights = ["read"]', "token must be"),
        ('[a]\ntoken = "x"', "rights must be some of read, write, admin"),
        ('[a]\ntoken = "x"\nrights = []', "rights must be"),
        ('[a]\ntoken = "x"\nrights = ["reed"]', "rights must be"),
        ('[a]\ntoken = "x"\nrights = "read"', "rights must be a list of texts"),
        ('[a]\ntoken = "x"\nrights = ["read"]\nkeys = "k"', "keys must be a list of texts"),
        ('[a]\ntoken = "x"\nrights = ["read"]\nnamespaces = [1]', "namespaces must be a list"),
        ('[a]\ntoken = "x"\nrights = ["read"]\nchannels = "c"', "channels must be a list"),
        ('[a]\ntoken = "x"\nrights = ["read"]\nkey = ["k"]', "[a]: unknown field: key"),
        ('["a\\nb"]\ntoken = "x"\nrights = ["read"]', "this cannot be a name"),
        ('["--token"]\ntoken = "x"\nrights = ["read"]', "this cannot be a name"),
        (DIRECTOR + DIRECTOR.replace("[director]", "[b]"), "[b]: the token of [director]"),
        ("#" * (TOKENS_FILE_BYTES_MAX + 1), "has more than"),
    ],
)
def test_an_invalid_tokens_file_raises_naming_the_reason_and_no_secret(
    file: Path, text: str, reason: str
) -> None:
    with pytest.raises(TokensError) as caught:
        written(file, text)
    assert reason in str(caught.value)
    assert str(file) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_tokens_file_that_is_not_utf_8_raises(file: Path) -> None:
    file.write_bytes(b'[a]\ntoken = "\xff"')
    with pytest.raises(TokensError, match="not UTF-8"):
        Tokens(file=file)


def test_a_missing_tokens_file_raises(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="cannot be read"):
        Tokens(file=tmp_path / "none.toml")


def test_the_repr_of_a_grant_hides_its_digest(file: Path) -> None:
    (grant,) = written(file, OVERLAY).grants
    assert grant.digest
    assert repr(grant.digest) not in repr(grant)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps rights elsewhere")
@pytest.mark.parametrize(("mode", "is_said"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_tokens_file_readable_by_others_is_warned_of(
    file: Path, caplog, mode: int, is_said: bool
) -> None:
    file.write_text(OVERLAY, "utf-8")
    file.chmod(mode)
    Tokens(file=file)
    assert ("chmod 600" in caplog.text) is is_said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such things")
@pytest.mark.parametrize("kind", ["a pipe", "a device"])
def test_a_tokens_path_that_is_no_regular_file_raises(file: Path, kind: str) -> None:
    file.unlink()
    if kind == "a pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/zero")
    with pytest.raises(TokensError, match=f"{kind}, not a plain file"):
        Tokens(file=file)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_tokens_file_is_read_through_a_link(file: Path) -> None:
    target = file.with_name("..data")  # as secrets are mounted into containers
    target.write_text(OVERLAY, "utf-8")
    file.unlink()
    file.symlink_to(target)
    assert len(Tokens(file=file).grants) == 1


def test_a_byte_order_mark_in_a_tokens_file_is_ignored(file: Path) -> None:
    file.write_text(OVERLAY, "utf-8-sig")
    assert len(Tokens(file=file).grants) == 1


BUTTON = OVERLAY + 'get = "secret-of-the-button"\n'


def test_a_secret_for_get_writes_has_the_grant_of_its_table(file: Path) -> None:
    tokens = written(file, BUTTON + DIRECTOR)
    assert tokens.have_get_secrets
    assert tokens.grant_of_get_secret(b"secret-of-the-button") == tokens.grant_of(b"overlay secret")
    assert tokens.grant_of(b"secret-of-the-button") is None
    assert tokens.grant_of_get_secret(b"overlay secret") is None
    assert tokens.grant_of_get_secret(b"") is None
    assert not written(file, OVERLAY).have_get_secrets


def test_the_servers_own_secret_may_read_and_write_and_survives_a_changed_file(file: Path) -> None:
    tokens = written(file, BUTTON)
    tokens.add_get_secret("the-secret-of-the-server")
    rewrite(file, DIRECTOR)
    assert tokens.reload_if_changed()
    own = tokens.grant_of_get_secret(b"the-secret-of-the-server")
    assert own is not None
    assert own.is_complete
    assert Right.ADMIN not in own.rights
    assert tokens.grant_of(b"the-secret-of-the-server") is None
    assert tokens.grant_of_get_secret(b"secret-of-the-button") is None
    assert tokens.have_get_secrets


@pytest.mark.parametrize(
    "secret", ['"short"', '"with/a/slash/in-it"', "17", '""', '"with spaces in it"']
)
def test_a_secret_that_would_not_do_is_refused(file: Path, secret: str) -> None:
    with pytest.raises(TokensError, match=r"\[overlay\]: get must be a secret"):
        written(file, f"{OVERLAY}get = {secret}\n")


@pytest.mark.parametrize("field", ["token", "get"])
def test_a_secret_belongs_to_one_table_and_is_no_token(file: Path, field: str) -> None:
    other = '[other]\ntoken = "other secret"\nrights = ["read"]\n'
    if field == "token":
        other = other.replace("other secret", "secret-of-the-button")
    else:
        other += 'get = "secret-of-the-button"\n'
    with pytest.raises(TokensError, match=rf"\[other\]: the {field} of \[overlay\]"):
        written(file, BUTTON + other)


# --- shared on the network ---


def test_a_shared_token_may_read_and_write_and_not_administer() -> None:
    tokens = Tokens()
    tokens.share("guest")
    grant = tokens.grant_of(b"guest")
    assert grant is not None
    assert (grant.name, grant.rights) == (SHARED, {Right.READ, Right.WRITE})
    assert grant.is_complete
    assert not tokens.are_needed, "clients of this machine need none"
    assert tokens.current_grant(grant) == grant
    assert tokens.current_grant(EVERYTHING) is EVERYTHING
    assert tokens.grant_of_scope(EVERYTHING.scope) is EVERYTHING
    assert tokens.grant_of_scope(grant.scope) == grant
    tokens.share(None)
    assert tokens.grants == frozenset()
    assert tokens.current_grant(grant) is None
    assert tokens.current_grant(EVERYTHING) is EVERYTHING


def test_clients_without_a_token_lose_everything_once_tokens_are_needed(file: Path) -> None:
    assert written(file, DIRECTOR).current_grant(EVERYTHING) is None


def test_the_cookie_of_a_grant_is_that_of_its_token(file: Path) -> None:
    tokens = written(file, OVERLAY + DIRECTOR)
    overlay = tokens.grant_of(b"overlay secret")
    assert overlay is not None
    assert tokens.cookie_of_grant(overlay) == tokens.cookie_of("overlay secret")
    rewrite(file, DIRECTOR)
    tokens.reload_if_changed()
    assert tokens.cookie_of_grant(overlay) is None
