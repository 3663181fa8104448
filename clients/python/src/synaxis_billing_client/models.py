# Generated from docs/openapi.json by clients/python/generate.py; do not edit.
# ruff: noqa: E501

from __future__ import annotations

from datetime import date as date_aliased
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field


class Address(BaseModel):
    """
    A postal address.
    """

    line1: str
    """
    Street and number, or post office box.
    """
    line2: str | None = None
    """
    Building, floor or department.
    """
    postal_code: str | None = None
    """
    Postal code.
    """
    city: str
    """
    City or town.
    """
    state: str | None = None
    """
    State, province or region.
    """
    country: str
    """
    ISO 3166-1 alpha-2 code of the country.
    """


class AppliedRate(BaseModel):
    """
    The rate that was found: of the bucket or its parent, of the tier or the standard one.
    """

    bucket: str
    """
    Kind of token whose rate applies.
    """
    service_tier: str
    """
    Service tier whose rate applies.
    """
    above_input_tokens: int
    """
    Number of input tokens above which the rate applies.
    """


class AutoTopup(BaseModel):
    """
    Automatic top-ups of an organization.
    """

    organization_id: UUID
    """
    Id of the organization.
    """
    threshold_usd: Decimal
    """
    Credit is bought when less than this, in US dollars, is available without credit limit.
    """
    target_usd: Decimal
    """
    Credit in US dollars that is available after a top-up.
    """
    monthly_limit_usd: Decimal
    """
    Credit in US dollars that is bought at most in a calendar month.
    """
    charged_this_month_usd: Decimal
    """
    Credit in US dollars that was bought, or is being bought, in this calendar month.
    """
    card: str | None
    """
    Brand and last digits of the card that is charged.
    """
    declines: int
    """
    How often the card was declined since the last payment that succeeded.
    """
    next_attempt_at: AwareDatetime | None
    """
    Time before which nothing is tried, after a decline or until the next month; null for now.
    """
    paused_at: AwareDatetime | None
    """
    Time since which nothing is tried until a payment succeeds; null if it is not paused.
    """
    paused_reason: str | None
    """
    Why it is paused: the code of the last decline, or `dispute_lost`.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """
    updated_at: AwareDatetime
    """
    Time of the newest change of these limits.
    """


class Budget(BaseModel):
    """
    A budget, and what its window contains now.
    """

    id: UUID
    """
    Id, a UUID that the server made.
    """
    organization_id: UUID
    """
    Id of the organization.
    """
    subject: str
    """
    What the budget is of. One of `organization`, `team`, `virtual_key`, `end_user`, `model`, `provider`, or one of a later version.
    """
    subject_id: str | None
    """
    Id of the team, key or person, or name of the model or provider.
    """
    subject_name: str | None
    """
    Name that the organization gave the team or key.
    """
    window: str
    """
    How long it counts. One of `day`, `week`, `month`, `lifetime`, `rate`, or one of a later version.
    """
    limit_usd: Decimal
    """
    The most that may be spent in a window; of a rate, in an hour.
    """
    burst_usd: Decimal | None
    """
    Of a rate: the most that may be spent at once.
    """
    mode: str
    """
    Whether it refuses what exceeds it, or only alerts. One of `hard`, `soft`, or one of a later version.
    """
    alert_percents: list[int]
    """
    Percentages at which `budget.alert` is sent.
    """
    spent_usd: Decimal
    """
    What the subject was charged in this window, less refunds; of a rate, what has not been forgotten.
    """
    held_usd: Decimal
    """
    What its open holds reserve.
    """
    remaining_usd: Decimal
    """
    What may still be spent: limit_usd, or burst_usd of a rate, less what is spent and held.
    """
    window_start: AwareDatetime | None
    """
    Start of this window; null for a lifetime and a rate.
    """
    resets_at: AwareDatetime | None
    """
    End of this window; of a rate, the time at which nothing is left of what was spent. Null for a lifetime.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """


class BudgetPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[Budget]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class CacheFamilyStatistics(BaseModel):
    """
    The counts of one family of values.
    """

    l1_hits: int
    """
    Reads that memory answered.
    """
    l2_hits: int
    """
    Reads that Redis answered.
    """
    misses: int
    """
    Reads that the source answered.
    """
    hit_ratio: float | None
    """
    Share of reads that a cache answered, from 0 to 1; null before the first read.
    """
    fenced: int
    """
    Values that were not stored because they were invalidated meanwhile.
    """
    stale: int
    """
    Values that were served after their time, because the source failed or was being asked.
    """
    unreachable: int
    """
    Reads for which Redis could not be reached.
    """


class CacheInvalidation(BaseModel):
    """
    `scope` is "region", or "global": every region has been told or will be.
    """

    organization_id: UUID
    """
    Id of the organization; the one that the keys or the pattern name if it is left out.
    """
    scope: str
    """
    `region`, or `global`: every region has been told or will be. One of `region`, `global`, or one of a later version.
    """


class CacheStatistics(BaseModel):
    """
    The counts of this container since it started; each container has its own.
    """

    container_id: UUID
    """
    Id of the container that answers.
    """
    region: str
    """
    Region of the container.
    """
    l1_hits: int
    """
    Reads that memory answered.
    """
    l2_hits: int
    """
    Reads that Redis answered.
    """
    misses: int
    """
    Reads that the source answered.
    """
    hit_ratio: float | None
    """
    Share of reads that a cache answered, from 0 to 1; null before the first read.
    """
    fenced: int
    """
    Values that were not stored because they were invalidated meanwhile.
    """
    l1_entries: int
    """
    Values in memory.
    """
    l1_bytes: int
    """
    Bytes of the values in memory.
    """
    l1_evictions: int
    """
    Values that were removed from memory to make room.
    """
    redis_failures: int
    """
    Failures of Redis.
    """
    breaker_open: bool
    """
    Whether Redis is not asked for now, because it failed.
    """
    families: dict[str, CacheFamilyStatistics]
    """
    The counts of each family of values, by its name.
    """


class ClosingBalance(BaseModel):
    """
    The balance at the end of a day, or now for today.
    """

    day: date_aliased
    """
    Day in the time zone of the organization.
    """
    balance_usd: Decimal
    """
    `balance_after_usd` of the newest transaction of the day or of the days before, in US dollars.
    """
    version: int
    """
    Number of that transaction in the chain of the organization; 0 if there was none.
    """


class Correction(BaseModel):
    """
    What a client gets.
    """

    organization_id: UUID
    """
    Id of the organization whose charges are corrected.
    """
    charges: int
    """
    Number of charges that differ.
    """
    charged_usd: Decimal
    """
    Sum of the charges as they are, in US dollars.
    """
    rerated_usd: Decimal
    """
    Sum of the charges by the price as it is known now, in US dollars.
    """
    correction_usd: Decimal
    """
    Amount in US dollars that is taken; a negative amount is given back.
    """
    transaction_id: UUID | None
    """
    Id of the adjustment; null in a dry run.
    """


class CountingBudget(BaseModel):
    """
    A budget that counted a charge, with its limit of today.
    """

    id: UUID
    """
    Id of the budget.
    """
    subject: str
    """
    Subject of the budget. One of `organization`, `team`, `virtual_key`, `end_user`, `model`, `provider`, or one of a later version.
    """
    subject_id: str | None
    """
    Id of the team, key or person, or name of the model or provider.
    """
    window: str
    """
    Window in which it counts. One of `day`, `week`, `month`, `lifetime`, `rate`, or one of a later version.
    """
    limit_usd: Decimal
    """
    The most that may be spent in a window; of a rate, in an hour.
    """


class CreditNote(BaseModel):
    """
    A credit note, which reverses an invoice, whole or in part.
    """

    id: UUID
    """
    Id, a UUID that the server made.
    """
    organization_id: UUID
    """
    Id of the organization.
    """
    invoice_id: UUID
    """
    Id of the invoice that is credited.
    """
    credit_note_number: str
    """
    Number, gap-free in its series and year.
    """
    issue_date: date_aliased
    """
    Day of issue, in the time zone of the invoice.
    """
    reason: str
    """
    Why the invoice is credited.
    """
    subtotal_usd: Decimal
    """
    Net amount in US dollars.
    """
    tax_usd: Decimal
    """
    Tax in US dollars.
    """
    total_amount_usd: Decimal
    """
    Net amount and tax in US dollars.
    """
    subtotal_billing_currency: Decimal
    """
    Net amount in the billing currency, at the rate of the invoice.
    """
    tax_billing_currency: Decimal
    """
    Tax in the billing currency.
    """
    total_amount_billing_currency: Decimal
    """
    Net amount and tax in the billing currency.
    """
    transaction_id: UUID | None
    """
    Id of the transaction that gave the credit back; null without `refund_credit`.
    """
    corrected_invoice_id: UUID | None
    """
    Id of the invoice that replaces the credited one; null without `reissue`.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """


class CreditNotePage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[CreditNote]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class CreditStatement(BaseModel):
    """
    How the balance moved in the period, in US dollars.
    """

    opening_balance_usd: Decimal
    """
    Balance at the start of the period.
    """
    purchased_usd: Decimal
    """
    Credit of top-ups, and payments of invoices.
    """
    granted_usd: Decimal
    """
    Credit that was given: promotional grants and positive adjustments.
    """
    refunded_usd: Decimal
    """
    Refunds of charges.
    """
    used_usd: Decimal
    """
    Charges and negative adjustments.
    """
    expired_usd: Decimal
    """
    Credit that expired or was voided.
    """
    paid_out_usd: Decimal
    """
    Credit that was refunded to the payer.
    """
    closing_balance_usd: Decimal
    """
    Balance at the end of the period.
    """


class Customer(BaseModel):
    """
    The customer of an invoice.
    """

    number: str | None = None
    """
    Customer number: your own id of the organization, its `external_id`.
    """
    name: str
    """
    Name of the customer.
    """
    address: Address | None = None
    """
    Address of the customer.
    """
    tax_id: str | None = None
    """
    Tax id of the customer.
    """
    reference: str | None = None
    """
    Reference of the customer, its `buyer_reference`.
    """


class DocumentLink(BaseModel):
    """
    A link that a browser opens without a token.
    """

    url: str
    """
    Path and secret of the link, relative to the URL of the API.
    """
    expires_at: AwareDatetime
    """
    Instant from which the link is closed.
    """


class Erasure(BaseModel):
    """
    How many rows were emptied, and whether the profile was; all are when there is no `next_cursor`.
    """

    organization_id: UUID
    """
    Id of the organization.
    """
    transactions: int
    """
    Number of transactions that were emptied.
    """
    holds: int
    """
    Number of holds that were emptied.
    """
    profile: bool
    """
    Whether the profile was emptied.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class ExchangeRate(BaseModel):
    """
    The exchange rate of one currency.
    """

    base: str | None = "USD"
    """
    The currency that the rate is for one unit of: USD.
    """
    currency: str
    """
    ISO 4217 code of the currency.
    """
    rate: Decimal
    """
    Units of the currency per US dollar.
    """
    as_of: AwareDatetime
    """
    Time of the rate at its source.
    """
    source: str
    """
    Source of the rate.
    """
    stale: bool
    """
    Whether the rate is old or the static fallback.
    """


class ExchangeRates(BaseModel):
    """
    `as_of` is that of the oldest rate, `source` names all of them, `stale` holds if any is.
    """

    base: str | None = "USD"
    """
    The currency that the rates are for one unit of: USD.
    """
    rates: dict[str, Decimal]
    """
    Units per US dollar, by the ISO 4217 code of the currency.
    """
    as_of: AwareDatetime
    """
    Time of the oldest rate at its source.
    """
    source: str
    """
    The sources of the rates.
    """
    stale: bool
    """
    Whether any rate is old or the static fallback.
    """


class Confidence(StrEnum):
    """
    Low with less than 14 days of history: then the days before are no measure of the bounds.
    """

    low = "low"
    normal = "normal"


class ExpiringCredit(BaseModel):
    """
    Credit of a grant that expires soon.
    """

    grant_id: UUID
    """
    Id of the grant.
    """
    amount_usd: Decimal
    """
    What is left of the grant, in US dollars.
    """
    expires_at: AwareDatetime
    """
    Instant from which the credit is gone.
    """


class In(StrEnum):
    """
    The field's place.
    """

    body = "body"
    query = "query"
    path = "path"
    header = "header"


class FieldError(BaseModel):
    """
    A field of the request that breaks a rule.
    """

    in_: Annotated[In, Field(alias="in")]
    """
    The field's place.
    """
    pointer: str
    """
    JSON pointer (RFC 6901) to the field.
    """
    detail: str
    """
    The rule, which completes a sentence.
    """


class ForecastDay(BaseModel):
    """
    A day of the forecast; the first is today, whole.
    """

    expected_usd: Decimal
    """
    Expected spend in US dollars.
    """
    low_usd: Decimal
    """
    Lower bound: one of ten is less.
    """
    high_usd: Decimal
    """
    Upper bound: one of ten is more.
    """
    day: date_aliased
    """
    Day in the time zone of the organization.
    """


class ForecastRecord(BaseModel):
    """
    How the last forecasts of one day came true, 90 of them at most.
    """

    days: int
    """
    Number of days that were forecast and are over.
    """
    mase: float | None
    """
    Mean error, as a multiple of that of taking the same weekday of the week before.
    """
    coverage: float | None
    """
    Share of the days whose spend was within its bounds, which should be 0.8.
    """


class FurtherLines(BaseModel):
    """
    The sums of the lines that an invoice does not show.
    """

    lines: int
    """
    Number of these lines.
    """
    requests: int
    """
    Number of charges.
    """
    tokens: int
    """
    Number of tokens.
    """
    amount_usd: Decimal
    """
    Net amount in US dollars.
    """
    amount_billing_currency: Decimal
    """
    Net amount in the billing currency.
    """


class GrantPayment(BaseModel):
    """
    What was paid for a grant, net of tax.
    """

    amount: Decimal
    """
    Amount in the currency of the payment.
    """
    currency: str
    """
    ISO 4217 code of the currency.
    """


class Health(BaseModel):
    """
    Charges are accepted while `database` is ok. Without the `cache` answers are slower; degraded `rates` are old or the static fallback.
    """

    database: str
    """
    Charges are accepted while it is ok. One of `ok`, `degraded`, `down`, or one of a later version.
    """
    cache: str
    """
    Without the cache, answers are slower. One of `ok`, `degraded`, `down`, or one of a later version.
    """
    rates: str
    """
    Degraded rates are old or the static fallback. One of `ok`, `degraded`, `down`, or one of a later version.
    """


class Hold(BaseModel):
    """
    Credit that is reserved for a call whose cost is not known yet.
    """

    id: UUID
    """
    Id of the usage that waits.
    """
    organization_id: UUID
    """
    Id of the organization that will be charged.
    """
    amount_usd: Decimal
    """
    Held amount in US dollars.
    """
    status: str
    """
    State of the hold; it is `expired` once `expires_at` has passed. One of `held`, `captured`, `released`, `expired`, or one of a later version.
    """
    expires_at: AwareDatetime
    """
    Time at which the hold expires by itself.
    """
    captured_usd: Decimal | None
    """
    Captured amount in US dollars; null until it is captured.
    """
    transaction_id: UUID | None
    """
    Id of the charge that captured it; null until then.
    """
    description: str | None
    """
    What the hold is for.
    """
    initiated_by: str | None
    """
    Who asked for it: the `sub` of the token.
    """
    reference_id: str | None
    """
    Reference that the request gave, such as the id of a payment.
    """
    request_id: str | None
    """
    Id of the LLM call.
    """
    team_id: str | None
    """
    Id of the team that made the call.
    """
    virtual_key_id: str | None
    """
    Id of the virtual key that made the call.
    """
    end_user: str | None
    """
    Id of the person who made the call.
    """
    model: str | None
    """
    Name of the model.
    """
    provider: str | None
    """
    Name of the provider.
    """
    region: str | None
    """
    Region in which the call was made.
    """
    metadata: dict[str, str] | None
    """
    Facts that the request gave.
    """
    tokens: int | None
    """
    Number of tokens that the call may use, if it was said.
    """
    created_at: AwareDatetime
    """
    Time at which it was kept.
    """


class HoldPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[Hold]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class Source(StrEnum):
    """
    The figure that the entry books.
    """

    sold = "sold"
    recognized = "recognized"
    breakage = "breakage"
    paid_out = "paid_out"


class JournalEntry(BaseModel):
    """
    An amount that moves from one account to another.
    """

    date: date_aliased
    """
    Last day of the month.
    """
    debit: str
    """
    Account that is debited. One of `cash`, `deferred_revenue`, `revenue`, `breakage_revenue`, or one of a later version.
    """
    credit: str
    """
    Account that is credited. One of `cash`, `deferred_revenue`, `revenue`, `breakage_revenue`, or one of a later version.
    """
    amount_usd: Decimal
    """
    Amount in US dollars.
    """
    source: Source
    """
    The figure that the entry books.
    """


class Label(BaseModel):
    """
    The name of a team or a key.
    """

    kind: str
    """
    What is named. One of `team`, `virtual_key`, or one of a later version.
    """
    id: str
    """
    Id of the team or the virtual key.
    """
    name: str
    """
    Name to show.
    """


class LabelPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[Label]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class LineItem(BaseModel):
    """
    What was charged for one model of one provider.
    """

    description: str
    """
    What was used.
    """
    model: str | None
    """
    Name of the model; null if the charges did not say.
    """
    provider: str | None
    """
    Name of the provider; null if the charges did not say.
    """
    requests: int
    """
    Number of charges.
    """
    tokens: int
    """
    Number of tokens.
    """
    amount_usd: Decimal
    """
    Net amount in US dollars.
    """
    amount_billing_currency: Decimal
    """
    Net amount in the billing currency.
    """


class LineItemPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[LineItem]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class LinkedInvoice(BaseModel):
    """
    What a link asks for.
    """

    invoice_id: UUID
    """
    Id of the invoice.
    """
    invoice_number: str
    """
    Number of the invoice.
    """
    status: str
    """
    State of the invoice. One of `draft`, `issued`, `paid`, `overdue`, `uncollectible`, `cancelled`, or one of a later version.
    """
    seller: str
    """
    Name of the seller.
    """
    currency: str
    """
    ISO 4217 code of the currency.
    """
    amount: Decimal
    """
    What is left to pay, with tax.
    """
    due_date: date_aliased | None
    """
    Day until which to pay.
    """
    expires_at: AwareDatetime
    """
    Instant from which the link is closed.
    """


class LinkedPayment(BaseModel):
    """
    The open payment of a link's invoice.
    """

    status: str
    """
    State of the payment. One of `pending`, `unknown`, `succeeded`, `failed`, `expired`, or one of a later version.
    """
    checkout_url: str | None
    """
    The provider's page on which to pay.
    """
    expires_at: AwareDatetime | None
    """
    Instant from which that page is closed; null if the provider does not say.
    """


class MoneyAtRisk(BaseModel):
    """
    Credit of a grant that is expected to expire before it is spent.
    """

    grant_id: UUID
    """
    Id of the grant.
    """
    amount_usd: Decimal
    """
    Credit in US dollars that the expected spend leaves.
    """
    expires_at: AwareDatetime
    """
    Time at which the grant expires.
    """


class MonthEndFailure(BaseModel):
    """
    An organization that could not be billed.
    """

    organization_id: UUID
    """
    Id of the organization.
    """
    error: str
    """
    Why the organization could not be billed.
    """


class MonthEndProgress(BaseModel):
    """
    `empty` are organizations that were charged nothing; the first failures are listed.
    """

    month: str
    """
    The month, such as 2026-02.
    """
    organizations: int
    """
    Number of organizations to bill.
    """
    pending: int
    """
    Number of organizations that are still to be billed.
    """
    issued: int
    """
    Number of organizations that got an invoice.
    """
    empty: int
    """
    Number of organizations that were charged nothing.
    """
    failed: int
    """
    Number of organizations that could not be billed.
    """
    failures: list[MonthEndFailure]
    """
    The first failures.
    """


class OrganizationClient(BaseModel):
    """
    A program that acts for one organization.
    """

    id: UUID
    """
    Id of the client, the `client_id` with which it asks for tokens.
    """
    organization_id: UUID
    """
    Id of the organization.
    """
    name: str
    """
    Name of the client.
    """
    scopes: list[str]
    """
    What its tokens allow.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """
    rotated_at: AwareDatetime | None
    """
    Time at which its secret was renewed.
    """
    revoked_at: AwareDatetime | None
    """
    Time from which on it is refused.
    """


class OrganizationClientWithSecret(BaseModel):
    """
    `secret` is shown once, here.
    """

    id: UUID
    """
    Id of the client, the `client_id` with which it asks for tokens.
    """
    organization_id: UUID
    """
    Id of the organization.
    """
    name: str
    """
    Name of the client.
    """
    scopes: list[str]
    """
    What its tokens allow.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """
    rotated_at: AwareDatetime | None
    """
    Time at which its secret was renewed.
    """
    revoked_at: AwareDatetime | None
    """
    Time from which on it is refused.
    """
    secret: str
    """
    The secret, the `client_secret` with which it asks for tokens; shown once, here.
    """


class OrganizationClients(BaseModel):
    """
    Oldest first.
    """

    items: list[OrganizationClient]
    """
    The clients, oldest first, with those that were revoked.
    """


class OrganizationHome(BaseModel):
    """
    The other region that holds an organization, and its API.
    """

    organization_id: UUID
    """
    Id of the organization.
    """
    region: str
    """
    Region that holds the organization.
    """
    endpoint: str
    """
    URL of that region's API.
    """


class OrganizationRevenue(BaseModel):
    """
    The revenue of one organization.
    """

    opening_deferred_usd: Decimal
    """
    What was paid for credit that was left at the start of the month.
    """
    sold_usd: Decimal
    """
    What was paid for credit in the month.
    """
    recognized_usd: Decimal
    """
    Cost basis of paid credit that was used, less that of credit that was refunded.
    """
    breakage_usd: Decimal
    """
    Cost basis of paid credit that expired or was voided.
    """
    paid_out_usd: Decimal
    """
    Cost basis of credit that was refunded to the payer.
    """
    closing_deferred_usd: Decimal
    """
    What was paid for credit that is left at the end of the month.
    """
    promotional_used_usd: Decimal
    """
    Credit that was given and used in the month.
    """
    debt_usd: Decimal
    """
    Usage at the end of the month that nothing has paid for.
    """
    invoiced_usd: Decimal
    """
    Of the debt, what issued invoices asked for, net of tax.
    """
    overdue_usd: Decimal
    """
    Of the debt, what overdue invoices asked for, net of tax.
    """
    organization_id: UUID
    """
    Id of the organization.
    """


class OrganizationTotals(BaseModel):
    """
    Sums over all organizations that the filters match.
    """

    organizations: int
    """
    Number of them.
    """
    balance_usd: Decimal
    """
    Sum of their balances in US dollars, debts subtracted.
    """
    debt_usd: Decimal
    """
    Sum of the balances below zero in US dollars, as a positive amount.
    """
    spent_7_days_usd: Decimal
    """
    Sum of the charges of their last seven local days in US dollars.
    """


class Payment(BaseModel):
    """
    A payment. Amounts without `_usd` are in its currency.
    """

    id: UUID
    """
    Id, a UUID that the server made.
    """
    organization_id: UUID
    """
    Id of the organization.
    """
    purpose: str
    """
    What is paid for. One of `topup`, `auto_topup`, `invoice`, or one of a later version.
    """
    provider: str
    """
    Who takes the money. One of `stripe`, `paypal`, or one of a later version.
    """
    status: str
    """
    pending: waits for the payer. unknown: the provider did not answer and is asked again. One of `pending`, `unknown`, `succeeded`, `failed`, `expired`, or one of a later version.
    """
    invoice_id: UUID | None
    """
    Id of the invoice that is paid; null for credit.
    """
    credit_usd: Decimal
    """
    Credit that it buys, or the net amount of the invoice, in US dollars.
    """
    currency: str
    """
    ISO 4217 code of the currency in which it is paid.
    """
    amount: Decimal
    """
    What the payer is asked for, with tax.
    """
    net: Decimal
    """
    The same without tax.
    """
    tax: Decimal
    """
    Tax in the amount.
    """
    exchange_rate: Decimal
    """
    Units of the currency per US dollar; fixed when the payment is created.
    """
    rate_source: str
    """
    Source of the exchange rate.
    """
    rate_as_of: AwareDatetime
    """
    Time of the exchange rate at its source.
    """
    captured: Decimal
    """
    What was paid.
    """
    refunded: Decimal
    """
    What went back to the payer.
    """
    disputed: Decimal
    """
    What the payer disputes, or has won by a dispute.
    """
    dispute_state: str | None
    """
    State of the dispute; null if there was none.
    """
    fee: Decimal | None
    """
    What the provider keeps; null until it says so.
    """
    fee_currency: str | None
    """
    ISO 4217 code of the currency of the fee.
    """
    failure_code: str | None
    """
    Why the payment failed, in the provider's words.
    """
    checkout_url: str | None
    """
    The provider's page on which to pay; null when there is nothing to pay.
    """
    expires_at: AwareDatetime | None
    """
    Instant from which that page is closed; null if the provider does not say.
    """
    credited_usd: Decimal
    """
    Credit that it has brought, in US dollars.
    """
    paid_out_usd: Decimal
    """
    Unspent credit that left again, in US dollars.
    """
    charged_back_usd: Decimal
    """
    Spent credit that was drawn again, in US dollars.
    """
    transaction_id: UUID | None
    """
    Id of the top-up; null until the payment succeeds.
    """
    grant_id: UUID | None
    """
    Id of the credit grant; null until the payment succeeds.
    """
    initiated_by: str | None
    """
    Who asked for it.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """
    updated_at: AwareDatetime
    """
    Time of the newest change.
    """


class PaymentLink(BaseModel):
    """
    A link to pay an invoice. The token is shown this once.
    """

    invoice_id: UUID
    """
    Id of the invoice.
    """
    token: str
    """
    The secret of the link, for `/v1/payment-links/{token}`.
    """
    expires_at: AwareDatetime
    """
    Instant from which the link is closed.
    """


class PaymentPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[Payment]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class PaymentPreview(BaseModel):
    """
    What a payment would cost now.
    """

    credit_usd: Decimal
    """
    Credit in US dollars.
    """
    currency: str
    """
    ISO 4217 code of the currency in which it is paid.
    """
    net: Decimal
    """
    Price in the currency, without tax.
    """
    tax: Decimal
    """
    Tax in the currency.
    """
    amount: Decimal
    """
    What the payer pays, with tax.
    """
    exchange_rate: Decimal
    """
    Units of the currency per US dollar.
    """
    rate_source: str
    """
    Source of the exchange rate.
    """
    rate_as_of: AwareDatetime
    """
    Time of the exchange rate at its source.
    """
    tax_percent: Decimal
    """
    Rate of the tax, in percent.
    """


class Status(StrEnum):
    """
    State of the refund at the provider.
    """

    pending = "pending"
    unknown = "unknown"
    succeeded = "succeeded"
    failed = "failed"


class PaymentRefund(BaseModel):
    """
    Money that goes back to the payer, and the credit that it was paid for.
    """

    id: UUID
    """
    Id, a UUID that the server made.
    """
    payment_id: UUID
    """
    Id of the payment.
    """
    status: Status
    """
    State of the refund at the provider.
    """
    currency: str
    """
    ISO 4217 code of the currency.
    """
    amount: Decimal
    """
    What goes back to the payer, with tax.
    """
    credit_usd: Decimal
    """
    Credit in US dollars that leaves, a minor unit of the currency less than asked at most.
    """
    failure_code: str | None
    """
    Why the refund failed, in the provider's words.
    """
    initiated_by: str | None
    """
    Who asked for it.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """


class PersonalDataRecord(BaseModel):
    """
    A row as it is held: of `data`, what its kind's own list or the contract says.
    """

    kind: str
    """
    Kind of the row. One of `organization`, `transaction`, `hold`, `credit_grant`, `budget`, `spend_log`, `invoice`, `credit_note`, `webhook_endpoint`, `webhook_event`, `refused_event`, `payment`, `erasure`, or one of a later version.
    """
    created_at: AwareDatetime
    """
    Time at which the row was written.
    """
    data: dict[str, Any]
    """
    The row as it is held, by the names of its kind.
    """


class PlatformPayment(BaseModel):
    """
    A payment in the platform's list.
    """

    id: UUID
    """
    Id, a UUID that the server made.
    """
    organization_id: UUID
    """
    Id of the organization.
    """
    purpose: str
    """
    What is paid for. One of `topup`, `auto_topup`, `invoice`, or one of a later version.
    """
    provider: str
    """
    Who takes the money. One of `stripe`, `paypal`, or one of a later version.
    """
    status: str
    """
    pending: waits for the payer. unknown: the provider did not answer and is asked again. One of `pending`, `unknown`, `succeeded`, `failed`, `expired`, or one of a later version.
    """
    invoice_id: UUID | None
    """
    Id of the invoice that is paid; null for credit.
    """
    credit_usd: Decimal
    """
    Credit that it buys, or the net amount of the invoice, in US dollars.
    """
    currency: str
    """
    ISO 4217 code of the currency in which it is paid.
    """
    amount: Decimal
    """
    What the payer is asked for, with tax.
    """
    net: Decimal
    """
    The same without tax.
    """
    tax: Decimal
    """
    Tax in the amount.
    """
    exchange_rate: Decimal
    """
    Units of the currency per US dollar; fixed when the payment is created.
    """
    rate_source: str
    """
    Source of the exchange rate.
    """
    rate_as_of: AwareDatetime
    """
    Time of the exchange rate at its source.
    """
    captured: Decimal
    """
    What was paid.
    """
    refunded: Decimal
    """
    What went back to the payer.
    """
    disputed: Decimal
    """
    What the payer disputes, or has won by a dispute.
    """
    dispute_state: str | None
    """
    State of the dispute; null if there was none.
    """
    fee: Decimal | None
    """
    What the provider keeps; null until it says so.
    """
    fee_currency: str | None
    """
    ISO 4217 code of the currency of the fee.
    """
    failure_code: str | None
    """
    Why the payment failed, in the provider's words.
    """
    checkout_url: str | None
    """
    The provider's page on which to pay; null when there is nothing to pay.
    """
    expires_at: AwareDatetime | None
    """
    Instant from which that page is closed; null if the provider does not say.
    """
    credited_usd: Decimal
    """
    Credit that it has brought, in US dollars.
    """
    paid_out_usd: Decimal
    """
    Unspent credit that left again, in US dollars.
    """
    charged_back_usd: Decimal
    """
    Spent credit that was drawn again, in US dollars.
    """
    transaction_id: UUID | None
    """
    Id of the top-up; null until the payment succeeds.
    """
    grant_id: UUID | None
    """
    Id of the credit grant; null until the payment succeeds.
    """
    initiated_by: str | None
    """
    Who asked for it.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """
    updated_at: AwareDatetime
    """
    Time of the newest change.
    """
    external_id: str | None
    """
    Id of the payment at the provider; null while the provider does not know it.
    """


class PlatformPaymentPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[PlatformPayment]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class PlatformSpend(BaseModel):
    """
    The dimensions that were asked for, and what was spent on them.
    """

    team_name: str | None = None
    """
    Name that the organization gave the team, beside `team_id`.
    """
    virtual_key_name: str | None = None
    """
    Name that the organization gave the key, beside `virtual_key_id`.
    """
    model: str | None = None
    """
    Name of the model.
    """
    provider: str | None = None
    """
    Name of the provider.
    """
    team_id: str | None = None
    """
    Id of the team that made the calls.
    """
    virtual_key_id: str | None = None
    """
    Id of the virtual key that made the calls.
    """
    region: str | None = None
    """
    Region in which the calls were made.
    """
    day: str | None = None
    """
    Day in the time zone of the organization, such as 2026-02-28.
    """
    month: str | None = None
    """
    Month in the time zone of the organization, such as 2026-02.
    """
    organization_id: UUID | None = None
    """
    Id of the organization that made the calls.
    """
    amount_usd: Decimal
    """
    Sum of the spend in US dollars.
    """
    tokens: int
    """
    Sum of the tokens.
    """
    requests: int
    """
    Number of spend logs.
    """
    input_tokens: int
    """
    Of the tokens, those of the input that were not read from a cache.
    """
    cached_tokens: int
    """
    Of the tokens, those of the input that were read from a cache.
    """
    output_tokens: int
    """
    Of the tokens, those of the output.
    """
    cost_usd: Decimal | None = None
    """
    Sum of everyone's prices without the multiplier; only for a token of the platform.
    """
    margin_usd: Decimal | None = None
    """
    Sum of the amounts above that cost; only for a token of the platform.
    """


class PlatformSpending(BaseModel):
    """
    Spend of all organizations in the half-open period; days and months are in the time zone of each organization.
    """

    from_: Annotated[AwareDatetime, Field(alias="from")]
    """
    Start of the period (inclusive).
    """
    to: AwareDatetime
    """
    End of the period (exclusive).
    """
    items: list[PlatformSpend]
    """
    One sum per group, of the dimensions that `group_by` names; none for a time without spend.
    """
    others: list[PlatformSpend] | None = None
    """
    With `top`: the sums of the groups that are not in `items`, by the times of `group_by`.
    """
    total: PlatformSpend
    """
    The sum of all groups.
    """


class PriceRate(BaseModel):
    """
    What a client gets.
    """

    bucket: str
    """
    Kind of the tokens.
    """
    usd_per_million: Decimal
    """
    US dollars per million tokens.
    """
    service_tier: str
    """
    Service tier at the provider.
    """
    above_input_tokens: int
    """
    The rate applies to calls of more input tokens than this.
    """


class Problem(BaseModel):
    """
    A refusal (RFC 9457), of any kind.
    """

    type: str | None = None
    """
    A URN that names the kind of problem.
    """
    title: str | None = None
    """
    The kind of problem in words.
    """
    status: int | None = None
    """
    The HTTP status.
    """
    detail: str | None = None
    """
    What is wrong, for people.
    """
    code: str | None = None
    request_id: str | None = None
    """
    Id of the request in the logs.
    """
    errors: list[FieldError] | None = None
    """
    The fields that break a rule, each with the rule.
    """
    error: str | None = None
    """
    The same code, as RFC 6749 names it.
    """
    budget_id: str | None = None
    """
    Id of the budget.
    """
    subject: str | None = None
    """
    What the budget is of.
    """
    subject_id: str | None = None
    """
    Id of the team, key or person, or name of the model or provider.
    """
    limit_usd: Decimal | None = None
    """
    The most that may be spent and held: the limit, or the burst of a rate.
    """
    spent_usd: Decimal | None = None
    """
    What is spent in this window.
    """
    held_usd: Decimal | None = None
    """
    What open holds reserve.
    """
    required_usd: Decimal | None = None
    """
    What the request needs.
    """
    resets_at: str | None = None
    """
    The time at which nothing counts as spent any more; null if there is none.
    """
    available_usd: Decimal | None = None
    """
    The credit that is available.
    """
    deficit_usd: Decimal | None = None
    """
    The credit that is missing: required_usd - available_usd.
    """
    invoice_id: str | None = None
    """
    Id of the invoice.
    """
    home_region: str | None = None
    """
    The region that holds the organization.
    """
    home_endpoint: str | None = None
    """
    The URL of that region's API.
    """
    requested_usd: Decimal | None = None
    """
    The net amount of the credit note.
    """
    creditable_usd: Decimal | None = None
    """
    What is left of the invoice to credit, net.
    """
    failure_code: str | None = None
    """
    Why, in the provider's words.
    """
    provider: str | None = None
    """
    Provider of the model.
    """
    model: str | None = None
    """
    Name of the model that has no price.
    """
    refundable_usd: Decimal | None = None
    """
    What is left of the charge to refund.
    """
    message: str | None = None
    """
    The only member of a body that API Gateway itself answers.
    """


class Proof(BaseModel):
    """
    Why the hash is what it is: `hash` is SHA-256 of the bytes of `previous_hash` and of `text` in UTF-8.
    """

    previous_hash: str
    """
    Hash of the transaction before, in hexadecimal; that of no bytes for the first.
    """
    hash: str
    """
    Hash of this transaction, in hexadecimal.
    """
    text: str
    """
    The content of the transaction as the chain contains it: a JSON array. Its eleventh item is SHA-256 of `personal_text`, in hexadecimal.
    """
    personal_text: str | None
    """
    The personal fields behind a random salt, as a JSON array; null when they are erased.
    """


class QuoteLine(BaseModel):
    """
    What a client gets.
    """

    bucket: str
    """
    Kind of the tokens.
    """
    tokens: int
    """
    Number of the tokens.
    """
    usd_per_million: Decimal
    """
    Rate of the tokens, in US dollars per million.
    """
    amount_usd: Decimal
    """
    Tokens by rate in US dollars, exact, before the multiplier.
    """
    rate: AppliedRate
    """
    The rate that was found.
    """


class RateChange(BaseModel):
    """
    What a client gets.
    """

    bucket: str
    """
    Kind of the tokens.
    """
    service_tier: str
    """
    Service tier at the provider.
    """
    above_input_tokens: int
    """
    The rate applies to calls of more input tokens than this.
    """
    before_usd_per_million: Decimal | None
    """
    Rate before, in US dollars per million tokens; null for a new rate.
    """
    usd_per_million: Decimal | None
    """
    Rate now, in US dollars per million tokens; null for a rate that is gone.
    """


class ReceiptInvoice(BaseModel):
    """
    The invoice or statement that a transaction is on.
    """

    id: UUID
    """
    Id of the invoice.
    """
    number: str
    """
    Number, gap-free in its series and year.
    """
    kind: str
    """
    Kind of the invoice: of a period's usage, or of a top-up. One of `usage`, `topup`, or one of a later version.
    """
    status: str
    """
    State of the invoice. One of `draft`, `issued`, `paid`, `overdue`, `uncollectible`, `cancelled`, or one of a later version.
    """


class Refused(BaseModel):
    """
    An item of a batch that failed; `error` is its problem.
    """

    status: int
    """
    The HTTP status that the charge alone would have had.
    """
    error: Problem
    """
    The problem that the charge alone would have had, without `request_id`.
    """


class RefusedEvent(BaseModel):
    """
    A usage event that was not charged. Send it again, with the same source and id, when the reason is gone.
    """

    id: UUID
    """
    Id of this entry.
    """
    organization_id: UUID | None
    """
    Id of the organization that would have been charged; null if the event names none that exists.
    """
    source: str
    """
    Source of the event.
    """
    event_id: str
    """
    Id of the event at its source.
    """
    subject: str | None
    """
    Organization that the event names.
    """
    event: Any
    """
    The event as it came; null after an erasure.
    """
    code: str
    """
    Code of the reason, as of a refused charge.
    """
    error: dict[str, Any]
    """
    The reason, as the problem that the charge alone would have had.
    """
    times: int
    """
    Number of tries that were refused.
    """
    created_at: AwareDatetime
    """
    Time of the first refusal.
    """
    refused_at: AwareDatetime
    """
    Time of the last refusal.
    """


class RefusedEventPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[RefusedEvent]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class RefusedModel(BaseModel):
    """
    What a client gets.
    """

    model: str
    """
    Name of the model in the list.
    """
    reason: str
    """
    Why it was refused: the field that is not understood, and the rule.
    """


class Rerating(BaseModel):
    """
    What a rerating corrects, or would correct, for each organization.
    """

    id: UUID | None
    """
    Id of the rerating, the `reference_id` of its adjustments; null in a dry run.
    """
    provider: str
    """
    Provider that the price names.
    """
    model: str
    """
    Model that the price names.
    """
    from_: Annotated[AwareDatetime, Field(alias="from")]
    """
    First instant of the period.
    """
    to: AwareDatetime
    """
    End of the period, exclusive.
    """
    dry_run: bool
    """
    Whether nothing was changed, and the answer tells what would be.
    """
    organizations: list[Correction]
    """
    One correction for each organization, of the first 10,000 by id.
    """


class RevenueFigures(BaseModel):
    """
    Opening and sold, less recognized, breakage and paid out, are closing.
    """

    opening_deferred_usd: Decimal
    """
    What was paid for credit that was left at the start of the month.
    """
    sold_usd: Decimal
    """
    What was paid for credit in the month.
    """
    recognized_usd: Decimal
    """
    Cost basis of paid credit that was used, less that of credit that was refunded.
    """
    breakage_usd: Decimal
    """
    Cost basis of paid credit that expired or was voided.
    """
    paid_out_usd: Decimal
    """
    Cost basis of credit that was refunded to the payer.
    """
    closing_deferred_usd: Decimal
    """
    What was paid for credit that is left at the end of the month.
    """
    promotional_used_usd: Decimal
    """
    Credit that was given and used in the month.
    """
    debt_usd: Decimal
    """
    Usage at the end of the month that nothing has paid for.
    """
    invoiced_usd: Decimal
    """
    Of the debt, what issued invoices asked for, net of tax.
    """
    overdue_usd: Decimal
    """
    Of the debt, what overdue invoices asked for, net of tax.
    """


class RunsOut(BaseModel):
    """
    The day on which the spend from today on exceeds the credit; null if that is not within 90 days.
    """

    expected: date_aliased | None
    """
    By the expected spend.
    """
    earliest: date_aliased | None
    """
    By the upper bound of the spend.
    """
    latest: date_aliased | None
    """
    By the lower bound of the spend.
    """


class Seller(BaseModel):
    """
    The seller of an invoice.
    """

    name: str
    """
    Name of the seller.
    """
    address: str | None = None
    """
    Address of the seller, in lines.
    """
    tax_id: str | None = None
    """
    Tax id of the seller.
    """
    email: str | None = None
    """
    E-mail address for questions.
    """
    payment_details: str | None = None
    """
    How to pay the seller.
    """


class Kind(StrEnum):
    """
    Credit that was given, or credit that was bought.
    """

    promotional = "promotional"
    prepaid = "prepaid"


class Settled(BaseModel):
    """
    What credit of one kind settled, less what refunds gave back to it.
    """

    kind: Kind
    """
    Credit that was given, or credit that was bought.
    """
    amount_usd: Decimal
    """
    Amount in US dollars.
    """
    amount_billing_currency: Decimal
    """
    Amount in the billing currency.
    """


class Spend(BaseModel):
    """
    The dimensions that were asked for, and what was spent on them.
    """

    team_name: str | None = None
    """
    Name that the organization gave the team, beside `team_id`.
    """
    virtual_key_name: str | None = None
    """
    Name that the organization gave the key, beside `virtual_key_id`.
    """
    model: str | None = None
    """
    Name of the model.
    """
    provider: str | None = None
    """
    Name of the provider.
    """
    team_id: str | None = None
    """
    Id of the team that made the calls.
    """
    virtual_key_id: str | None = None
    """
    Id of the virtual key that made the calls.
    """
    region: str | None = None
    """
    Region in which the calls were made.
    """
    day: str | None = None
    """
    Day in the time zone of the organization, such as 2026-02-28.
    """
    month: str | None = None
    """
    Month in the time zone of the organization, such as 2026-02.
    """
    hour: AwareDatetime | None = None
    """
    Start of the hour by the clocks of the organization's time zone.
    """
    amount_usd: Decimal
    """
    Sum of the spend in US dollars.
    """
    tokens: int
    """
    Sum of the tokens.
    """
    requests: int
    """
    Number of spend logs.
    """
    input_tokens: int
    """
    Of the tokens, those of the input that were not read from a cache.
    """
    cached_tokens: int
    """
    Of the tokens, those of the input that were read from a cache.
    """
    output_tokens: int
    """
    Of the tokens, those of the output.
    """
    cost_usd: Decimal | None = None
    """
    Sum of everyone's prices without the multiplier; only for a token of the platform.
    """
    margin_usd: Decimal | None = None
    """
    Sum of the amounts above that cost; only for a token of the platform.
    """


class SpendBand(BaseModel):
    """
    Expected spend, and bounds between which four of five are.
    """

    expected_usd: Decimal
    """
    Expected spend in US dollars.
    """
    low_usd: Decimal
    """
    Lower bound: one of ten is less.
    """
    high_usd: Decimal
    """
    Upper bound: one of ten is more.
    """


class SpendForecast(BaseModel):
    """
    The charged spend that is expected of the coming days, and when it exceeds the credit.
    """

    made_at: AwareDatetime
    """
    Time at which the forecast was made.
    """
    method: str
    """
    How it was made.
    """
    daily: list[ForecastDay]
    """
    Each day, beginning today.
    """
    total: SpendBand
    """
    All of the days together.
    """
    record: ForecastRecord
    confidence: Confidence
    """
    Low with less than 14 days of history: then the days before are no measure of the bounds.
    """
    runs_out: RunsOut
    money_at_risk: list[MoneyAtRisk]
    """
    Credit that expires within 90 days and is not expected to be spent by then.
    """


class SpendLog(BaseModel):
    """
    `transaction_id` is the charge that paid; null for spend logged for analytics alone.
    """

    id: UUID
    """
    Id, a UUID that the server made.
    """
    organization_id: UUID
    """
    Id of the organization.
    """
    transaction_id: UUID | None
    """
    Id of the charge that paid; null for spend that was logged without a charge.
    """
    amount_usd: Decimal
    """
    Cost of the call in US dollars.
    """
    reference_id: str | None
    """
    Reference that the request gave, such as the id of a payment.
    """
    request_id: str | None
    """
    Id of the LLM call.
    """
    team_id: str | None
    """
    Id of the team that made the call.
    """
    virtual_key_id: str | None
    """
    Id of the virtual key that made the call.
    """
    end_user: str | None
    """
    Id of the person who made the call.
    """
    model: str | None
    """
    Name of the model.
    """
    provider: str | None
    """
    Name of the provider.
    """
    region: str | None
    """
    Region in which the call was made.
    """
    metadata: dict[str, str] | None
    """
    Facts that the request gave.
    """
    usage: dict[str, int] | None
    """
    Tokens by bucket that were priced; null where the request gave the amount.
    """
    service_tier: str | None
    """
    Service tier whose rates applied.
    """
    price_id: UUID | None
    """
    Id of the price whose rates applied.
    """
    price_multiplier: Decimal | None
    """
    Multiplier of the organization that applied to the price.
    """
    tokens: int
    """
    Number of tokens that the call used; 0 if it did not say.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """


class SpendLogPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[SpendLog]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class Spending(BaseModel):
    """
    Spend of the half-open period; days and months are those of `timezone`.
    """

    from_: Annotated[AwareDatetime, Field(alias="from")]
    """
    Start of the period (inclusive).
    """
    to: AwareDatetime
    """
    End of the period (exclusive).
    """
    timezone: str
    """
    Time zone that days and months are in.
    """
    items: list[Spend]
    """
    One sum per group, of the dimensions that `group_by` names; none for a time without spend.
    """
    others: list[Spend] | None = None
    """
    With `top`: the sums of the groups that are not in `items`, by the times of `group_by`.
    """
    total: Spend
    """
    The sum of all groups.
    """


class Tax(BaseModel):
    """
    How the organization's invoices are taxed, such as VAT at "20" percent.
    """

    label: str
    """
    Name of the tax as invoices print it, such as VAT.
    """
    rate_percent: Decimal
    """
    Tax rate in percent, a decimal from "0" to "100".
    """
    tax_id: str | None = None
    """
    Tax id of the organization, such as its VAT id.
    """
    category: str | None = None
    """
    Whether invoices add the tax: `reverse_charge` if the organization owes it itself, `exempt` if nobody does. One of `standard`, `reverse_charge`, `exempt`, or one of a later version.
    """


class Token(BaseModel):
    """
    A token, which the header `Authorization: Bearer <access_token>` carries.
    """

    access_token: str
    """
    The token.
    """
    token_type: str
    """
    How it is sent.
    """
    expires_in: int
    """
    Seconds until it expires.
    """


class Transaction(BaseModel):
    """
    `amount_usd` is signed: balance_after_usd = balance_before_usd + amount_usd.
    """

    id: UUID
    """
    Id, a UUID that the server made.
    """
    organization_id: UUID
    """
    Id of the organization.
    """
    transaction_type: str
    """
    What changed the credit. One of `topup`, `charge`, `refund`, `adjustment`, `grant`, `expiry`, `void`, `payout`, or one of a later version.
    """
    amount_usd: Decimal
    """
    Signed amount in US dollars: balance_after_usd = balance_before_usd + amount_usd.
    """
    balance_before_usd: Decimal
    """
    Balance in US dollars before this transaction.
    """
    balance_after_usd: Decimal
    """
    Balance in US dollars after this transaction.
    """
    version: int
    """
    Number of this transaction in the chain of the organization, from 1.
    """
    drawn_usd: Decimal
    """
    All credit that charges and negative adjustments drew before this transaction, in US dollars.
    """
    description: str | None
    """
    What the transaction is for.
    """
    initiated_by: str | None
    """
    Who initiated it; the `sub` of the token if the request did not say.
    """
    hold_id: UUID | None
    """
    Id of the hold that a charge captured.
    """
    refunded_transaction_id: UUID | None
    """
    Id of the charge that a refund gives back.
    """
    grant_id: UUID | None
    """
    Id of the grant that an expiry or a void takes credit from.
    """
    reference_id: str | None
    """
    Reference that the request gave, such as the id of a payment.
    """
    request_id: str | None
    """
    Id of the LLM call.
    """
    team_id: str | None
    """
    Id of the team that made the call.
    """
    virtual_key_id: str | None
    """
    Id of the virtual key that made the call.
    """
    end_user: str | None
    """
    Id of the person who made the call.
    """
    model: str | None
    """
    Name of the model.
    """
    provider: str | None
    """
    Name of the provider.
    """
    region: str | None
    """
    Region in which the call was made.
    """
    metadata: dict[str, str] | None
    """
    Facts that the request gave.
    """
    usage: dict[str, int] | None
    """
    Tokens by bucket that were priced; null where the request gave the amount.
    """
    service_tier: str | None
    """
    Service tier whose rates applied.
    """
    price_id: UUID | None
    """
    Id of the price whose rates applied.
    """
    price_multiplier: Decimal | None
    """
    Multiplier of the organization that applied to the price.
    """
    tokens: int | None
    """
    Number of tokens that a charged call used.
    """
    occurred_at: AwareDatetime | None
    """
    Time at which the call was made, where a usage event says so. `created_at` decides the price, the grants and the period.
    """
    hash: str
    """
    SHA-256 of this transaction and the one before, in hexadecimal: the chain shows any change.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """


class TransactionPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[Transaction]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class UnmatchedEvent(BaseModel):
    """
    A webhook of a provider that names no payment that is known here. It is settled when the payment appears.
    """

    provider: str
    """
    Provider that sent it. One of `stripe`, `paypal`, or one of a later version.
    """
    event_id: str
    """
    Id of the event at the provider.
    """
    type: str
    """
    Type of the event at the provider.
    """
    external_ids: list[str]
    """
    Ids of the provider's objects that it names.
    """
    received_at: AwareDatetime
    """
    Time at which it came.
    """


class UnmatchedEventPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[UnmatchedEvent]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class Unpriced(BaseModel):
    """
    Usage that is charged by its own key when its model has a price.
    """

    status: str
    """
    Always `unpriced`: it is not charged yet.
    """
    id: UUID
    """
    Id of the usage that waits.
    """
    organization_id: UUID
    """
    Id of the organization that will be charged.
    """
    provider: str
    """
    Name of the model's provider.
    """
    model: str
    """
    Name of the model that has no price.
    """
    service_tier: str
    """
    Service tier at the provider.
    """
    usage: dict[str, int]
    """
    Number of tokens by kind.
    """
    request_id: str | None
    """
    Id of the LLM call.
    """
    reference_id: str | None
    """
    Reference that the request gave.
    """
    idempotency_key: str
    """
    Key of the request.
    """
    created_at: AwareDatetime
    """
    Time at which it was kept.
    """


class UnpricedPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[Unpriced]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class UsedGrant(BaseModel):
    """
    The part of a transaction that a grant paid for.
    """

    grant_id: UUID
    """
    Id of the grant.
    """
    kind: str
    """
    Origin of the credit. One of `paid`, `promotional`, `adjustment`, `refund`, or one of a later version.
    """
    amount_usd: Decimal
    """
    Amount in US dollars.
    """
    payment_id: UUID | None
    """
    Id of the payment that bought the credit; null if it was given, or paid for elsewhere.
    """


class WebhookDelivery(BaseModel):
    """
    The delivery of an event to an endpoint; `error` is why the last attempt failed.
    """

    endpoint_id: UUID
    """
    Id of the endpoint.
    """
    status: str
    """
    State of the delivery. One of `pending`, `delivered`, `failed`, or one of a later version.
    """
    attempts: int
    """
    Number of attempts.
    """
    attempted_at: AwareDatetime | None
    """
    Time of the last attempt.
    """
    next_attempt_at: AwareDatetime | None
    """
    Time of the next attempt; null if there is none.
    """
    status_code: int | None
    """
    HTTP status that the endpoint answered last.
    """
    error: str | None
    """
    Why the last attempt failed.
    """


class WebhookEndpoint(BaseModel):
    """
    `failing_since` is the time of the first failure since the last success.
    """

    id: UUID
    """
    Id of the event, which the header `webhook-id` carries.
    """
    organization_id: UUID
    """
    Id of the organization.
    """
    url: str
    """
    The URL that webhooks are sent to.
    """
    types: list[str]
    """
    Types of events that are sent; every type if it is empty.
    """
    enabled: bool
    """
    Whether webhooks are sent.
    """
    failing_since: AwareDatetime | None
    """
    Time of the first failure since the last success.
    """
    disabled_at: AwareDatetime | None
    """
    Time at which it was disabled.
    """
    disabled_because: str | None
    """
    Why it was disabled.
    """
    created_at: AwareDatetime
    """
    Time of the change that caused the event.
    """


class WebhookEndpointWithSecret(BaseModel):
    """
    `secret` is shown once, here.
    """

    id: UUID
    """
    Id of the event, which the header `webhook-id` carries.
    """
    organization_id: UUID
    """
    Id of the organization.
    """
    url: str
    """
    The URL that webhooks are sent to.
    """
    types: list[str]
    """
    Types of events that are sent; every type if it is empty.
    """
    enabled: bool
    """
    Whether webhooks are sent.
    """
    failing_since: AwareDatetime | None
    """
    Time of the first failure since the last success.
    """
    disabled_at: AwareDatetime | None
    """
    Time at which it was disabled.
    """
    disabled_because: str | None
    """
    Why it was disabled.
    """
    created_at: AwareDatetime
    """
    Time of the change that caused the event.
    """
    secret: str
    """
    The secret that signs the webhooks, shown once, here.
    """


class WebhookEndpoints(BaseModel):
    """
    Oldest first.
    """

    items: list[WebhookEndpoint]
    """
    The endpoints, oldest first.
    """


class WebhookEvent(BaseModel):
    """
    An event and its deliveries.
    """

    id: UUID
    """
    Id of the event, which the header `webhook-id` carries.
    """
    type: str
    """
    Type of the event.
    """
    created_at: AwareDatetime
    """
    Time of the change that caused the event.
    """
    data: dict[str, Any]
    """
    What changed, as the webhook of this type carries it.
    """
    deliveries: list[WebhookDelivery]
    """
    One delivery per endpoint.
    """


class WebhookEventPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[WebhookEvent]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class WebhooksReplayed(BaseModel):
    """
    `replayed` is the number of deliveries that were queued.
    """

    replayed: int
    """
    Number of deliveries that were queued.
    """


class Balance(BaseModel):
    """
    available_usd = balance_usd + credit_limit_usd - held_usd; `balance` is balance_usd in the billing currency.
    """

    balance_usd: Decimal
    """
    Sum of all transactions in US dollars.
    """
    held_usd: Decimal
    """
    Credit in US dollars that unexpired holds reserve, or that is frozen.
    """
    frozen_usd: Decimal
    """
    Of that, what disputes and refunds under way keep from use.
    """
    available_usd: Decimal
    """
    Credit in US dollars that can be charged: balance_usd + credit_limit_usd - held_usd.
    """
    credit_limit_usd: Decimal
    """
    How far charges may take the balance below zero, in US dollars.
    """
    debt_usd: Decimal
    """
    Credit in US dollars that was drawn and that no grant covers.
    """
    expiring: list[ExpiringCredit]
    """
    Credit that expires within 30 days, soonest first.
    """
    billing_currency: str
    """
    ISO 4217 code of the billing currency.
    """
    balance: Decimal
    """
    balance_usd in the billing currency, rounded half-up to its minor unit.
    """
    exchange_rate: Decimal
    """
    Units of the billing currency per US dollar.
    """
    rate_as_of: AwareDatetime
    """
    Time of the exchange rate at its source.
    """
    rate_source: str
    """
    Source of the exchange rate.
    """
    rate_stale: bool
    """
    Whether the exchange rate is old or the static fallback.
    """


class BalanceHistory(BaseModel):
    """
    The closing balance of each day.
    """

    timezone: str
    """
    Time zone that the days are in.
    """
    items: list[ClosingBalance]
    """
    Each day, oldest first, at most until today.
    """


class Charged(BaseModel):
    """
    An item of a batch: the status that the charge alone would have had.
    """

    status: int
    """
    The HTTP status that the charge alone would have had: 201.
    """
    transaction: Transaction
    """
    The charge.
    """
    replayed: bool
    """
    Whether this is an earlier answer to the same key, given again.
    """


class ExpectedSpend(BaseModel):
    """
    The charged spend that is expected of the coming days.
    """

    made_at: AwareDatetime
    """
    Time at which the forecast was made.
    """
    method: str
    """
    How it was made.
    """
    daily: list[ForecastDay]
    """
    Each day, beginning today.
    """
    total: SpendBand
    """
    All of the days together.
    """
    record: ForecastRecord
    confidence: Confidence
    """
    Low with less than 14 days of history: then the days before are no measure of the bounds.
    """


class Grant(BaseModel):
    """
    Credit of one origin, as it is now.
    """

    id: UUID
    """
    Id, a UUID that the server made.
    """
    organization_id: UUID
    """
    Id of the organization.
    """
    kind: str
    """
    Where the credit comes from. One of `paid`, `promotional`, `adjustment`, `refund`, or one of a later version.
    """
    status: str
    """
    Whether the credit can be used. One of `scheduled`, `active`, `depleted`, `expired`, `voided`, or one of a later version.
    """
    amount_usd: Decimal
    """
    Amount in US dollars.
    """
    remaining_usd: Decimal
    """
    What is left, in US dollars. Of an ended grant: what unexpired holds still reserve.
    """
    frozen_usd: Decimal
    """
    Of that, what a dispute or a refund of the payment keeps from use.
    """
    priority: int
    """
    Credit of a lower priority is used first.
    """
    effective_at: AwareDatetime
    """
    Instant from which the credit can be used.
    """
    expires_at: AwareDatetime | None
    """
    Instant from which what is left is gone; null for never.
    """
    cost_basis_usd: Decimal
    """
    What was paid for it, net of tax, in US dollars; 0 for credit that was given.
    """
    paid: GrantPayment | None
    """
    The payment, when it was named in its own currency.
    """
    origin_id: UUID | None
    """
    Id of the ended grant whose refunded credit this grant gives back.
    """
    schedule_id: UUID | None
    """
    Id of the first grant of a recurring one.
    """
    transaction_id: UUID | None
    """
    Id of the transaction that brought the credit; null until `effective_at`.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """


class GrantPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[Grant]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class Invoice(BaseModel):
    """
    `exchange_rate` is in units of the billing currency per US dollar. Subtotal and tax are rounded half-up to the currency's minor units; the lines add up to the subtotal.
    """

    id: UUID
    """
    Id, a UUID that the server made.
    """
    organization_id: UUID
    """
    Id of the organization.
    """
    kind: str
    """
    Usage of a period, or the sale of credit. One of `usage`, `topup`, or one of a later version.
    """
    transaction_id: UUID | None
    """
    Id of the top-up that is invoiced; null for usage.
    """
    invoice_number: str | None
    """
    Number, gap-free in its series and year; null until the invoice is issued.
    """
    corrects_number: str | None = None
    """
    Number of the invoice that this one replaces with corrected parties; null for others.
    """
    status: str
    """
    State of the invoice. One of `draft`, `issued`, `paid`, `overdue`, `uncollectible`, `cancelled`, or one of a later version.
    """
    period_start: AwareDatetime
    """
    Start of the period (inclusive).
    """
    period_end: AwareDatetime
    """
    End of the period (exclusive).
    """
    timezone: str
    """
    IANA time zone of the organization.
    """
    first_day: date_aliased
    """
    First day of the period, in the time zone of the organization.
    """
    last_day: date_aliased
    """
    Last day of the period (inclusive), in the time zone of the organization.
    """
    billing_currency: str
    """
    ISO 4217 code of the billing currency.
    """
    minor_units: int
    """
    Number of decimals of the billing currency (ISO 4217).
    """
    exchange_rate: Decimal
    """
    Units of the billing currency per US dollar; fixed when the invoice is issued.
    """
    rate_source: str
    """
    Source of the exchange rate.
    """
    rate_as_of: AwareDatetime
    """
    Time of the exchange rate at its source.
    """
    line_count: int
    """
    Number of lines: of models and providers that were charged in the period, and of adjustments and refunds.
    """
    subtotal_usd: Decimal
    """
    Net amount in US dollars.
    """
    tax_usd: Decimal
    """
    Tax in US dollars.
    """
    total_amount_usd: Decimal
    """
    Net amount and tax in US dollars.
    """
    subtotal_billing_currency: Decimal
    """
    Net amount in the billing currency.
    """
    tax_billing_currency: Decimal
    """
    Tax in the billing currency.
    """
    total_amount_billing_currency: Decimal
    """
    Net amount and tax in the billing currency.
    """
    settled: list[Settled]
    """
    What credit settled of the net amount; the rest is due.
    """
    amount_due_usd: Decimal
    """
    What the invoice asks for, in US dollars: what no credit settled, and its tax.
    """
    amount_due_billing_currency: Decimal
    """
    What the invoice asks for in the billing currency.
    """
    credit: CreditStatement | None
    """
    How the balance moved in the period; null for a top-up.
    """
    tax: Tax | None
    """
    How the invoice is taxed; null for no tax.
    """
    seller: Seller
    """
    Who issues the invoice.
    """
    customer: Customer
    """
    Who is billed.
    """
    locale: str
    """
    Language and region of the document.
    """
    payment_terms_days: int
    """
    Days from the issue to the due date.
    """
    issued_at: AwareDatetime | None
    """
    Time of issue; null until then.
    """
    issue_date: date_aliased | None
    """
    Day of issue, in the time zone of the organization; null until then.
    """
    due_date: date_aliased | None
    """
    Day until which to pay, in the time zone of the organization; null until the issue, and when nothing is left to pay then.
    """
    paid_at: AwareDatetime | None
    """
    Time of the payment; null until then.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """
    updated_at: AwareDatetime
    """
    Time of the last change.
    """
    line_items: list[LineItem]
    """
    What was charged in the period, by model and provider: the 500 largest amounts.
    """
    further_lines: FurtherLines | None
    """
    Sums of the lines after the first 500, which `/lines` lists; null if there are none.
    """


class InvoiceSummary(BaseModel):
    """
    An invoice without its lines. `exchange_rate` is in units of the billing currency per US dollar. Subtotal and tax are rounded half-up to the currency's minor units.
    """

    id: UUID
    """
    Id, a UUID that the server made.
    """
    organization_id: UUID
    """
    Id of the organization.
    """
    kind: str
    """
    Usage of a period, or the sale of credit. One of `usage`, `topup`, or one of a later version.
    """
    transaction_id: UUID | None
    """
    Id of the top-up that is invoiced; null for usage.
    """
    invoice_number: str | None
    """
    Number, gap-free in its series and year; null until the invoice is issued.
    """
    corrects_number: str | None = None
    """
    Number of the invoice that this one replaces with corrected parties; null for others.
    """
    status: str
    """
    State of the invoice. One of `draft`, `issued`, `paid`, `overdue`, `uncollectible`, `cancelled`, or one of a later version.
    """
    period_start: AwareDatetime
    """
    Start of the period (inclusive).
    """
    period_end: AwareDatetime
    """
    End of the period (exclusive).
    """
    timezone: str
    """
    IANA time zone of the organization.
    """
    first_day: date_aliased
    """
    First day of the period, in the time zone of the organization.
    """
    last_day: date_aliased
    """
    Last day of the period (inclusive), in the time zone of the organization.
    """
    billing_currency: str
    """
    ISO 4217 code of the billing currency.
    """
    minor_units: int
    """
    Number of decimals of the billing currency (ISO 4217).
    """
    exchange_rate: Decimal
    """
    Units of the billing currency per US dollar; fixed when the invoice is issued.
    """
    rate_source: str
    """
    Source of the exchange rate.
    """
    rate_as_of: AwareDatetime
    """
    Time of the exchange rate at its source.
    """
    line_count: int
    """
    Number of lines: of models and providers that were charged in the period, and of adjustments and refunds.
    """
    subtotal_usd: Decimal
    """
    Net amount in US dollars.
    """
    tax_usd: Decimal
    """
    Tax in US dollars.
    """
    total_amount_usd: Decimal
    """
    Net amount and tax in US dollars.
    """
    subtotal_billing_currency: Decimal
    """
    Net amount in the billing currency.
    """
    tax_billing_currency: Decimal
    """
    Tax in the billing currency.
    """
    total_amount_billing_currency: Decimal
    """
    Net amount and tax in the billing currency.
    """
    settled: list[Settled]
    """
    What credit settled of the net amount; the rest is due.
    """
    amount_due_usd: Decimal
    """
    What the invoice asks for, in US dollars: what no credit settled, and its tax.
    """
    amount_due_billing_currency: Decimal
    """
    What the invoice asks for in the billing currency.
    """
    credit: CreditStatement | None
    """
    How the balance moved in the period; null for a top-up.
    """
    tax: Tax | None
    """
    How the invoice is taxed; null for no tax.
    """
    seller: Seller
    """
    Who issues the invoice.
    """
    customer: Customer
    """
    Who is billed.
    """
    locale: str
    """
    Language and region of the document.
    """
    payment_terms_days: int
    """
    Days from the issue to the due date.
    """
    issued_at: AwareDatetime | None
    """
    Time of issue; null until then.
    """
    issue_date: date_aliased | None
    """
    Day of issue, in the time zone of the organization; null until then.
    """
    due_date: date_aliased | None
    """
    Day until which to pay, in the time zone of the organization; null until the issue, and when nothing is left to pay then.
    """
    paid_at: AwareDatetime | None
    """
    Time of the payment; null until then.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """
    updated_at: AwareDatetime
    """
    Time of the last change.
    """


class InvoiceSummaryPage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[InvoiceSummary]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class Kept(BaseModel):
    """
    An item of a batch whose model has no price yet.
    """

    status: int
    """
    The HTTP status that the charge alone would have had: 202.
    """
    unpriced: Unpriced
    """
    The usage that waits for a price.
    """


class Organization(BaseModel):
    """
    The billing profile of an organization.
    """

    id: UUID
    """
    Id of the organization.
    """
    name: str
    """
    Name that invoices print.
    """
    billing_currency: str
    """
    ISO 4217 code of the currency of invoices.
    """
    timezone: str
    """
    IANA time zone, in which days, months and due dates are.
    """
    external_id: str | None
    """
    Your own id of the organization.
    """
    email: str | None
    """
    Address to which letters about invoices go.
    """
    status: str
    """
    Whether it may charge: a suspended or closed one is refused new charges and holds. One of `active`, `suspended`, `closed`, or one of a later version.
    """
    suspended_because: str | None
    """
    Why it is suspended by itself, until the invoice is paid; null if the platform did it.
    """
    credit_limit_usd: Decimal
    """
    How far charges may take the balance below zero, in US dollars.
    """
    region: str | None
    """
    Region that holds the organization, if it was given.
    """
    low_balance_threshold_usd: Decimal | None
    """
    Balance in US dollars below which the event `balance.low` is sent.
    """
    runs_out_alert_days: int | None
    """
    Days before the earliest run-out at which the event `balance.runs_out` is sent.
    """
    tax: Tax | None
    """
    Tax of the invoices.
    """
    address: Address | None
    """
    Address that invoices print.
    """
    buyer_reference: str | None
    """
    Reference that invoices print for the organization.
    """
    locale: str
    """
    Language and region of invoices.
    """
    payment_terms_days: int
    """
    Days from the issue of an invoice to its due date.
    """
    price_multiplier: Decimal
    """
    Multiplies everyone's prices for this organization, not its own.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """


class OrganizationWithBalance(BaseModel):
    """
    An organization in the platform's list, with its credit now.
    """

    id: UUID
    """
    Id of the organization.
    """
    name: str
    """
    Name that invoices print.
    """
    billing_currency: str
    """
    ISO 4217 code of the currency of invoices.
    """
    timezone: str
    """
    IANA time zone, in which days, months and due dates are.
    """
    external_id: str | None
    """
    Your own id of the organization.
    """
    email: str | None
    """
    Address to which letters about invoices go.
    """
    status: str
    """
    Whether it may charge: a suspended or closed one is refused new charges and holds. One of `active`, `suspended`, `closed`, or one of a later version.
    """
    suspended_because: str | None
    """
    Why it is suspended by itself, until the invoice is paid; null if the platform did it.
    """
    credit_limit_usd: Decimal
    """
    How far charges may take the balance below zero, in US dollars.
    """
    region: str | None
    """
    Region that holds the organization, if it was given.
    """
    low_balance_threshold_usd: Decimal | None
    """
    Balance in US dollars below which the event `balance.low` is sent.
    """
    runs_out_alert_days: int | None
    """
    Days before the earliest run-out at which the event `balance.runs_out` is sent.
    """
    tax: Tax | None
    """
    Tax of the invoices.
    """
    address: Address | None
    """
    Address that invoices print.
    """
    buyer_reference: str | None
    """
    Reference that invoices print for the organization.
    """
    locale: str
    """
    Language and region of invoices.
    """
    payment_terms_days: int
    """
    Days from the issue of an invoice to its due date.
    """
    price_multiplier: Decimal
    """
    Multiplies everyone's prices for this organization, not its own.
    """
    created_at: AwareDatetime
    """
    Time of creation.
    """
    balance_usd: Decimal
    """
    Sum of all transactions in US dollars.
    """
    held_usd: Decimal
    """
    Credit in US dollars that unexpired holds reserve.
    """
    available_usd: Decimal
    """
    Credit in US dollars that can be charged: balance_usd + credit_limit_usd - held_usd.
    """
    spent_7_days_usd: Decimal
    """
    Sum of the charges of the last seven local days, today included, in US dollars.
    """
    runs_out: date_aliased | None
    """
    Day on which the credit is expected to run out, as of the newest nightly forecast; null if it does not within 90 days, or nothing was charged yet.
    """


class PersonalDataExport(BaseModel):
    """
    Kind by kind, each newest first. A page may be empty; the last one has no `next_cursor`.
    """

    items: list[PersonalDataRecord]
    """
    Rows of one kind, newest first.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class Price(BaseModel):
    """
    `recorded_at` is when the price became known: the newest recording counts.
    """

    id: UUID
    """
    Id of the price, which charges name.
    """
    organization_id: UUID | None
    """
    Id of the organization whose own price this is; null for the price of everyone.
    """
    provider: str
    """
    Name of the model's provider, such as openai.
    """
    model: str
    """
    Name of the model at the provider, such as gpt-4o.
    """
    effective_from: AwareDatetime
    """
    Time from which the price applies.
    """
    recorded_at: AwareDatetime
    """
    Time at which the price became known.
    """
    source: str
    """
    Where the price was taken from, such as the name of a list.
    """
    rates: list[PriceRate]
    """
    The rates, the standard ones first.
    """


class PriceChange(BaseModel):
    """
    What a client gets.
    """

    provider: str
    """
    Name of the model's provider, such as openai.
    """
    model: str
    """
    Name of the model at the provider, such as gpt-4o.
    """
    rates: list[RateChange]
    """
    The rates that differ.
    """


class PriceImported(BaseModel):
    """
    How many models were added, changed and left as they were, and which were refused.
    """

    added: int
    """
    Number of models that had no price.
    """
    changed: int
    """
    Number of models whose price differs.
    """
    unchanged: int
    """
    Number of models whose price is the same.
    """
    refused: list[RefusedModel]
    """
    The models that were not imported: the first of them, if they are very many.
    """
    changes: list[PriceChange]
    """
    The rates that changed: the first of them, if they are very many.
    """


class PricePage(BaseModel):
    """
    A page of a list, newest first.
    """

    items: list[Price]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """


class Quote(BaseModel):
    """
    The sum of the lines by the multiplier, rounded once, half-up, to eight decimals.
    """

    amount_usd: Decimal
    """
    Cost of the usage in US dollars.
    """
    lines: list[QuoteLine]
    """
    One line for each kind of token that was used.
    """
    tokens: int
    """
    Number of all tokens.
    """
    price_id: UUID
    """
    Id of the price that applies.
    """
    provider: str
    """
    Name of the model's provider, such as openai.
    """
    model: str
    """
    Name under which the price was found.
    """
    source: str
    """
    Where the price was taken from, such as the name of a list.
    """
    service_tier: str
    """
    Service tier of the request.
    """
    price_multiplier: Decimal
    """
    Multiplier that applied; 1 for an organization's own price.
    """


class Receipt(BaseModel):
    """
    A transaction, and what settles it.
    """

    transaction: Transaction
    """
    The transaction, with the usage that it was charged for.
    """
    price: Quote | None
    """
    The price, computed again from the usage; null when the amount was given.
    """
    hold: Hold | None
    """
    The hold that the transaction captured.
    """
    grants: list[UsedGrant]
    """
    The grants that paid, in the order in which they were used, with what was refunded since.
    """
    debt_usd: Decimal
    """
    Debt in US dollars, which no grant covers yet.
    """
    budgets: list[CountingBudget]
    """
    The budgets that counted the charge, oldest first, without those deleted since.
    """
    refunds: list[Transaction]
    """
    The refunds of the transaction.
    """
    invoice: ReceiptInvoice | None
    """
    The issued document of the period that contains the charge, or of the top-up; null while there is none. A credit note over all of an invoice takes its charges off it.
    """
    proof: Proof
    """
    The proof of the transaction's hash.
    """


class Revenue(BaseModel):
    """
    The revenue of all organizations in a month.
    """

    month: str
    """
    The month, such as 2026-02, in UTC.
    """
    closed: bool
    """
    Whether the month has ended, so that its figures never change again.
    """
    total: RevenueFigures
    """
    The sums over all organizations.
    """
    journal: list[JournalEntry]
    """
    The total as bookings, which carry the opening to the closing deferred revenue.
    """
    items: list[OrganizationRevenue]
    """
    The organizations with any revenue, credit or debt, in the order of their ids.
    """


class BatchAnswer(BaseModel):
    """
    The results of a batch.
    """

    results: list[Charged | Kept | Refused]
    """
    One result per charge, in the order of the request.
    """


class OrganizationPage(BaseModel):
    """
    A page of the platform's organizations.
    """

    items: list[OrganizationWithBalance]
    """
    The items of this page.
    """
    previous_cursor: str | None
    """
    The cursor of the page before; null on the first one.
    """
    next_cursor: str | None
    """
    The cursor of the next page; null on the last one.
    """
    totals: OrganizationTotals | None = None
    """
    With the first page of a list with `sort`.
    """
