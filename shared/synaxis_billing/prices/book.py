"""The price book: what the tokens of a model cost, from when on, for everyone or one organization.

A price is never changed: a correction is a newer recording, so that every receipt can be computed
again. A rate is a grid's cell: bucket, service tier and step of the request's input.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import NotFound
from synaxis_billing.fields import Answer, Instant, Money, Name, Request, Time, json_schema
from synaxis_billing.money import format_money
from synaxis_billing.paging import Bounds, Page, paginate_by_id
from synaxis_billing.prices.usage import (
    LARGEST_COUNT,
    PARENTS,
    STANDARD,
    ServiceTier,
    TokenUsage,
)

DECIMALS = 10
LARGEST_RATE = Decimal(10) ** 10
MOST_RATES = 200

Bucket = Literal[
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


def parse_rate(text: object, exponent: int = 0) -> Decimal:
    """Return the rate that a string holds, in US dollars per million tokens: the string's decimal
    by ten to the power of the exponent.

    Raises ValueError, whose message completes "<field> ...", for a JSON number, for a negative
    rate, and for more digits than the column holds.
    """
    if not isinstance(text, str):
        raise ValueError('must be a string holding a decimal, such as "2.50"; a number is refused')
    if len(text) > 40 or not text.isascii() or "_" in text:
        raise ValueError('must hold a decimal, such as "2.50"')
    try:
        rate = Decimal(text).scaleb(exponent)
    except ArithmeticError as error:
        raise ValueError('must hold a decimal, such as "2.50"') from error
    if not rate.is_finite() or rate.is_signed():
        raise ValueError("must be a decimal that is not negative")
    if rate >= LARGEST_RATE:
        raise ValueError(f"must be less than {LARGEST_RATE}")
    if rate != round(rate, DECIMALS):
        raise ValueError(f"must have at most {DECIMALS} decimals")
    return rate


def _complete(rates: "tuple[NewRate, ...]") -> "tuple[NewRate, ...]":
    cells = [(rate.bucket, rate.service_tier, rate.above_input_tokens) for rate in rates]
    for position, cell in enumerate(cells):
        if cell in cells[:position]:
            raise ValueError(f"must name each rate once; {' '.join(map(str, cell))} is repeated")
    for root in (bucket for bucket, parent in PARENTS.items() if parent is None):
        if (root, STANDARD, 0) not in cells:
            raise ValueError(f"must contain a standard rate of {root} without a step")
    return rates


Rate = Annotated[
    Decimal,
    BeforeValidator(parse_rate),
    PlainSerializer(format_money, return_type=str),
    json_schema(
        r"^0{0,10}[0-9]{1,10}(\.[0-9]{1,10})?$",
        "2.50",
        description="US dollars per million tokens.",
    ),
]
Step = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        le=LARGEST_COUNT,
        description="The rate applies to requests of more input tokens than this.",
    ),
]


class NewRate(Request):
    """A rate of a bucket; one that is absent is that of its parent, never zero."""

    bucket: Bucket
    """Kind of the tokens."""
    usd_per_million: Rate
    service_tier: ServiceTier = STANDARD
    above_input_tokens: Step = 0


class NewPrice(Request):
    """The price of a model from an instant on, for everyone or for one organization."""

    provider: Annotated[Name, Field(examples=["openai"])]
    """Name of the model's provider, such as openai."""
    model: Annotated[Name, Field(examples=["gpt-4o"])]
    """Name of the model at the provider, such as gpt-4o."""
    effective_from: Instant
    """Time from which the price applies."""
    rates: Annotated[
        tuple[NewRate, ...],
        Field(max_length=MOST_RATES, json_schema_extra={"minItems": 2}),
        AfterValidator(_complete),
    ]
    """The rates: at least the standard ones of input and output."""
    organization_id: UUID | None = None
    """Id of the organization whose own price this is; left out for the price of everyone."""
    source: Name = "manual"
    """Where the price was taken from, such as the name of a list."""


class PriceRate(Answer):
    bucket: str
    """Kind of the tokens."""
    usd_per_million: Money
    """US dollars per million tokens."""
    service_tier: str
    """Service tier at the provider."""
    above_input_tokens: int
    """The rate applies to calls of more input tokens than this."""


class Price(Answer):
    """`recorded_at` is when the price became known: the newest recording counts."""

    id: UUID
    """Id of the price, which charges name."""
    organization_id: UUID | None
    """Id of the organization whose own price this is; null for the price of everyone."""
    provider: str
    """Name of the model's provider, such as openai."""
    model: str
    """Name of the model at the provider, such as gpt-4o."""
    effective_from: Time
    """Time from which the price applies."""
    recorded_at: Time
    """Time at which the price became known."""
    source: str
    """Where the price was taken from, such as the name of a list."""
    rates: list[PriceRate]
    """The rates, the standard ones first."""


class PriceFilter(Request):
    """Which prices a list has."""

    organization_id: UUID | None = None
    """Only the own prices of this organization."""
    provider: Name | None = None
    """Only prices of this provider."""
    model: Name | None = None
    """Only prices of this model."""
    at: Instant | None = None
    """Only prices that are in force at this time."""


class QuoteRequest(Request):
    """What is to be priced. Without an organization, everyone's price applies."""

    provider: Annotated[Name, Field(examples=["openai"])]
    """Name of the model's provider, such as openai."""
    model: Annotated[Name, Field(examples=["gpt-4o"])]
    """Name of the model at the provider, such as gpt-4o."""
    usage: TokenUsage
    service_tier: ServiceTier = STANDARD
    organization_id: UUID | None = None
    """Id of the organization whose own prices and multiplier apply."""


class AppliedRate(Answer):
    """The rate that was found: of the bucket or its parent, of the tier or the standard one."""

    bucket: str
    """Kind of token whose rate applies."""
    service_tier: str
    """Service tier whose rate applies."""
    above_input_tokens: int
    """Number of input tokens above which the rate applies."""


class QuoteLine(Answer):
    bucket: str
    """Kind of the tokens."""
    tokens: int
    """Number of the tokens."""
    usd_per_million: Money
    """Rate of the tokens, in US dollars per million."""
    amount_usd: Money
    """Tokens by rate in US dollars, exact, before the multiplier."""
    rate: AppliedRate
    """The rate that was found."""


class Quote(Answer):
    """The sum of the lines by the multiplier, rounded once, half-up, to eight decimals."""

    amount_usd: Money
    """Cost of the usage in US dollars."""
    lines: list[QuoteLine]
    """One line for each kind of token that was used."""
    tokens: int
    """Number of all tokens."""
    price_id: UUID
    """Id of the price that applies."""
    provider: str
    """Name of the model's provider, such as openai."""
    model: str
    """Name under which the price was found."""
    source: str
    """Where the price was taken from, such as the name of a list."""
    service_tier: str
    """Service tier of the request."""
    price_multiplier: Money
    """Multiplier that applied; 1 for an organization's own price."""


class PriceNotFound(NotFound):
    """The price does not exist."""

    code = "price_not_found"


def create_price(db: psycopg.Connection, caller: Caller, request: NewPrice) -> Price:
    """Add a price. Raises Forbidden (not the platform's token), OrganizationNotFound."""
    outcome = procedures.call(
        db, "create_price", tenant=caller.tenant, price=Jsonb(request.model_dump(mode="json"))
    )
    return Price.model_validate(procedures.accepted(outcome)[0])


def get_price(db: psycopg.Connection, caller: Caller, price_id: UUID) -> Price:
    """Return a price, one that no longer applies too. Raises PriceNotFound."""
    outcome = procedures.call(db, "price", tenant=caller.tenant, price_id=price_id)
    return Price.model_validate(procedures.accepted(outcome)[0])


def list_prices(
    db: psycopg.Connection, caller: Caller, prices: PriceFilter, limit: int, cursor: str | None
) -> Page[Price]:
    """List the prices that the filter matches, newest first. Raises InvalidRequest (cursor)."""

    def fetch(bounds: Bounds[UUID], most: int) -> list[Price]:
        found: list[Any] = procedures.call(
            db,
            "prices",
            tenant=caller.tenant,
            owner_id=prices.organization_id,
            provider=prices.provider,
            model=prices.model,
            at=prices.at,
            before=bounds.before,
            since=bounds.since,
            limit=most,
        )
        return [Price.model_validate(price) for price in found]

    return paginate_by_id("prices", limit, cursor, fetch)


def quote(db: psycopg.Connection, caller: Caller, request: QuoteRequest) -> Quote:
    """Return what usage would cost now. Raises PriceUnknown, OrganizationNotFound."""
    arguments: dict[str, Any] = {
        "provider": request.provider,
        "model": request.model,
        "service_tier": request.service_tier,
        "usage": Jsonb(request.usage),
    }
    function = "everyones_quote"
    if request.organization_id is not None:
        function = "quote"
        arguments["organization_id"] = request.organization_id
    outcome = procedures.call(db, function, tenant=caller.tenant, **arguments)
    return Quote.model_validate(procedures.accepted(outcome)[0])
