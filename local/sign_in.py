"""People who sign in at the local issuer: they choose who to be, and get a token by the
authorization code flow with PKCE.

https://datatracker.ietf.org/doc/html/rfc7636
"""

import base64
import hashlib
import html
import secrets
import time
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from local import console
from local.events import HttpRequest, HttpResponse
from local.tokens import TokenError, TokenRequest
from synaxis_billing.edge.aws.people import SCOPES, Person, read_person
from synaxis_billing.errors import InvalidRequest

AUTHORIZE, TOKEN, END_SESSION = "/_local/authorize", "/_local/token", "/_local/logout"
SIGN_IN = console.SignIn(AUTHORIZE, TOKEN, END_SESSION, "console")
CODE_SECONDS = 60
TOKEN_SECONDS = 60 * 60
# Nobody waits for a code that so many later ones have been issued after.
_MOST_CODES = 1000
_SESSION = "session"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign in · Synaxis Billing</title>
<link rel="icon" href="{files}/icon.svg">
<link rel="stylesheet" href="{files}/styles.css">
</head>
<body>
<main class="signin">
<h1>Who do you want to be?</h1>
<p>The product on this machine issues its tokens itself; no password is needed.</p>
{choices}
</main>
</body>
</html>
"""
_CHOICE = """<form action="{action}">{hidden}
<button name="who" value="{who}"><b>{name}</b><span>{may}</span></button></form>"""


class _Issued(NamedTuple):
    person: Person
    challenge: str
    redirect_uri: str
    until: float


class People:
    """The codes that were issued to people and not used yet."""

    def __init__(self, scopes: frozenset[str]) -> None:
        self._scopes = scopes
        self._codes: dict[str, _Issued] = {}

    async def authorize(
        self, request: HttpRequest, organizations: Callable[[str], Awaitable[list[dict[str, Any]]]]
    ) -> HttpResponse:
        """Return to the console with a code, or show the page on which a person chooses who to be.

        `organizations` lists them for an address that asks. Raises InvalidRequest.
        """
        asked = dict(parse_qsl(request.query))
        redirect_uri = _redirect_uri(asked, request)
        who = asked.get("who")
        if who is None and asked.get("prompt") != "select_account":
            who = _cookie(request)
        person = read_person(who or "")
        if person is None:
            page = _choice_page(request, await organizations(request.source_ip))
            return HttpResponse(200, console.headers("text/html", SIGN_IN), page)
        code = secrets.token_urlsafe(24)
        self._forget_old()
        self._codes[code] = _Issued(
            person, asked["code_challenge"], redirect_uri, time.monotonic() + CODE_SECONDS
        )
        back = urlencode({"code": code, "state": asked["state"]})
        return _redirect(f"{redirect_uri}?{back}", person.text)

    def redeem(self, form: dict[str, str]) -> TokenRequest:
        """Return what a code gives, once, to who began the sign-in. Raises TokenError."""
        issued = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            issued is None
            or issued.until < time.monotonic()
            or form.get("client_id") != SIGN_IN.client_id
            or form.get("redirect_uri") != issued.redirect_uri
            or not secrets.compare_digest(challenge, issued.challenge)
        ):
            raise TokenError("invalid_grant", "The code is not valid, or its verifier is not.")
        [role, organization_id] = issued.person
        # A role's scopes that the API has.
        scope = " ".join(scope for scope in SCOPES[role].split() if scope in self._scopes)
        return TokenRequest(scope, organization_id, role)

    def _forget_old(self) -> None:
        now = time.monotonic()
        kept = [(code, of) for code, of in self._codes.items() if of.until > now]
        self._codes = dict(kept[-_MOST_CODES:])


def end_session() -> HttpResponse:
    """Forget the person, and lead to the console, which begins a sign-in."""
    return _redirect(SIGN_IN.redirect_uri, None)


def _choice_page(request: HttpRequest, organizations: list[dict[str, Any]]) -> bytes:
    """Return the page on which a person chooses who to be."""
    asked = {name: value for name, value in parse_qsl(request.query) if name != "prompt"}
    choices = [_choice(asked, "operator:", "The operator", "all organizations, prices, revenue")]
    for organization in organizations:
        for role, may in (("finance", "finance: pays, settings"), ("engineer", "engineer: reads")):
            who = f"{role}:{organization['id']}"
            choices.append(_choice(asked, who, organization["name"], may))
    files = console.RELEASES + console.current(SIGN_IN).name
    return _PAGE.format(files=files, choices="\n".join(choices)).encode()


def _choice(asked: dict[str, str], who: str, name: str, may: str) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{html.escape(key)}" value="{html.escape(value)}">'
        for key, value in asked.items()
        if key != "who"
    )
    return _CHOICE.format(action=AUTHORIZE, hidden=hidden, who=who, name=html.escape(name), may=may)


def _redirect_uri(asked: dict[str, str], request: HttpRequest) -> str:
    given = asked.get("redirect_uri", "")
    host = dict(request.headers).get("host", "")
    if (
        asked.get("client_id") != SIGN_IN.client_id
        or given != f"http://{host}{SIGN_IN.redirect_uri}"
    ):
        raise InvalidRequest("The local issuer signs people in for its own console alone.")
    if (
        asked.get("response_type") != "code"
        or asked.get("code_challenge_method") != "S256"
        or not asked.get("code_challenge")
        or not asked.get("state")
    ):
        raise InvalidRequest(
            "A sign-in needs `response_type=code`, `state`, `code_challenge` and"
            " `code_challenge_method=S256`."
        )
    return given


def _cookie(request: HttpRequest) -> str | None:
    found = SimpleCookie(dict(request.headers).get("cookie", "")).get(_SESSION)
    return found.value if found else None


def _redirect(to: str, session: str | None) -> HttpResponse:
    cookie = f"{_SESSION}={session or ''}; HttpOnly; SameSite=Lax; Path=/_local"
    if session is None:
        cookie += "; Max-Age=0"
    headers = [("location", to), ("set-cookie", cookie), ("cache-control", "no-store")]
    return HttpResponse(303, headers, b"")
