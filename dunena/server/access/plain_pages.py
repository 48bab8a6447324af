"""The pages that a browser without a session gets: to sign in, and to follow an invitation.

They are plain forms for any phone: no script, one style, nothing loaded but an icon. Links and
forms are relative, as a proxy may show this server below another path.
"""

import hashlib
from base64 import b64encode
from html import escape

from dunena.server.access.own_path import relative_to
from dunena.server.http.message import Request, Response

HTML = "text/html; charset=utf-8"

_STYLE = """
:root{color-scheme:light dark}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;align-items:center;justify-content:center;padding:20px;
background:#f6f2ea;color:#2b241d;font:17px/1.5 system-ui,sans-serif}
main{width:100%;max-width:400px;padding:28px 24px;background:#fffdf9;border-radius:14px;
box-shadow:0 2px 14px rgb(60 40 20/12%)}
img{display:block;margin-bottom:14px}
h1{margin:0 0 8px;font-size:23px;line-height:1.25}
p{margin:0 0 18px;color:#6a5e50;overflow-wrap:anywhere}
.problem{color:#b3261e;font-weight:600}
label{display:block;font-weight:600}
input,button{display:block;width:100%;min-height:50px;margin:6px 0 16px;padding:0 14px;
border:1px solid #b9ab95;border-radius:9px;font:inherit}
input{background:#f6f2ea;color:inherit}
button{margin-bottom:0;border:0;background:#9c4f0d;color:#fff;font-weight:650;cursor:pointer}
:focus-visible{outline:3px solid #9c4f0d;outline-offset:2px}
@media(prefers-color-scheme:dark){
body,input{background:#14110d;color:#ece4d8}
main{background:#1d1914}
p{color:#ab9e8c}
.problem{color:#ff9084}
input{border-color:#64584a}
button{background:#eda24c;color:#201303}
:focus-visible{outline-color:#eda24c}
}
"""

_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

# Forms go to this server alone, no page of another one shows these, and no script runs.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    # An origin is sent with a form, and the address of an invitation to nobody else.
    "Referrer-Policy": "same-origin",
}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{icon}" type="image/svg+xml"><style>{style}</style></head>
<body><main><img src="{icon}" alt="" width="44" height="44">
<h1>{title}</h1>
{body}
</main></body></html>
"""

_SIGN_IN = """{problem}<p>{words}</p>
<form method="post" action="{action}"><input type="hidden" name="next" value="{next}">
<label>Token <input type="password" name="token" required autofocus autocomplete="current-password"
autocapitalize="off" spellcheck="false"></label>
<button>Continue</button></form>
<p><a href="{again}">This browser is signed in already</a></p>"""

_SIGN_IN_WORDS = (
    "This server is not open to everybody. Its token is the one that it was started with, or the"
    " one that its test page shows under “Server” while it is shared. Whoever runs it can also"
    " invite you: “On a phone” there makes a code that needs no token."
)

_INVITE = """<p>You are invited to {whose}. This works once: the button signs in this browser, and
no other.</p>
<form method="post" action="{action}"><button autofocus>Continue</button></form>"""

_GONE = """<p>It was used already, or it is more than ten minutes old. Ask for another one:
under “Server” on the test page, “Invite a phone”.</p>"""


def sign_in_page(request: Request, path: str, problem: str = "", *, status: int = 401) -> Response:
    """Make the page that asks for a token, and returns to ``path`` with it.

    ``problem`` is why the last token was not taken.
    """
    body = _SIGN_IN.format(
        problem=f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else "",
        words=_SIGN_IN_WORDS,
        action=relative_to(request.path, "/session"),
        next=escape(path),
        # After a link on another site the cookie, SameSite=Strict, comes with the next request.
        again=escape(relative_to(request.path, path)),
    )
    return _page(request, status, "Sign in", body)


def invite_page(request: Request, page: str) -> Response:
    """Make the page of an invitation to ``page``, which is used by its button alone."""
    whose = f"<code>{escape(page)}</code>"
    action = relative_to(request.path, request.path)
    return _page(request, 200, "Open on this device", _INVITE.format(whose=whose, action=action))


def gone_page(request: Request) -> Response:
    """Make the page of an invitation that cannot be used any more, or never was one."""
    return _page(request, 404, "This invitation is over", _GONE)


def wait_page(request: Request, seconds: str) -> Response:
    """Make the page for who tried too many wrong invitations; ``seconds`` is the time to wait."""
    words = f"<p>Too many wrong tokens came from this network. Try again in {seconds} s.</p>"
    return _page(request, 429, "Wait a moment", words)


def _page(request: Request, status: int, title: str, body: str) -> Response:
    icon = relative_to(request.path, "/test/favicon.svg")
    text = _PAGE.format(title=title, body=body, icon=icon, style=_STYLE)
    return Response(status, text.encode(), HTML, dict(_HEADERS))
