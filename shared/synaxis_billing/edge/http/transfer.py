"""How an answer travels: not at all if the client has it, and compressed if it takes that."""

import hashlib
from collections.abc import Mapping
from typing import Any

from synaxis_billing.edge.http.negotiation import accepts_gzip

# What fits one packet gains nothing.
SMALLEST_COMPRESSED = 1400
_LEVEL = 5
_COMPRESSIBLE = ("text/", "application/json", "application/problem+json", "image/svg+xml")


def transfer(method: str, headers: Mapping[str, str], answered: dict[str, Any]) -> dict[str, Any]:
    """Return an answer in payload format 2.0 as the request's headers ask for it.

    A GET is answered 304 without a body when If-None-Match names the ETag of the answer. Text is
    compressed by gzip when Accept-Encoding names it (RFC 9110, sections 8.8.3, 12.5.3, 13.1.2).
    """
    if method == "GET" and answered["statusCode"] == 200:
        answered = _unless_known(headers.get("if-none-match", ""), answered)
    if not answered["headers"].get("content-type", "").startswith(_COMPRESSIBLE):
        return answered
    vary = ", ".join(filter(None, [answered["headers"].get("vary"), "Accept-Encoding"]))
    answered = {**answered, "headers": {**answered["headers"], "vary": vary}}
    if answered["isBase64Encoded"] or not accepts_gzip(headers.get("accept-encoding", "")):
        return answered
    body = answered["body"].encode()
    if len(body) < SMALLEST_COMPRESSED:
        return answered
    # Not at the top: most answers are small.
    import base64
    import gzip

    # Without a time, one body is always the same bytes.
    packed = base64.b64encode(gzip.compress(body, _LEVEL, mtime=0)).decode()
    packed_headers = {**answered["headers"], "content-encoding": "gzip"}
    return {**answered, "headers": packed_headers, "body": packed, "isBase64Encoded": True}


def _unless_known(if_none_match: str, answered: dict[str, Any]) -> dict[str, Any]:
    body = answered["body"].encode(errors="surrogatepass")
    # Weak: the compressed bytes are others.
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"cache-control": "private, no-cache", **answered["headers"], "etag": tag}
    known = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    if "*" not in known and tag.removeprefix("W/") not in known:
        return {**answered, "headers": headers}
    kept = {name: headers[name] for name in ("etag", "cache-control", "vary") if name in headers}
    return {"statusCode": 304, "headers": kept, "body": "", "isBase64Encoded": False}
