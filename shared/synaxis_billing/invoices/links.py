"""Links by which anybody who has one opens one document, until it expires, and nothing else."""

import base64
import binascii
import hmac
import struct
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, NamedTuple, get_args
from uuid import UUID

import psycopg
from pydantic import Field, StringConstraints

from synaxis_billing import procedures
from synaxis_billing.errors import Forbidden, NotFound
from synaxis_billing.fields import Answer, Request, Time

LIFETIME = timedelta(minutes=5)
DocumentFormat = Literal["pdf", "csv"]
FORMATS: tuple[DocumentFormat, ...] = get_args(DocumentFormat)
# Three ids, the format, the second of the expiry; then the signature.
_TEXT = struct.Struct(">16s16s16sBQ")
_NO_NOTE = UUID(int=0)
LinkToken = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    Field(description="The secret of the link."),
]


class NewDocumentLink(Request):
    """An invoice, or a credit note of it, in one format."""

    invoice_id: UUID
    """Id of the invoice."""
    credit_note_id: UUID | None = None
    """Id of a credit note of the invoice, whose document is meant."""
    format: DocumentFormat = "pdf"
    """Form of the document."""


class DocumentLink(Answer):
    """A link that a browser opens without a token."""

    url: str
    """Path and secret of the link, relative to the URL of the API."""
    expires_at: Time
    """Instant from which the link is closed."""


class Linked(NamedTuple):
    """The document that a link opens."""

    organization_id: UUID
    invoice_id: UUID
    credit_note_id: UUID | None
    format: DocumentFormat


class DocumentLinkNotFound(NotFound):
    """The link does not exist."""

    code = "document_link_not_found"


class DocumentLinkExpired(Forbidden):
    """The link has expired. Ask for a new one."""

    code = "document_link_expired"


def link(db: psycopg.Connection, linked: Linked) -> DocumentLink:
    """Return a link to a document, which the caller may read."""
    # Whole seconds, as the token has them.
    expires_at = datetime.now(UTC).replace(microsecond=0) + LIFETIME
    token = sign(_read_key(db), linked, expires_at)
    return DocumentLink(url=f"/v1/documents/{token}", expires_at=expires_at)


def open_link(db: psycopg.Connection, token: str) -> Linked:
    """Return the document of a link. Raises DocumentLinkNotFound, DocumentLinkExpired."""
    return verify(_read_key(db), token, datetime.now(UTC))


def _read_key(db: psycopg.Connection) -> bytes:
    return bytes.fromhex(procedures.call(db, "document_key"))


def sign(key: bytes, linked: Linked, expires_at: datetime) -> str:
    """Return the token of a link to a document."""
    text = _TEXT.pack(
        linked.organization_id.bytes,
        linked.invoice_id.bytes,
        (linked.credit_note_id or _NO_NOTE).bytes,
        FORMATS.index(linked.format),
        int(expires_at.timestamp()),
    )
    return base64.urlsafe_b64encode(text + _signature(key, text)).decode().rstrip("=")


def verify(key: bytes, token: str, now: datetime) -> Linked:
    """Return the document of a link. Raises DocumentLinkNotFound, DocumentLinkExpired."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        signed = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise DocumentLinkNotFound from None
    text, signature = signed[: _TEXT.size], signed[_TEXT.size :]
    if not hmac.compare_digest(signature, _signature(key, text)):
        raise DocumentLinkNotFound
    organization_id, invoice_id, note_id, place, expires = _TEXT.unpack(text)
    if now >= datetime.fromtimestamp(expires, UTC):
        raise DocumentLinkExpired
    note = UUID(bytes=note_id)
    return Linked(
        UUID(bytes=organization_id),
        UUID(bytes=invoice_id),
        None if note == _NO_NOTE else note,
        FORMATS[place],
    )


def _signature(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")
