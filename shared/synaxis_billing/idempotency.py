"""Idempotency keys: one key has one effect, and a retry gets the first answer again."""

import hashlib

from synaxis_billing.errors import InvalidRequest, Unprocessable
from synaxis_billing.fields import Request


class IdempotencyKeyRequired(InvalidRequest):
    """A request that changes a balance needs an Idempotency-Key."""

    code = "idempotency_key_required"


class IdempotencyKeyReused(Unprocessable):
    """This Idempotency-Key was already used by a different request."""

    code = "idempotency_key_reused"


def fingerprint(operation: str, request: Request) -> bytes:
    """Return the digest that tells a retry from another request with the same key."""
    content = request.model_dump_json(exclude_defaults=True)
    return hashlib.sha256(f"{operation}\n{content}".encode()).digest()
