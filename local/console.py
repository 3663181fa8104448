"""The console's files: a page, and a folder for each release, whose files never change.

A release is named by the sum of its files. The page names the release and how people sign in; both
are filled in here, by the local gateway and by a deployment alike.
"""

import functools
import gzip
import hashlib
import html
import json
import mimetypes
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from local.events import HttpRequest, HttpResponse
from local.template import ROOT
from synaxis_billing.edge.http.negotiation import accepts_gzip
from synaxis_billing.edge.http.transfer import SMALLEST_COMPRESSED
from synaxis_billing.errors import NotFound

FOLDER = ROOT / "console"
RELEASES = "/console/release/"
# What is not a file of a browser.
_OTHER = {"index.html", "VENDOR.toml"}
CACHED_FOR_EVER = "public, max-age=31536000, immutable"


class SignIn(NamedTuple):
    """The issuer, to a page that signs people in by the code flow with PKCE. An address without a
    host is of the page's own origin."""

    authorization_endpoint: str
    token_endpoint: str
    end_session_endpoint: str
    client_id: str
    scope: str = "openid"
    redirect_uri: str = "/console/"


class Release(NamedTuple):
    """A release as it is served: its files by their paths below its folder, and its page."""

    name: str
    files: dict[str, bytes]
    page: bytes
    packed: dict[bytes, bytes]
    """Each of them compressed by gzip."""


def files() -> dict[str, bytes]:
    """Return the files of a release by their paths below its folder."""
    return {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in _paths()
        if path.name not in _OTHER
    }


def release(contents: dict[str, bytes]) -> str:
    """Return the name of a release, the same for the same files."""
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def page(name: str, sign_in: SignIn) -> str:
    """Return the page of a release."""
    text = (FOLDER / "index.html").read_text().replace("%FILES%", RELEASES + name)
    return text.replace("%SIGN_IN%", html.escape(json.dumps(sign_in._asdict())))


def current(sign_in: SignIn) -> Release:
    """Return the release of the files as they are now, which are read again after a change."""
    return _read(tuple((path, path.stat().st_mtime_ns) for path in _paths()), sign_in)


@functools.lru_cache(maxsize=1)
def _read(_changed: tuple[tuple[Path, int], ...], sign_in: SignIn) -> Release:
    contents = files()
    name = release(contents)
    body = page(name, sign_in).encode()
    packed = {content: gzip.compress(content) for content in (*contents.values(), body)}
    return Release(name, contents, body, packed)


def _paths() -> list[Path]:
    return sorted(FOLDER.rglob("*.*"))


def policy(sign_in: SignIn) -> str:
    """Return the content security policy: nothing inline, and nothing of others but the issuer's
    token endpoint."""
    endpoint = urlsplit(sign_in.token_endpoint)
    issuer = f" {endpoint.scheme}://{endpoint.netloc}" if endpoint.netloc else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        f" connect-src 'self'{issuer}; form-action 'self'; base-uri 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    )


def media_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def content_type(kind: str) -> str:
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def headers(kind: str, sign_in: SignIn, cached: str = "no-store") -> list[tuple[str, str]]:
    """Return the headers of a file or page of the console."""
    return [
        ("content-type", content_type(kind)),
        ("cache-control", cached),
        ("content-security-policy", policy(sign_in)),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ]


def answer(request: HttpRequest, sign_in: SignIn) -> HttpResponse:
    """Return what is below /console: a release's file, or the page. Raises NotFound."""
    served = current(sign_in)
    if request.path.startswith(RELEASES):
        asked, _, file = request.path.removeprefix(RELEASES).partition("/")
        if asked != served.name or file not in served.files:
            raise NotFound("The console has no such file.")
        body, found = served.files[file], headers(media_type(file), sign_in, CACHED_FOR_EVER)
    else:
        body, found = served.page, headers("text/html", sign_in)
    found.append(("vary", "Accept-Encoding"))
    accepted = dict(request.headers).get("accept-encoding", "")
    if len(body) < SMALLEST_COMPRESSED or not accepts_gzip(accepted):
        return HttpResponse(200, found, body)
    return HttpResponse(200, [*found, ("content-encoding", "gzip")], served.packed[body])
