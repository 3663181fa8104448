"""The reference of the API: its OpenAPI document, a page that shows it, and the guides."""

import functools
import html
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aws_lambda_powertools

from synaxis_billing.edge.http.answers import File
from synaxis_billing.edge.settings import settings
from synaxis_billing.errors import NotFound

# Powertools brings Swagger UI along (Apache-2.0).
_SWAGGER_UI = Path(aws_lambda_powertools.__file__).parent / "event_handler/openapi/swagger_ui"
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".md": "text/plain"}
_CACHED_SECONDS = 3600
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Synaxis Billing</title>
<link rel="stylesheet" href="docs/swagger-ui.min.css">
<script src="docs/swagger-ui-bundle.min.js" defer></script>
<script src="docs/docs.js" defer></script>
</head>
<body>
<nav class="swagger-ui"><div class="wrapper"><p>Guides: {guides}</p></div></nav>
<main id="docs"></main>
</body>
</html>
"""


def document(folder: Path) -> File:
    """Return openapi.json of a folder, which names this deployment's issuer of tokens."""
    return _file(_document(folder), "application/json")


def page(folder: Path) -> File:
    """Return the page that shows the document, with links to the guides in a folder."""
    guides = ", ".join(
        f'<a href="docs/{guide.name}">{html.escape(_title(guide))}</a>'
        for guide in sorted(folder.glob("*.md"))
    )
    return _file(
        _PAGE.format(guides=guides),
        "text/html",
        **{"content-security-policy": _content_security_policy()},
    )


def file(name: str, folders: Sequence[Path]) -> File:
    """Return a script, a style sheet or a guide, of the folders or of Swagger UI. Raises
    NotFound."""
    media_type = _MEDIA_TYPES.get(Path(name).suffix)
    for folder in (*folders, _SWAGGER_UI):
        path = folder / name
        if media_type is not None and Path(name).name == name and path.is_file():
            return _file(path.read_text(), media_type)
    raise NotFound("There is no such page.")


@functools.cache
def _document(folder: Path) -> str:
    text = (folder / "openapi.json").read_text()
    endpoint = settings().oauth_endpoint
    if not endpoint:
        return text
    if ".amazoncognito.com/" in endpoint:
        # Cognito writes a resource server's scope with a slash.
        text = text.replace('"billing:', '"billing/')
    found = json.loads(text)
    oauth2 = found["components"]["securitySchemes"]["oauth2"]
    oauth2["flows"]["clientCredentials"]["tokenUrl"] = endpoint
    return json.dumps(found, ensure_ascii=False)


def _title(guide: Path) -> str:
    return guide.read_text().partition("\n")[0].removeprefix("# ")


def _content_security_policy() -> str:
    endpoint = urlsplit(settings().oauth_endpoint)
    issuer = f" {endpoint.scheme}://{endpoint.netloc}" if endpoint.netloc else ""
    # Swagger UI draws its icons from data: URLs, and styles elements by its script alone.
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        f" connect-src 'self'{issuer}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _file(content: str, media_type: str, **headers: str) -> File:
    headers |= {
        "cache-control": f"public, max-age={_CACHED_SECONDS}",
        "x-content-type-options": "nosniff",
    }
    return File(content, f"{media_type}; charset=utf-8", headers=headers)
