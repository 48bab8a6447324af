"""Signing a browser in by a plain form or by an invitation, and making invitations.

Whoever needs no token, or has one, makes an invitation with rights of its own token, one with the
right admin also with those of another token that permits no more. It is used by the button on its
page alone: programs that fetch an address ahead, as chats do, use nothing up.
"""

import math
import secrets
import time
from collections.abc import Callable
from urllib.parse import parse_qs

import orjson

from dunena.dialects.errors import ClientError
from dunena.dialects.grants import EVERYTHING, Grant, Right
from dunena.server.access import plain_pages
from dunena.server.access.admission import Admission
from dunena.server.access.invites import Invites, TooManyInvitesError
from dunena.server.access.own_path import read_own_path, relative_to
from dunena.server.access.tokens import Tokens
from dunena.server.http.message import INVITE_PREFIX, NO_TOKENS, Request, Response
from dunena.server.limits import INVITE_SECONDS

_FORM = "application/x-www-form-urlencoded"
_FIRST_PAGE = "/test"
_SECRET_BYTES = 16
_TOO_MANY = 429
_NO_TOKENS = "This server wants no token, so nobody needs an invitation: give its address"


def is_form(request: Request) -> bool:
    """Return whether a browser sent the form of the sign-in page; programs send JSON.

    curl names this type whatever it sends, but does not ask for HTML.
    """
    headers = request.headers
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return content_type == _FORM and "text/html" in headers.get("accept", "")


class SignIn:
    """The invitations of one server, and the forms that sign browsers in.

    ``network_urls`` returns the addresses of the server for other machines, without a final slash.
    """

    def __init__(
        self,
        admission: Admission,
        tokens: Tokens,
        network_urls: Callable[[], list[str]],
        clock_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admission = admission
        self._tokens = tokens
        self._network_urls = network_urls
        self._clock_seconds = clock_seconds
        self._invites = Invites()

    def take_form(self, request: Request) -> Response:
        """Answer the form of the sign-in page: lead on to the page it is for, or show it again."""
        fields = parse_qs(request.body.decode("latin-1"), encoding="utf-8", errors="replace")
        token = fields.get("token", [""])[0].strip()
        page = read_own_path(fields.get("next", [""])[0]) or _FIRST_PAGE
        if not self._admission.wants_token(request):
            return _go_on(request, page)
        answer = self._admission.session(request, token)
        cookie = answer.headers.get("Set-Cookie")
        if cookie is not None:
            return _go_on(request, page, cookie)
        problem = "That is not the token."
        if answer.status == _TOO_MANY:
            problem = f"Too many wrong tokens. Try again in {answer.headers['Retry-After']} s."
        shown = plain_pages.sign_in_page(request, page, problem, status=answer.status)
        shown.headers |= answer.headers
        return shown

    # --- invitations ---

    def list_tokens(self, request: Request) -> Response:
        """Answer with whose rights an invitation of this request can have, the own ones first.

        There are none on a server without tokens: there the address is enough.
        """
        found = [
            {
                "name": one.name,
                "rights": [right.value for right in Right if right in one.rights],
                "keys": one.keys,
                "namespaces": one.namespaces,
            }
            for one in self._grants_for(request.grant)
        ]
        return Response(200, orjson.dumps({"tokens": found, "urls": self._network_urls()}))

    def make(self, request: Request, page: object, name: object) -> Response:
        """Answer with a new invitation to ``page``, with the rights of the token ``name``.

        None for ``page`` is the test page, None for ``name`` the own token. Raise `ClientError` for
        a page that is not of this server.
        """
        path = _FIRST_PAGE if page is None else read_own_path(page)
        if path is None:
            raise ClientError("page must be a path of this server, as /www/score/panel.html")
        if name is not None and not isinstance(name, str):
            raise ClientError("token must be the name of a token")
        grants = self._grants_for(request.grant)
        if not grants:
            urls = [f"{base}{path}" for base in self._network_urls()]
            return Response.error(409, _NO_TOKENS, fields={"code": NO_TOKENS, "urls": urls})
        grant = next((one for one in grants if name in (None, one.name)), None)
        if grant is None:
            return Response.error(403, "Not permitted: an invitation with more rights than yours")
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        try:
            self._invites.add(secret, grant, path, self._clock_seconds())
        except TooManyInvitesError as error:
            wait = {"Retry-After": str(math.ceil(error.seconds))}
            return Response.error(429, "Too many invitations wait to be used", wait)
        own = f"{INVITE_PREFIX}{secret}"
        fields = {
            "path": own,
            "urls": [f"{base}{own}" for base in self._network_urls()],
            "page": path,
            "token": grant.name,
            "seconds": INVITE_SECONDS,
        }
        return Response(201, orjson.dumps(fields), headers={"Cache-Control": "no-store"})

    def show(self, request: Request) -> Response:
        """Answer with the page of an invitation, which stays as it is."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        invite = self._invites.find(_secret_of(request), self._clock_seconds())
        return plain_pages.invite_page(request, invite.page) if invite else _gone(request)

    def use(self, request: Request) -> Response:
        """Sign the browser in that presses the button, and lead it on; the invitation is gone."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        invite = self._invites.use(_secret_of(request), self._clock_seconds())
        cookie = None if invite is None else self._admission.cookie_of_grant(invite.grant)
        if invite is None or cookie is None:
            return _gone(request)
        return _go_on(request, invite.page, cookie)

    def _refusal(self, request: Request) -> Response | None:
        """Return why a request with the secret of an invitation gets nothing; None if it is right.

        Its grant must be that of its token still, with the same rights.
        """

        def find(secret: bytes) -> Grant | None:
            invite = self._invites.find(secret.decode(), self._clock_seconds())
            return None if invite is None else self._present(invite.grant)

        answer = self._admission.refusal_of_secret(request, _secret_of(request), find)
        if answer is None:
            return None
        if answer.status != _TOO_MANY:
            return _gone(request)
        shown = plain_pages.wait_page(request, answer.headers["Retry-After"])
        shown.headers |= answer.headers
        return shown

    def _grants_for(self, own: Grant) -> list[Grant]:
        """Return the grants that an invitation by ``own`` may have, its own first."""
        others: list[Grant] = []
        if Right.ADMIN in own.rights:
            others = [one for one in self._tokens.grants if own.covers(one) and one != own]
            others.sort(key=lambda one: one.name)
        return others if own is EVERYTHING else [own, *others]

    def _present(self, grant: Grant) -> Grant | None:
        present = self._tokens.current_grant(grant)
        return present if present is not None and grant.covers(present) else None


def _go_on(request: Request, page: str, cookie: str | None = None) -> Response:
    """Lead a browser on to a page of this server by GET (RFC 9110, 15.4.4)."""
    headers = {"Location": relative_to(request.path, page), "Cache-Control": "no-store"}
    return Response(303, headers=headers | ({"Set-Cookie": cookie} if cookie else {}))


def _gone(request: Request) -> Response:
    return plain_pages.gone_page(request)


def _secret_of(request: Request) -> str:
    return request.path.removeprefix(INVITE_PREFIX)
