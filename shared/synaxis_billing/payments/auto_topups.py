"""Automatic top-ups: credit is bought with a saved card when it falls below a threshold."""

from collections.abc import Iterable, Iterator
from typing import Self
from uuid import UUID

import psycopg
from pydantic import model_validator

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import Conflict, NotFound
from synaxis_billing.fields import Answer, Money, Request, Time, Usd, UsdOrZero
from synaxis_billing.invoices.invoices import terms
from synaxis_billing.invoices.parties import Issuer
from synaxis_billing.payments.advancing import Access
from synaxis_billing.rates.rates import Rate


class AutoTopupRequest(Request):
    """When to top up, up to what, and how much at most in a calendar month."""

    threshold_usd: UsdOrZero
    """Credit is bought when less than this, in US dollars, is available without credit limit."""
    target_usd: Usd
    """Credit in US dollars that is available after a top-up; more than the threshold."""
    monthly_limit_usd: Usd
    """Credit in US dollars that is bought at most in a calendar month, in the time zone of the
    organization."""

    @model_validator(mode="after")
    def _check_target(self) -> Self:
        if self.target_usd <= self.threshold_usd:
            raise ValueError("`target_usd` must be more than `threshold_usd`")
        return self


class AutoTopup(Answer):
    """Automatic top-ups of an organization."""

    organization_id: UUID
    threshold_usd: Money
    """Credit is bought when less than this, in US dollars, is available without credit limit."""
    target_usd: Money
    """Credit in US dollars that is available after a top-up."""
    monthly_limit_usd: Money
    """Credit in US dollars that is bought at most in a calendar month."""
    charged_this_month_usd: Money
    """Credit in US dollars that was bought, or is being bought, in this calendar month."""
    card: str | None
    """Brand and last digits of the card that is charged."""
    declines: int
    """How often the card was declined since the last payment that succeeded."""
    next_attempt_at: Time | None
    """Time before which nothing is tried, after a decline or until the next month; null for now."""
    paused_at: Time | None
    """Time since which nothing is tried until a payment succeeds; null if it is not paused."""
    paused_reason: str | None
    """Why it is paused: the code of the last decline, or `dispute_lost`."""
    created_at: Time
    updated_at: Time
    """Time of the newest change of these limits."""


class AutoTopupNotFound(NotFound):
    """The organization has no automatic top-ups."""

    code = "auto_topup_not_found"


class NoSavedCard(Conflict):
    """No card is saved: pay for credit by card once, which saves it."""

    code = "no_saved_card"


def set_auto_topup(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, request: AutoTopupRequest
) -> AutoTopup:
    """Switch automatic top-ups on, or change them. Raises OrganizationNotFound, NoSavedCard."""
    return _auto_topup(
        db,
        "set_auto_topup",
        caller,
        organization_id,
        **request.model_dump(),
        initiated_by=caller.subject,
    )


def get_auto_topup(db: psycopg.Connection, caller: Caller, organization_id: UUID) -> AutoTopup:
    """Return the automatic top-ups. Raises OrganizationNotFound, AutoTopupNotFound."""
    return _auto_topup(db, "auto_topup", caller, organization_id)


def delete_auto_topup(db: psycopg.Connection, caller: Caller, organization_id: UUID) -> AutoTopup:
    """Switch automatic top-ups off; a payment that is under way goes on. Raises
    OrganizationNotFound, AutoTopupNotFound."""
    return _auto_topup(db, "delete_auto_topup", caller, organization_id)


def claim_auto_topups(
    access: Access, rates: Iterable[Rate], issuer: Issuer
) -> Iterator[tuple[UUID, UUID]]:
    """Iterate over the payments of the top-ups that are due, by organization and id. Each is
    written before it is sent, and is the organization's only one until it has ended."""
    at = terms(rates, issuer)
    for organization_id in procedures.each_organization(access.connect, "due_auto_topups"):
        claimed = procedures.call(
            access.connect(),
            "claim_auto_topup",
            tenant="*",
            organization_id=organization_id,
            terms=at,
        )
        if claimed is not None:
            yield organization_id, claimed


def _auto_topup(
    db: psycopg.Connection,
    function: str,
    caller: Caller,
    organization_id: UUID,
    **arguments: object,
) -> AutoTopup:
    outcome = procedures.call(
        db, function, tenant=caller.tenant, organization_id=organization_id, **arguments
    )
    return AutoTopup.model_validate(procedures.accepted(outcome)[0])
