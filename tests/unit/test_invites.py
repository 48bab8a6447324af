"""Invitations: once, for a short time, of a limited number. The time is an argument."""

import pytest

from dunena.dialects.grants import Grant, Right
from dunena.server.access.invites import Invites, TooManyInvitesError
from dunena.server.limits import INVITE_SECONDS, INVITES_MAX

GRANT = Grant("overlay", frozenset([Right.READ]))
NOW = 1000.0


def test_an_invitation_is_used_once() -> None:
    invites = Invites()
    made = invites.add("secret", GRANT, "/test", NOW)
    assert invites.use("secret", NOW + 1) == made
    assert (made.grant, made.page) == (GRANT, "/test")
    assert invites.use("secret", NOW + 1) is None
    assert invites.find("secret", NOW + 1) is None


def test_an_invitation_that_is_looked_at_stays() -> None:
    invites = Invites()
    made = invites.add("secret", GRANT, "/test", NOW)
    assert [invites.find("secret", NOW + at) for at in (0, 1, 2)] == [made] * 3
    assert invites.use("secret", NOW + 3) == made


def test_an_invitation_ends_at_its_time_and_not_before() -> None:
    invites = Invites()
    invites.add("secret", GRANT, "/test", NOW)
    assert invites.find("secret", NOW + INVITE_SECONDS - 0.001) is not None
    assert invites.find("secret", NOW + INVITE_SECONDS) is None
    assert invites.use("secret", NOW + INVITE_SECONDS) is None


def test_a_wrong_secret_finds_nothing_and_uses_nothing_up() -> None:
    invites = Invites()
    invites.add("secret", GRANT, "/test", NOW)
    for wrong in ("", "Secret", "secret ", "secre", "ä"):
        assert invites.use(wrong, NOW) is None
    assert invites.use("secret", NOW) is not None


def test_the_number_of_live_invitations_is_limited() -> None:
    invites = Invites()
    for number in range(INVITES_MAX):
        invites.add(f"secret {number}", GRANT, "/test", NOW + number)
    later = NOW + INVITES_MAX
    with pytest.raises(TooManyInvitesError) as caught:
        invites.add("one more", GRANT, "/test", later)
    assert caught.value.seconds == INVITE_SECONDS - INVITES_MAX
    assert invites.find("one more", later) is None
    other = Grant("panel", frozenset([Right.READ]))
    assert invites.add("of another token", other, "/test", later)
    assert invites.use("of another token", later)
    assert invites.use("secret 5", later) is not None
    assert invites.add("one more", GRANT, "/test", later)
    with pytest.raises(TooManyInvitesError):
        invites.add("two more", GRANT, "/test", later)
    assert invites.add("two more", GRANT, "/test", NOW + INVITE_SECONDS)
    assert len(invites) == INVITES_MAX


def test_no_secret_is_kept() -> None:
    invites = Invites()
    invites.add("a secret of mine", GRANT, "/test", NOW)
    assert "a secret of mine" not in repr(vars(invites))
