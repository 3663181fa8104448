"""The API's document, a page to read it and to try it out, and the guides. All are public."""

from pathlib import Path

from synaxis_billing.edge.http import reference
from synaxis_billing.edge.http.answers import File
from synaxis_billing.edge.http.api import Api

handler = api = Api()
# docs/ is a link to the repository's; `sam build` copies what it leads to.
HERE = Path(__file__).parent


@api.endpoint("GET /openapi.json", scope=None)
def get_document() -> File:
    return reference.document(HERE / "docs")


@api.endpoint("GET /docs", scope=None)
def get_page() -> File:
    return reference.page(HERE / "docs")


@api.endpoint("GET /docs/{file}", scope=None)
def get_file(file: str) -> File:
    return reference.file(file, [HERE, HERE / "docs"])
