"""What can go wrong, as a tree.

BillingError
  InvalidAmount, InvalidTime   the request holds a float, or a time without a zone; nothing was sent
  InvalidSignature             a webhook's body is not the product's
  NotCaptured                  a held call ended without a capture
  Unanswered                   no answer came: applied once or not at all; the same key finds out
  Refused                      the API answered no: `status`, `code`, `detail`, `problem`
    InvalidRequest             400, 413, 415
    Unauthenticated, Forbidden 401, 403
    PaymentRequired            402
      InsufficientCredits, BudgetExceeded, OrganizationSuspended
    NotFound                   404
    Conflict                   409
    Misdirected                421: `problem.home_endpoint` is the place to ask
    Unprocessable              422
      IdempotencyKeyReused, CaptureExceedsHold, PriceUnknown
    TooManyRequests            429, after the last retry; not applied
    Unavailable                5xx, after the last retry; applied once or not at all
"""

from typing import ClassVar

import httpx
from pydantic import ValidationError

from synaxis_billing_client.models import Problem


class BillingError(Exception):
    """Any error of this package."""


class InvalidAmount(BillingError, ValueError):
    """An amount is a float, or no number."""


class InvalidTime(BillingError, ValueError):
    """A time has no time zone."""


class InvalidSignature(BillingError, ValueError):
    """A webhook was not signed by the endpoint's secret, or not now."""


class NotCaptured(BillingError):
    """A held call ended without a capture and without an error."""


class Unanswered(BillingError):
    """No answer came, or no connection; the call was applied once or not at all."""


class Refused(BillingError):
    """The API answered with an error."""

    statuses: ClassVar[tuple[int, ...]] = ()
    code_of: ClassVar[str | None] = None

    def __init__(self, status: int, problem: Problem) -> None:
        self.status = status
        self.problem = problem
        self.code = problem.code
        self.detail = problem.detail or problem.title or problem.message or f"HTTP {status}"
        super().__init__(f"{status} {self.code or ''}: {self.detail}".replace(" :", ":"))


class InvalidRequest(Refused):
    """A field breaks a rule; `problem.errors` names it."""

    statuses = (400, 413, 415)


class Unauthenticated(Refused):
    """There is no token, or it is not valid."""

    statuses = (401,)


class Forbidden(Refused):
    """The token does not have the scope."""

    statuses = (403,)


class PaymentRequired(Refused):
    """Credit, a budget or the organization's status does not allow the call."""

    statuses = (402,)


class InsufficientCredits(PaymentRequired):
    """The available credit is too small; `problem` has available_usd, required_usd, deficit_usd."""

    code_of = "insufficient_credits"


class BudgetExceeded(PaymentRequired):
    """A hard budget is used up."""

    code_of = "budget_exceeded"


class OrganizationSuspended(PaymentRequired):
    """The organization is suspended or closed."""

    code_of = "organization_suspended"


class NotFound(Refused):
    """There is no such organization, hold, transaction or other object."""

    statuses = (404,)


class Conflict(Refused):
    """The state does not allow it, or it exists already."""

    statuses = (409,)


class Misdirected(Refused):
    """The organization lives in another region."""

    statuses = (421,)


class Unprocessable(Refused):
    """The request is valid, and cannot be done."""

    statuses = (422,)


class IdempotencyKeyReused(Unprocessable):
    """The key came with another request before."""

    code_of = "idempotency_key_reused"


class CaptureExceedsHold(Unprocessable):
    """The capture is larger than its hold, and does not charge the overrun."""

    code_of = "capture_exceeds_hold"


class PriceUnknown(Unprocessable):
    """The model has no price."""

    code_of = "price_unknown"


class TooManyRequests(Refused):
    """Too much is under way; nothing was applied."""

    statuses = (429,)


class Unavailable(Refused):
    """The API failed; the call was applied once or not at all."""

    statuses = tuple(range(500, 600))


# No answer yet, or none that tells what happened: the same call may be sent again later.
AWAY = (Unanswered, Unavailable, TooManyRequests)


def refusal(response: httpx.Response) -> Refused:
    """The error of an answer; its body may be that of a gateway or a proxy."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = Problem(detail=response.text[:200] or None)
    of_status = next(
        (kind for kind in Refused.__subclasses__() if response.status_code in kind.statuses),
        Refused,
    )
    kind = next(
        (kind for kind in of_status.__subclasses__() if kind.code_of == problem.code), of_status
    )
    return kind(response.status_code, problem)
