"""Everything that the product refuses, and how it says so.

BillingError
├── InvalidRequest            400  a field breaks a rule; `errors` names each
│   └── IdempotencyKeyRequired
├── Unauthenticated           401
├── InsufficientCredits       402  says what is available, required and missing
├── Forbidden                 403
├── NotFound                  404  organization, transaction, hold; also another tenant's
├── Conflict                  409  invalid_state, organization_exists
├── PayloadTooLarge           413
├── Misdirected               421  another region holds the organization; says where it answers
├── Unprocessable             422  the key was reused, the refund or the capture is too large
└── TemporarilyUnavailable    503  nothing was changed, or a retry with the same key finds out
"""

from http import HTTPStatus
from typing import Any


class BillingError(Exception):
    """A refusal: `code` for programs, `detail` for people, `facts` that the answer adds."""

    status = HTTPStatus.BAD_REQUEST
    code = "invalid_request"

    def __init__(self, detail: str, *, code: str | None = None, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.facts = facts

    def problem(self) -> dict[str, Any]:
        """The body of RFC 9457, `application/problem+json`."""
        return {
            "type": f"urn:synaxis-billing:problem:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": int(self.status),
            "detail": self.detail,
            "code": self.code,
            **self.facts,
        }


class InvalidRequest(BillingError):
    pass


def invalid_field(place: str, pointer: str, rule: str) -> InvalidRequest:
    """The refusal of one field: where it is (body, query, path, header), its JSON pointer
    (RFC 6901) and the rule that it breaks."""
    return invalid_fields([{"in": place, "pointer": pointer, "detail": rule}])


def invalid_fields(errors: list[dict[str, str]]) -> InvalidRequest:
    return InvalidRequest("The request breaks a rule.", errors=errors)


class IdempotencyKeyRequired(InvalidRequest):
    code = "idempotency_key_required"


class Unauthenticated(BillingError):
    status = HTTPStatus.UNAUTHORIZED
    code = "unauthenticated"


class InsufficientCredits(BillingError):
    status = HTTPStatus.PAYMENT_REQUIRED
    code = "insufficient_credits"


class Forbidden(BillingError):
    status = HTTPStatus.FORBIDDEN
    code = "forbidden"


class NotFound(BillingError):
    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class Conflict(BillingError):
    status = HTTPStatus.CONFLICT
    code = "invalid_state"


class PayloadTooLarge(BillingError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "payload_too_large"


class Misdirected(BillingError):
    status = HTTPStatus.MISDIRECTED_REQUEST
    code = "misdirected_request"


class Unprocessable(BillingError):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "unprocessable"


class TemporarilyUnavailable(BillingError):
    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "temporarily_unavailable"
