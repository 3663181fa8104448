"""Refusals of the product: each has a status, a code and a problem body.

BillingError
├── InvalidRequest            400  a field breaks a rule; `errors` names each
├── Unauthenticated           401
├── PaymentRequired           402
├── Forbidden                 403
├── NotFound                  404  also for what belongs to another tenant
├── Conflict                  409
├── PayloadTooLarge           413
├── UnsupportedMediaType      415
├── Misdirected               421  another region holds the organization
├── Unprocessable             422
├── TooManyRequests           429  this organization alone has too much under way
└── TemporarilyUnavailable    503  nothing was changed, or a retry with the same key tells

A refusal with a code of its own is a subclass beside its noun, such as `HoldNotFound` in
`ledger/holds.py`. Its docstring is what the client reads when the refusal says nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

# More than that tell nobody more, and an answer has its limit.
MOST_ERRORS = 100


class BillingError(Exception):
    """A refusal: `code` for programs, `detail` for people, `facts` that the answer adds.

    `members` describes each of the facts, by its name.
    """

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    members: ClassVar[Mapping[str, str]] = {}
    # Under which it is counted by itself, for those who watch it.
    metric: ClassVar[str] = ""

    def __init__(self, detail: str | None = None, **facts: Any) -> None:
        self.detail = detail or str(type(self).__doc__)
        self.facts = facts
        super().__init__(self.detail)

    def problem(self) -> dict[str, Any]:
        """Return the body of an `application/problem+json` answer (RFC 9457)."""
        return {
            "type": f"urn:synaxis-billing:problem:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": int(self.status),
            "detail": self.detail,
            "code": self.code,
            **self.facts,
        }


class InvalidRequest(BillingError):
    """The request is not valid."""

    status = HTTPStatus.BAD_REQUEST
    code = "invalid_request"
    members: ClassVar = {"errors": "The fields that break a rule, each with the rule."}


class Unauthenticated(BillingError):
    """The request carries no valid token."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthenticated"


class PaymentRequired(BillingError):
    """Credit or a budget does not cover the request."""

    status = HTTPStatus.PAYMENT_REQUIRED


class Forbidden(BillingError):
    """The token does not allow this request."""

    status = HTTPStatus.FORBIDDEN
    code = "forbidden"


class NotFound(BillingError):
    """The route does not exist."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class Conflict(BillingError):
    """This action is not allowed in the current state."""

    status = HTTPStatus.CONFLICT
    code = "invalid_state"


class PayloadTooLarge(BillingError):
    """The body is too large."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "payload_too_large"


class UnsupportedMediaType(BillingError):
    """The body is compressed; send it as it is."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_media_type"


class Misdirected(BillingError):
    """Another region holds the organization."""

    status = HTTPStatus.MISDIRECTED_REQUEST
    code = "misdirected_request"
    members: ClassVar = {
        "home_region": "The region that holds the organization.",
        "home_endpoint": "The URL of that region's API.",
    }


class Unprocessable(BillingError):
    """The request contradicts what the ledger holds."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooManyRequests(BillingError):
    """This organization has too many requests under way. Retry with the same Idempotency-Key."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_requests"


class TemporarilyUnavailable(BillingError):
    """The service cannot answer now. Retry with the same Idempotency-Key."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "temporarily_unavailable"


def refusals(kind: type[BillingError] = BillingError) -> Iterator[type[BillingError]]:
    """Iterate over every refusal that has a code, of the modules that are imported."""
    for subclass in kind.__subclasses__():
        if "code" in vars(subclass):
            yield subclass
        yield from refusals(subclass)


def invalid_field(place: str, pointer: str, rule: str) -> InvalidRequest:
    """Return the refusal of one field.

    `place` is body, query, path or header; `pointer` is a JSON pointer (RFC 6901); `rule` completes
    "<field> ...".
    """
    return invalid_fields([{"in": place, "pointer": pointer, "detail": rule}])


def invalid_fields(errors: Sequence[dict[str, str]]) -> InvalidRequest:
    """Return the refusal of several fields, the first 100 of them; its detail is the first."""
    return InvalidRequest(_sentence(errors[0]), errors=list(errors[:MOST_ERRORS]))


def _sentence(error: dict[str, str]) -> str:
    name = error["pointer"].removeprefix("/")
    return f"{f'`{name}`' if name else f'The {error["in"]}'} {error['detail']}."
