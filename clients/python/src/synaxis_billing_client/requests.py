# Generated from docs/openapi.json by clients/python/generate.py; do not edit.
# ruff: noqa: E501

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, NotRequired, TypedDict


class Address(TypedDict):
    """
    A postal address.
    """

    line1: str
    """
    Street and number, or post office box.
    """
    line2: NotRequired[str | None]
    """
    Building, floor or department.
    """
    postal_code: NotRequired[str | None]
    """
    Postal code.
    """
    city: str
    """
    City or town.
    """
    state: NotRequired[str | None]
    """
    State, province or region.
    """
    country: str
    """
    ISO 3166-1 alpha-2 code of the country.
    """


class AdjustmentRequest(TypedDict):
    """
    `allow_negative_balance` lets an adjustment take more credit than is available.
    """

    amount_usd: Decimal | int | str
    """
    Signed amount in US dollars that is added to the balance.
    """
    description: str
    """
    Why the balance is adjusted.
    """
    allow_negative_balance: NotRequired[bool]
    """
    Whether the adjustment may take more credit than is available.
    """
    expires_at: NotRequired[str | None]
    """
    Instant from which what is left of a positive adjustment is gone; never if it is left out.
    """


class AutoTopupRequest(TypedDict):
    """
    When to top up, up to what, and how much at most in a calendar month.
    """

    threshold_usd: Decimal | int | str
    """
    Credit is bought when less than this, in US dollars, is available without credit limit.
    """
    target_usd: Decimal | int | str
    """
    Credit in US dollars that is available after a top-up; more than the threshold.
    """
    monthly_limit_usd: Decimal | int | str
    """
    Credit in US dollars that is bought at most in a calendar month, in the time zone of the organization.
    """


class Charge(TypedDict):
    """
    A charge of a batch.
    """

    reference_id: NotRequired[str | None]
    """
    Your own reference, of up to 255 characters, stored and returned as it is.
    """
    request_id: NotRequired[str | None]
    """
    Id of the LLM call at the provider or the gateway. It is counted once per organization.
    """
    team_id: NotRequired[str | None]
    """
    Your id of the team that made the call.
    """
    virtual_key_id: NotRequired[str | None]
    """
    Your id of the virtual key that made the call.
    """
    end_user: NotRequired[str | None]
    """
    Your id of the person who made the call.
    """
    model: NotRequired[str | None]
    """
    Name of the model, such as gpt-4o.
    """
    provider: NotRequired[str | None]
    """
    Name of the model's provider, such as openai.
    """
    tokens: NotRequired[int | None]
    """
    Number of tokens that the call used, input and output together.
    """
    region: NotRequired[str | None]
    """
    Region in which the call was made.
    """
    metadata: NotRequired[dict[str, str] | None]
    """
    Your own facts: up to 20 texts, 2 KB in all, which an erasure empties.
    """
    amount_usd: NotRequired[Decimal | int | str | None]
    """
    Cost of the call in US dollars; "0" counts a call that is free.
    """
    usage: NotRequired[dict[str, Any] | None]
    """
    Tokens of the call, which the price book prices, in place of `amount_usd`.
    """
    service_tier: NotRequired[str | None]
    """
    The provider's service tier, whose rates apply; standard if it is left out.
    """
    description: str
    """
    What is charged, as it is to be read in the list of transactions.
    """
    organization_id: str
    """
    Id of the organization to charge.
    """
    idempotency_key: str
    """
    The key of this charge, in place of the header `Idempotency-Key`.
    """


class BatchRequest(TypedDict):
    """
    Up to 1,000 charges. A failed item does not affect the others.
    """

    charges: list[Charge]
    """
    The charges, at most 1,000.
    """


type BudgetMode = Literal["hard", "soft"]


type BudgetSubject = Literal["organization", "team", "virtual_key", "end_user", "model", "provider"]


type BudgetWindow = Literal["day", "week", "month", "lifetime", "rate"]


CacheInvalidationRequest = TypedDict(
    "CacheInvalidationRequest",
    {
        "organization_id": NotRequired[str | None],
        "keys": NotRequired[list[str]],
        "pattern": NotRequired[str | None],
        "tags": NotRequired[list[str]],
        "global": NotRequired[bool],
    },
)


class ChargeRequest(TypedDict):
    """
    The cost of an LLM call.
    """

    reference_id: NotRequired[str | None]
    """
    Your own reference, of up to 255 characters, stored and returned as it is.
    """
    request_id: NotRequired[str | None]
    """
    Id of the LLM call at the provider or the gateway. It is counted once per organization.
    """
    team_id: NotRequired[str | None]
    """
    Your id of the team that made the call.
    """
    virtual_key_id: NotRequired[str | None]
    """
    Your id of the virtual key that made the call.
    """
    end_user: NotRequired[str | None]
    """
    Your id of the person who made the call.
    """
    model: NotRequired[str | None]
    """
    Name of the model, such as gpt-4o.
    """
    provider: NotRequired[str | None]
    """
    Name of the model's provider, such as openai.
    """
    tokens: NotRequired[int | None]
    """
    Number of tokens that the call used, input and output together.
    """
    region: NotRequired[str | None]
    """
    Region in which the call was made.
    """
    metadata: NotRequired[dict[str, str] | None]
    """
    Your own facts: up to 20 texts, 2 KB in all, which an erasure empties.
    """
    amount_usd: NotRequired[Decimal | int | str | None]
    """
    Cost of the call in US dollars; "0" counts a call that is free.
    """
    usage: NotRequired[dict[str, Any] | None]
    """
    Tokens of the call, which the price book prices, in place of `amount_usd`.
    """
    service_tier: NotRequired[str | None]
    """
    The provider's service tier, whose rates apply; standard if it is left out.
    """
    description: str
    """
    What is charged, as it is to be read in the list of transactions.
    """


type ClientScope = Literal[
    "billing:charge",
    "billing:read",
    "billing:topup",
    "billing:admin",
    "billing:pay",
    "billing:settings",
]


class CreditNoteRequest(TypedDict):
    """
    Without `amount_usd` (net), all that is left of what the invoice asked for is credited. `refund_credit` also gives the net amount back, as a refund of the usage; without it, what was not paid is owed, but on no invoice.
    """

    reason: str
    """
    Why the invoice is credited, as the credit note prints it.
    """
    amount_usd: NotRequired[Decimal | int | str | None]
    """
    Net amount in US dollars; all that is left of the invoice if it is left out.
    """
    refund_credit: NotRequired[bool]
    """
    Whether the net amount is also refunded to the balance of the organization.
    """
    reissue: NotRequired[bool]
    """
    Whether the invoice, which is of a top-up, is credited whole and issued again at the same price and tax, with the name, address and tax id of today. No credit moves.
    """


class ErasureRequest(TypedDict):
    """
    Of one initiator, or of everybody; `reason` is kept, and should name nobody.
    """

    reason: str
    """
    Why the data is erased. It is kept, and should name nobody.
    """
    initiated_by: NotRequired[str | None]
    """
    Whose data is erased; that of everybody if it is left out.
    """
    profile: NotRequired[bool]
    """
    Whether the name, the address and the tax id of the organization are erased too.
    """


class GrantRequest(TypedDict):
    """
    Credit that is given. Without `effective_at` it can be used at once.
    """

    amount_usd: Decimal | int | str
    """
    Amount in US dollars, of each grant if it recurs.
    """
    kind: Literal["promotional"]
    """
    Credit that nobody pays for.
    """
    priority: NotRequired[int]
    """
    Credit of a lower priority is used first.
    """
    effective_at: NotRequired[str | None]
    """
    Instant from which the credit can be used; now if it is left out or past.
    """
    expires_at: NotRequired[str | None]
    """
    Instant from which what is left is gone; never if it is left out.
    """
    description: str
    """
    What the credit is for.
    """
    every: NotRequired[Literal["month"] | None]
    """
    Give it again at the beginning of each local month; each grant expires with its month.
    """


class HoldChange(TypedDict):
    """
    Changes the fields that it names.
    """

    amount_usd: NotRequired[Decimal | int | str]
    """
    The most that the call can cost, in US dollars; more than before needs the credit.
    """
    expires_in_seconds: NotRequired[int]
    """
    Seconds from now after which the hold expires by itself.
    """


class HoldRequest(TypedDict):
    """
    A capture takes over the usage that it does not state itself.
    """

    reference_id: NotRequired[str | None]
    """
    Your own reference, of up to 255 characters, stored and returned as it is.
    """
    request_id: NotRequired[str | None]
    """
    Id of the LLM call at the provider or the gateway. It is counted once per organization.
    """
    team_id: NotRequired[str | None]
    """
    Your id of the team that made the call.
    """
    virtual_key_id: NotRequired[str | None]
    """
    Your id of the virtual key that made the call.
    """
    end_user: NotRequired[str | None]
    """
    Your id of the person who made the call.
    """
    model: NotRequired[str | None]
    """
    Name of the model, such as gpt-4o.
    """
    provider: NotRequired[str | None]
    """
    Name of the model's provider, such as openai.
    """
    tokens: NotRequired[int | None]
    """
    Number of tokens that the call used, input and output together.
    """
    region: NotRequired[str | None]
    """
    Region in which the call was made.
    """
    metadata: NotRequired[dict[str, str] | None]
    """
    Your own facts: up to 20 texts, 2 KB in all, which an erasure empties.
    """
    amount_usd: NotRequired[Decimal | int | str | None]
    """
    The most that the call can cost, in US dollars, unless `usage` has the most of its tokens.
    """
    usage: NotRequired[dict[str, Any] | None]
    """
    Tokens of the call, which the price book prices, in place of `amount_usd`.
    """
    service_tier: NotRequired[str | None]
    """
    The provider's service tier, whose rates apply; standard if it is left out.
    """
    description: NotRequired[str | None]
    """
    What the hold is for; a capture takes it over.
    """
    expires_in_seconds: NotRequired[int]
    """
    Seconds after which the hold expires by itself.
    """


class InvoicePayment(TypedDict):
    """
    Without `paid_at`, the invoice was paid now.
    """

    paid_at: NotRequired[str | None]
    """
    Time of the payment; now if it is left out.
    """


class InvoicePeriod(TypedDict):
    """
    Half-open: [period_start, period_end).
    """

    period_start: str
    """
    Start of the period (inclusive).
    """
    period_end: str
    """
    End of the period (exclusive).
    """


type LabelKind = Literal["team", "virtual_key"]


class NewBudget(TypedDict):
    """
    At most `limit_usd` in each window; of a rate, `limit_usd` per hour in the long run, and never more than `burst_usd` at once.
    """

    subject: BudgetSubject
    """
    What the budget is of.
    """
    subject_id: NotRequired[str | None]
    """
    Your id of the team, key or person, or the name of the model or provider; none for the organization itself.
    """
    window: BudgetWindow
    """
    A day, a week from Monday or a month in the organization's time zone, its lifetime, or a rate.
    """
    limit_usd: Decimal | int | str
    """
    The most that may be spent in a window; of a rate, in an hour.
    """
    burst_usd: NotRequired[Decimal | int | str | None]
    """
    Of a rate: the most that may be spent at once; `limit_usd` if it is left out.
    """
    mode: NotRequired[BudgetMode]
    """
    Whether it refuses what exceeds it, or only alerts.
    """
    alert_percents: NotRequired[list[int]]
    """
    Percentages of the limit at which `budget.alert` is sent, each once in a window.
    """


class NewClient(TypedDict):
    """
    A program that acts for one organization.
    """

    name: str
    """
    Name of the client, one of its kind among the organization's clients.
    """
    scopes: list[ClientScope]
    """
    What its tokens allow.
    """


class NewDocumentLink(TypedDict):
    """
    An invoice, or a credit note of it, in one format.
    """

    invoice_id: str
    """
    Id of the invoice.
    """
    credit_note_id: NotRequired[str | None]
    """
    Id of a credit note of the invoice, whose document is meant.
    """
    format: NotRequired[Literal["pdf", "csv"]]
    """
    Form of the document.
    """


class NewLabel(TypedDict):
    """
    The name of a team or a key, in place of an earlier one.
    """

    kind: LabelKind
    """
    What is named.
    """
    id: str
    """
    Your id of the team or the virtual key.
    """
    name: str
    """
    Name to show.
    """


class NewOrganizationHome(TypedDict):
    """
    The region that holds an organization.
    """

    region: str
    """
    Name of another region of this deployment.
    """


class NewPaymentLink(TypedDict):
    """
    Without `expires_in_seconds`, the link lives for 30 days.
    """

    expires_in_seconds: NotRequired[int]
    """
    How long the link lives, at most 90 days.
    """


class NewRate(TypedDict):
    """
    A rate of a bucket; one that is absent is that of its parent, never zero.
    """

    bucket: Literal[
        "input",
        "cache_read",
        "cache_write",
        "cache_write_1h",
        "cache_write_12h",
        "audio_input",
        "audio_cache_read",
        "image_input",
        "citation",
        "output",
        "reasoning",
        "audio_output",
        "image_output",
    ]
    """
    Kind of the tokens.
    """
    usd_per_million: Decimal | int | str
    """
    US dollars per million tokens.
    """
    service_tier: NotRequired[str]
    """
    Service tier at the provider.
    """
    above_input_tokens: NotRequired[int]
    """
    The rate applies to calls of more input tokens than this.
    """


NewRerating = TypedDict(
    "NewRerating",
    {
        "provider": str,
        "model": str,
        "from": str,
        "to": str,
        "dry_run": NotRequired[bool],
    },
)


type OrganizationStatus = Literal["active", "suspended", "closed"]


type Overrun = Literal["refuse", "charge"]


class PaymentRefundRequest(TypedDict):
    """
    Without `amount_usd`, all unspent credit of the payment is refunded.
    """

    amount_usd: NotRequired[Decimal | int | str | None]
    """
    Credit in US dollars whose price goes back; all that is unspent if it is left out.
    """
    allow_negative_balance: NotRequired[bool]
    """
    Whether spent credit may be refunded too; it becomes debt.
    """


class PreviewRequest(TypedDict):
    """
    Credit that may be bought.
    """

    amount_usd: Decimal | int | str
    """
    Credit in US dollars.
    """


class PriceImport(TypedDict):
    """
    A price list of everyone, in force from an instant on.
    """

    format: Literal["litellm"]
    """
    Format of the list: LiteLLM's price map.
    """
    effective_from: str
    """
    Time from which the prices apply.
    """
    prices: dict[str, Any]
    """
    The map: a model's name to its fields, prices as strings.
    """
    dry_run: NotRequired[bool]
    """
    Whether to answer the changes without making them.
    """
    source: NotRequired[str]
    """
    Where the list was taken from.
    """


class PricePaid(TypedDict):
    """
    What was paid, net of tax.
    """

    amount: Decimal | int | str
    """
    Amount in the currency.
    """
    currency: str
    """
    ISO 4217 code of the currency, in any case.
    """


type ProviderName = Literal["stripe", "paypal"]


class QuoteRequest(TypedDict):
    """
    What is to be priced. Without an organization, everyone's price applies.
    """

    provider: str
    """
    Name of the model's provider, such as openai.
    """
    model: str
    """
    Name of the model at the provider, such as gpt-4o.
    """
    usage: dict[str, Any]
    """
    The provider's usage object, unchanged, with `format`: how it counts tokens.
    """
    service_tier: NotRequired[str]
    """
    Service tier at the provider.
    """
    organization_id: NotRequired[str | None]
    """
    Id of the organization whose own prices and multiplier apply.
    """


class RefundRequest(TypedDict):
    """
    Without `amount_usd`, all that is left of the charge is refunded.
    """

    transaction_id: str
    """
    Id of the charge to refund.
    """
    amount_usd: NotRequired[Decimal | int | str | None]
    """
    Amount in US dollars; all that is left of the charge if it is left out.
    """
    description: NotRequired[str | None]
    """
    Why the charge is refunded.
    """


class SpendLogRequest(TypedDict):
    """
    Spend to count without charging it: give `amount_usd`, or `usage` with `provider` and `model`.
    """

    reference_id: NotRequired[str | None]
    """
    Your own reference, of up to 255 characters, stored and returned as it is.
    """
    request_id: NotRequired[str | None]
    """
    Id of the LLM call at the provider or the gateway. It is counted once per organization.
    """
    team_id: NotRequired[str | None]
    """
    Your id of the team that made the call.
    """
    virtual_key_id: NotRequired[str | None]
    """
    Your id of the virtual key that made the call.
    """
    end_user: NotRequired[str | None]
    """
    Your id of the person who made the call.
    """
    model: NotRequired[str | None]
    """
    Name of the model, such as gpt-4o.
    """
    provider: NotRequired[str | None]
    """
    Name of the model's provider, such as openai.
    """
    tokens: NotRequired[int | None]
    """
    Number of tokens that the call used, input and output together.
    """
    region: NotRequired[str | None]
    """
    Region in which the call was made.
    """
    metadata: NotRequired[dict[str, str] | None]
    """
    Your own facts: up to 20 texts, 2 KB in all, which an erasure empties.
    """
    amount_usd: NotRequired[Decimal | int | str | None]
    """
    Cost of the call in US dollars; "0" counts a call that is free.
    """
    usage: NotRequired[dict[str, Any] | None]
    """
    Tokens of the call, which the price book prices, in place of `amount_usd`.
    """
    service_tier: NotRequired[str | None]
    """
    The provider's service tier, whose rates apply; standard if it is left out.
    """


type TaxCategory = Literal["standard", "reverse_charge", "exempt"]


class TokenRequest(TypedDict):
    """
    OAuth 2.0's client credentials.
    """

    grant_type: Literal["client_credentials"]
    """
    The grant of OAuth 2.0.
    """
    client_id: NotRequired[str | None]
    """
    Id of the client, unless HTTP Basic names it.
    """
    client_secret: NotRequired[str | None]
    """
    Its secret, unless HTTP Basic gives it.
    """
    scope: NotRequired[str | None]
    """
    Scopes, with spaces between them; all that the client has if it is left out.
    """


class TopUpRequest(TypedDict):
    """
    `reference_id` names the payment, which is credited once.
    """

    amount_usd: Decimal | int | str
    """
    Amount in US dollars that is added to the balance.
    """
    description: NotRequired[str | None]
    """
    What the credit is for.
    """
    reference_id: NotRequired[str | None]
    """
    Id of the payment, which is credited once.
    """
    initiated_by: NotRequired[str | None]
    """
    Who paid; the `sub` of the token if it is left out.
    """
    priority: NotRequired[int]
    """
    Credit of a lower priority is used first.
    """
    expires_at: NotRequired[str | None]
    """
    Instant from which what is left is gone; never if it is left out.
    """
    paid: NotRequired[PricePaid | None]
    """
    What was paid for the credit; `amount_usd` if it is left out.
    """


type WebhookEventType = Literal[
    "invoice.issued",
    "invoice.paid",
    "invoice.overdue",
    "invoice.payment_failed",
    "invoice.uncollectible",
    "invoice.cancelled",
    "credit_note.issued",
    "balance.low",
    "balance.runs_out",
    "balance.exhausted",
    "grant.created",
    "grant.expiring",
    "grant.expired",
    "budget.alert",
    "budget.exceeded",
    "payment.succeeded",
    "payment.failed",
    "payment.refunded",
    "payment.disputed",
    "auto_topup.paused",
]


class WebhookReplay(TypedDict):
    """
    One event, delivered or not; or all since an instant that the endpoint has not got.
    """


class BudgetChange(TypedDict):
    """
    Changes the fields that it names. What is spent already stays.
    """

    limit_usd: NotRequired[Decimal | int | str]
    """
    The most that may be spent in a window; less than what is spent refuses from now on.
    """
    burst_usd: NotRequired[Decimal | int | str]
    """
    Of a rate: the most that may be spent at once.
    """
    mode: NotRequired[BudgetMode]
    """
    Whether it refuses what exceeds it, or only alerts.
    """
    alert_percents: NotRequired[list[int]]
    """
    Percentages of the limit at which `budget.alert` is sent, each once in a window.
    """


class CaptureRequest(TypedDict):
    """
    `amount_usd`, or the price of `usage`, is the call's real cost: at most the held amount, unless `overrun` is "charge", which charges the whole cost whatever credit there is, since the call was made.
    """

    reference_id: NotRequired[str | None]
    """
    Your own reference, of up to 255 characters, stored and returned as it is.
    """
    request_id: NotRequired[str | None]
    """
    Id of the LLM call at the provider or the gateway. It is counted once per organization.
    """
    team_id: NotRequired[str | None]
    """
    Your id of the team that made the call.
    """
    virtual_key_id: NotRequired[str | None]
    """
    Your id of the virtual key that made the call.
    """
    end_user: NotRequired[str | None]
    """
    Your id of the person who made the call.
    """
    model: NotRequired[str | None]
    """
    Name of the model, such as gpt-4o.
    """
    provider: NotRequired[str | None]
    """
    Name of the model's provider, such as openai.
    """
    tokens: NotRequired[int | None]
    """
    Number of tokens that the call used, input and output together.
    """
    region: NotRequired[str | None]
    """
    Region in which the call was made.
    """
    metadata: NotRequired[dict[str, str] | None]
    """
    Your own facts: up to 20 texts, 2 KB in all, which an erasure empties.
    """
    amount_usd: NotRequired[Decimal | int | str | None]
    """
    Cost of the call in US dollars; "0" counts a call that is free.
    """
    usage: NotRequired[dict[str, Any] | None]
    """
    Tokens of the call, which the price book prices, in place of `amount_usd`.
    """
    service_tier: NotRequired[str | None]
    """
    The provider's service tier, whose rates apply; standard if it is left out.
    """
    description: NotRequired[str | None]
    """
    What the charge is for; that of the hold if it is left out.
    """
    overrun: NotRequired[Overrun]
    """
    Whether a cost above the held amount is refused, or charged whole: the call was made.
    """


class LinkPaymentRequest(TypedDict):
    """
    How the payer pays.
    """

    provider: ProviderName
    """
    Who takes the money.
    """
    return_url: NotRequired[str | None]
    """
    The page to which the payer returns.
    """


class NewPayment(TypedDict):
    """
    Exactly one of `amount_usd` and `invoice_id`.
    """

    provider: ProviderName
    """
    Who takes the money.
    """
    amount_usd: NotRequired[Decimal | int | str | None]
    """
    Credit to buy, in US dollars; tax comes on top.
    """
    invoice_id: NotRequired[str | None]
    """
    Id of an issued invoice to pay.
    """
    return_url: NotRequired[str | None]
    """
    The page to which the payer returns; what it is called with proves nothing.
    """


class NewPrice(TypedDict):
    """
    The price of a model from an instant on, for everyone or for one organization.
    """

    provider: str
    """
    Name of the model's provider, such as openai.
    """
    model: str
    """
    Name of the model at the provider, such as gpt-4o.
    """
    effective_from: str
    """
    Time from which the price applies.
    """
    rates: list[NewRate]
    """
    The rates: at least the standard ones of input and output.
    """
    organization_id: NotRequired[str | None]
    """
    Id of the organization whose own price this is; left out for the price of everyone.
    """
    source: NotRequired[str]
    """
    Where the price was taken from, such as the name of a list.
    """


class NewWebhookEndpoint(TypedDict):
    """
    Without `types`, every type of event is sent.
    """

    url: str
    """
    The https URL that webhooks are sent to.
    """
    types: NotRequired[list[WebhookEventType]]
    """
    Types of events to send; every type if it is empty.
    """


class Tax(TypedDict):
    """
    How the organization's invoices are taxed, such as VAT at "20" percent.
    """

    label: str
    """
    Name of the tax as invoices print it, such as VAT.
    """
    rate_percent: Decimal | int | str
    """
    Tax rate in percent, a decimal from "0" to "100".
    """
    tax_id: NotRequired[str | None]
    """
    Tax id of the organization, such as its VAT id.
    """
    category: NotRequired[TaxCategory]
    """
    Whether invoices add the tax: `reverse_charge` if the organization owes it itself, `exempt` if nobody does.
    """


class WebhookEndpointChange(TypedDict):
    """
    Changes the fields that it names, and no others.
    """

    url: NotRequired[str]
    """
    The https URL that webhooks are sent to.
    """
    types: NotRequired[list[WebhookEventType]]
    """
    Types of events to send; every type if it is empty.
    """
    enabled: NotRequired[bool]
    """
    Whether webhooks are sent.
    """


class NewOrganization(TypedDict):
    """
    An `id` chosen by the client makes the creation safe to retry.
    """

    name: str
    """
    Name that invoices print.
    """
    external_id: NotRequired[str | None]
    """
    Your own id of the organization, which no other organization has.
    """
    email: NotRequired[str | None]
    """
    Address to which letters about invoices go.
    """
    credit_limit_usd: NotRequired[Decimal | int | str]
    """
    How far charges may take the balance below zero, in US dollars.
    """
    billing_currency: str
    """
    ISO 4217 code of the currency of invoices, in any case.
    """
    id: NotRequired[str | None]
    """
    Id of your choosing; the server makes one if it is left out.
    """
    timezone: NotRequired[str]
    """
    IANA time zone, in which days, months and due dates are.
    """
    region: NotRequired[str | None]
    """
    Region that is to hold the organization; the one that is asked if it is left out.
    """
    low_balance_threshold_usd: NotRequired[Decimal | int | str | None]
    """
    Balance in US dollars below which the event `balance.low` is sent; none if it is null.
    """
    runs_out_alert_days: NotRequired[int | None]
    """
    Days before the earliest run-out of the forecast at which the event `balance.runs_out` is sent; none if it is null.
    """
    tax: NotRequired[Tax | None]
    """
    Tax of the invoices; none if it is null.
    """
    address: NotRequired[Address | None]
    """
    Address that invoices print.
    """
    buyer_reference: NotRequired[str | None]
    """
    Reference that invoices print for the organization, such as its purchase order (EN 16931, BT-10).
    """
    locale: NotRequired[str]
    """
    Language and region of invoices, such as pt-BR.
    """
    payment_terms_days: NotRequired[int]
    """
    Days from the issue of an invoice to its due date.
    """
    price_multiplier: NotRequired[Decimal | int | str]
    """
    Multiplies everyone's prices for this organization, not its own: a markup or a discount.
    """


class OrganizationChange(TypedDict):
    """
    Changes the fields that it names, and no others; null clears a field that may be absent.
    """

    name: NotRequired[str]
    """
    Name that invoices print.
    """
    external_id: NotRequired[str | None]
    """
    Your own id of the organization, which no other organization has.
    """
    email: NotRequired[str | None]
    """
    Address to which letters about invoices go.
    """
    status: NotRequired[OrganizationStatus]
    """
    Whether it may charge: a suspended or closed one is refused new charges and holds.
    """
    credit_limit_usd: NotRequired[Decimal | int | str]
    """
    How far charges may take the balance below zero, in US dollars.
    """
    billing_currency: NotRequired[str]
    """
    ISO 4217 code of the currency of invoices, in any case.
    """
    timezone: NotRequired[str]
    """
    IANA time zone, in which days, months and due dates are.
    """
    region: NotRequired[str | None]
    """
    Region that is to hold the organization; the one that is asked if it is left out.
    """
    low_balance_threshold_usd: NotRequired[Decimal | int | str | None]
    """
    Balance in US dollars below which the event `balance.low` is sent; none if it is null.
    """
    runs_out_alert_days: NotRequired[int | None]
    """
    Days before the earliest run-out of the forecast at which the event `balance.runs_out` is sent; none if it is null.
    """
    tax: NotRequired[Tax | None]
    """
    Tax of the invoices; none if it is null.
    """
    address: NotRequired[Address | None]
    """
    Address that invoices print.
    """
    buyer_reference: NotRequired[str | None]
    """
    Reference that invoices print for the organization, such as its purchase order (EN 16931, BT-10).
    """
    locale: NotRequired[str]
    """
    Language and region of invoices, such as pt-BR.
    """
    payment_terms_days: NotRequired[int]
    """
    Days from the issue of an invoice to its due date.
    """
    price_multiplier: NotRequired[Decimal | int | str]
    """
    Multiplies everyone's prices for this organization, not its own: a markup or a discount.
    """


# The fields that hold a decimal.
DECIMAL_FIELDS = frozenset(
    [
        "amount",
        "amount_usd",
        "burst_usd",
        "credit_limit_usd",
        "limit_usd",
        "low_balance_threshold_usd",
        "monthly_limit_usd",
        "price_multiplier",
        "rate_percent",
        "target_usd",
        "threshold_usd",
        "usd_per_million",
    ]
)
