"""Seeds of nkeys and files of credentials: the examples are of the specification and its tools."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dunena.persistence.jetstream.credentials import (
    CredentialsError,
    UserKey,
    parse_credentials,
)

SEED = "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU"
PUBLIC = "UCK5N7N66OBOINFXAYC2ACJQYFSOD4VYNU6APEJTAVFZB2SVHLKGEW7L"
"""From the tests of github.com/nats-io/nkeys."""

FILE = f"""\
-----BEGIN NATS USER JWT-----
eyJ0eXAiOiJqd3QifQ.eyJuYW1lIjoiYSJ9.c2ln
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.

-----BEGIN USER NKEY SEED-----
{SEED}
------END USER NKEY SEED------
"""


def test_the_public_key_of_a_seed_is_that_of_the_specification():
    assert UserKey(SEED).public == PUBLIC


def test_a_nonce_is_signed_so_that_the_public_key_verifies_it():
    signature = base64.b64decode(UserKey(SEED).sign("nonce"))
    public = base64.b32decode(PUBLIC)[1:-2]
    Ed25519PublicKey.from_public_bytes(public).verify(signature, b"nonce")


@pytest.mark.parametrize(
    ("seed", "reason"),
    [
        ("", "no seed"),
        ("not base32!", "no seed"),
        (SEED[:-1], "no seed"),
        (SEED[:20], "no seed"),
        (PUBLIC, "no seed"),
        (SEED[:-1] + "A", "wrong checksum"),
        ("SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBA", "wrong checksum"),
        ("SAAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIOWCYE", "not that of a user"),
    ],
)
def test_what_is_no_seed_of_a_user_is_refused_without_being_repeated(seed: str, reason: str):
    with pytest.raises(CredentialsError, match=reason) as caught:
        UserKey(seed)
    assert not seed or seed not in str(caught.value)


def test_a_file_of_credentials_has_a_jwt_and_a_seed():
    credentials = parse_credentials(FILE)
    assert credentials.jwt == "eyJ0eXAiOiJqd3QifQ.eyJuYW1lIjoiYSJ9.c2ln"
    assert credentials.seed == SEED


def test_a_file_of_credentials_may_have_the_line_ends_of_windows():
    assert parse_credentials(FILE.replace("\n", "\r\n")) == parse_credentials(FILE)


@pytest.mark.parametrize("text", ["", SEED, FILE.split("\n\n")[0], FILE.replace(SEED, "")])
def test_a_file_without_both_is_refused(text: str):
    with pytest.raises(CredentialsError, match="no user's JWT and seed"):
        parse_credentials(text)
