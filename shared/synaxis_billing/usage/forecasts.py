"""Forecasts of an organization's spend, and when its credit runs out."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.fields import Answer, Money, Time
from synaxis_billing.usage.forecast import (
    ENOUGH_DAYS,
    HISTORY_DAYS,
    HORIZON,
    METHOD,
    Band,
    Forecast,
    RunOut,
    UsableGrant,
    make_forecast,
    run_out,
)

PAGE = 500
# The record tells of so many days.
RECORD_DAYS = 90
DEFAULT_DAYS = 30
Days = Annotated[int, Field(strict=False, ge=1, le=HORIZON, examples=[30])]


class Unforecast(Exception):
    """Organizations whose forecast could not be made, each with its SQLSTATE."""


class SpendBand(Answer):
    """Expected spend, and bounds between which four of five are."""

    expected_usd: Money
    """Expected spend in US dollars."""
    low_usd: Money
    """Lower bound: one of ten is less."""
    high_usd: Money
    """Upper bound: one of ten is more."""


class ForecastDay(SpendBand):
    """A day of the forecast; the first is today, whole."""

    day: date
    """Day in the time zone of the organization."""


class RunsOut(Answer):
    """The day on which the spend from today on exceeds the credit; null if that is not within 90
    days."""

    expected: date | None
    """By the expected spend."""
    earliest: date | None
    """By the upper bound of the spend."""
    latest: date | None
    """By the lower bound of the spend."""


class MoneyAtRisk(Answer):
    """Credit of a grant that is expected to expire before it is spent."""

    grant_id: UUID
    """Id of the grant."""
    amount_usd: Money
    """Credit in US dollars that the expected spend leaves."""
    expires_at: Time
    """Time at which the grant expires."""


class ForecastRecord(Answer):
    """How the last forecasts of one day came true, 90 of them at most."""

    days: int
    """Number of days that were forecast and are over."""
    mase: float | None
    """Mean error, as a multiple of that of taking the same weekday of the week before."""
    coverage: float | None
    """Share of the days whose spend was within its bounds, which should be 0.8."""


class ExpectedSpend(Answer):
    """The charged spend that is expected of the coming days."""

    made_at: Time
    """Time at which the forecast was made."""
    method: str
    """How it was made."""
    daily: list[ForecastDay]
    """Each day, beginning today."""
    total: SpendBand
    """All of the days together."""
    record: ForecastRecord
    confidence: Literal["low", "normal"]
    """Low with less than 14 days of history: then the days before are no measure of the bounds."""


class SpendForecast(ExpectedSpend):
    """The charged spend that is expected of the coming days, and when it exceeds the credit."""

    runs_out: RunsOut
    money_at_risk: list[MoneyAtRisk]
    """Credit that expires within 90 days and is not expected to be spent by then."""


def get_forecast(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, days: int
) -> SpendForecast:
    """Forecast so many days: last night's forecast, or one that is made now where there is none.

    Raises OrganizationNotFound.
    """
    basis = _basis(db, caller.tenant, organization_id)
    forecast = _stored(basis) if basis["history"] is None else _made(basis)
    return SpendForecast(
        made_at=basis["stored"]["made_at"] if basis["history"] is None else basis["now"],
        **_expected(forecast, date.fromisoformat(basis["today"]), days),
        record=_record(*_scores(basis)),
        runs_out=_runs_out(basis, forecast),
        money_at_risk=_at_risk(basis, forecast),
    )


def get_platform_forecast(db: psycopg.Connection, caller: Caller, days: int) -> ExpectedSpend:
    """Forecast so many days of all organizations together, made now from the days that have ended
    in every time zone. Its record is what it would have forecast of each of the last days.

    Raises Forbidden (a tenant's token).
    """
    outcome = procedures.call(db, "platform_daily_spend", tenant=caller.tenant, days=HISTORY_DAYS)
    value, _ = procedures.accepted(outcome)
    today, spent = date.fromisoformat(value["today"]), value["spent"]
    first = date.fromisoformat(min(spent, default=value["today"]))
    history = [
        Decimal(spent.get(f"{first + timedelta(number)}", 0))
        for number in range((today - first).days)
    ]
    return ExpectedSpend(
        made_at=value["now"],
        **_expected(make_forecast(history), today, days),
        record=_record(*_scores_of_each_day(history)),
    )


def _expected(forecast: Forecast, today: date, days: int) -> dict[str, Any]:
    return {
        "method": METHOD,
        "daily": [
            ForecastDay(day=today + timedelta(number), **_band(band))
            for number, band in enumerate(forecast.daily[:days])
        ],
        "total": SpendBand(**_band(forecast.totals[days - 1])),
        "confidence": "low" if forecast.days < ENOUGH_DAYS else "normal",
    }


def _scores_of_each_day(history: list[Decimal]) -> tuple[list[Decimal | None], list[bool]]:
    """Return the error of the forecast that each of the last days would have had, and whether the
    day was within its bounds."""
    errors, covered = [], []
    for day in range(max(ENOUGH_DAYS, len(history) - RECORD_DAYS), len(history)):
        before = make_forecast(history[:day])
        error, within = _score(history[day], before.daily[0], before.naive_error)
        errors.append(error)
        covered.append(within)
    return errors, covered


def make_forecasts(db: psycopg.Connection, go_on: Callable[[], bool]) -> int:
    """Make today's forecast of each organization that has none, until `go_on()` is false.

    Return how many were made; the next run makes the rest. Raises Unforecast, after all others are
    made, for those that cannot be.
    """
    made, failed = 0, []
    for organization_id in _to_forecast(db):
        if not go_on():
            break
        try:
            made += _forecast(db, organization_id)
        except psycopg.Error as error:
            if db.broken:
                raise
            failed.append(f"{organization_id} ({error.sqlstate})")
    if failed:
        raise Unforecast(", ".join(failed))
    return made


def _to_forecast(db: psycopg.Connection) -> Iterator[UUID]:
    last = None
    while True:
        outcome = procedures.call(db, "plan_forecasts", tenant="*", after=last, limit=PAGE)
        found, _ = procedures.accepted(outcome)
        yield from map(UUID, found["organization_ids"])
        last = found["last"]
        if last is None:
            return


def _forecast(db: psycopg.Connection, organization_id: UUID) -> bool:
    basis = _basis(db, "*", organization_id)
    if basis["history"] is None:
        return False
    forecast = _made(basis)
    errors, covered = _scores(basis)
    runs_out = _runs_out(basis, forecast)
    near = _is_near(basis, runs_out)
    outcome = procedures.call(
        db,
        "store_forecast",
        tenant="*",
        organization_id=organization_id,
        forecast=Jsonb(
            {
                "first_day": basis["today"],
                "made_at": basis["now"],
                "history_days": forecast.days,
                "runs_out": runs_out.expected and runs_out.expected.isoformat(),
                "daily": [list(map(str, band)) for band in forecast.daily],
                "totals": [list(map(str, band)) for band in forecast.totals],
                "naive_error_usd": str(forecast.naive_error),
                "miss_rates": [str(round(rate, 6)) for rate in forecast.miss_rates],
                "scaled_errors": [None if error is None else str(error) for error in errors],
                "covered": covered,
                "is_near": near,
            }
        ),
        runs_out=Jsonb(
            {
                **runs_out.model_dump(mode="json"),
                "available_usd": basis["available_usd"],
                "runs_out_alert_days": basis["alert_days"],
            }
        ),
    )
    return bool(procedures.accepted(outcome)[0]["stored"])


def _basis(db: psycopg.Connection, tenant: str, organization_id: UUID) -> dict[str, Any]:
    outcome = procedures.call(
        db,
        "forecast_basis",
        tenant=tenant,
        organization_id=organization_id,
        days=HISTORY_DAYS,
        horizon=HORIZON,
    )
    return dict(procedures.accepted(outcome)[0])


def _stored(basis: dict[str, Any]) -> Forecast:
    stored = basis["stored"]
    return Forecast(
        [Band(*map(Decimal, band)) for band in stored["daily"]],
        [Band(*map(Decimal, band)) for band in stored["totals"]],
        Decimal(stored["naive_error_usd"]),
        tuple(stored["miss_rates"]),
        stored["history_days"],
    )


def _made(basis: dict[str, Any]) -> Forecast:
    history = [Decimal(amount) for amount in basis["history"]]
    if basis["stored"] is None:
        return make_forecast(history)
    return make_forecast(history, basis["stored"]["miss_rates"], max(_days_since(basis), 0))


def _days_since(basis: dict[str, Any]) -> int:
    """Return how many days ago the stored forecast began."""
    first_day = date.fromisoformat(basis["stored"]["first_day"])
    return (date.fromisoformat(basis["today"]) - first_day).days


def _scores(basis: dict[str, Any]) -> tuple[list[Decimal | None], list[bool]]:
    """Return the errors of the days that were forecast, and whether each was within its bounds:
    those that are stored, and that of the stored forecast's first day, if it is over."""
    stored, history = basis["stored"], basis["history"]
    if stored is None:
        return [], []
    errors = [None if error is None else Decimal(str(error)) for error in stored["scaled_errors"]]
    covered = list(stored["covered"])
    if history and 1 <= _days_since(basis) <= len(history):
        actual = Decimal(history[-_days_since(basis)])
        band = Band(*map(Decimal, stored["daily"][0]))
        error, within = _score(actual, band, Decimal(str(stored["naive_error_usd"])))
        errors.append(error)
        covered.append(within)
    return errors[-RECORD_DAYS:], covered[-RECORD_DAYS:]


def _score(actual: Decimal, band: Band, naive_error: Decimal) -> tuple[Decimal | None, bool]:
    error = round(abs(actual - band.expected) / naive_error, 6) if naive_error else None
    return error, band.low <= actual <= band.high


def _record(errors: list[Decimal | None], covered: list[bool]) -> ForecastRecord:
    scaled = [error for error in errors if error is not None]
    return ForecastRecord(
        days=len(covered),
        mase=round(float(sum(scaled) / len(scaled)), 4) if scaled else None,
        coverage=round(sum(covered) / len(covered), 4) if covered else None,
    )


def _runs_out(basis: dict[str, Any], forecast: Forecast) -> RunsOut:
    today = date.fromisoformat(basis["today"])

    def day(position: int) -> date | None:
        found = _run_out(basis, forecast, position).day
        return None if found is None else today + timedelta(found)

    return RunsOut(expected=day(0), latest=day(1), earliest=day(2))


def _at_risk(basis: dict[str, Any], forecast: Forecast) -> list[MoneyAtRisk]:
    unspent = _run_out(basis, forecast, 0).unspent
    return [
        MoneyAtRisk(grant_id=grant["grant_id"], amount_usd=left, expires_at=grant["expires_at"])
        for grant, left in zip(basis["grants"], unspent, strict=True)
        if left
    ]


def _run_out(basis: dict[str, Any], forecast: Forecast, position: int) -> RunOut:
    """Burn the credit down by one of the bands' three paths."""
    today = date.fromisoformat(basis["today"])
    # The forecast has today whole; the credit has lost what was spent of it.
    spent = Decimal(basis["spent_today_usd"])

    def days(name: str, grant: dict[str, Any]) -> int | None:
        return None if grant[name] is None else (date.fromisoformat(grant[name]) - today).days

    return run_out(
        Decimal(basis["available_usd"]),
        [max(band[position] - spent, Decimal(0)) for band in forecast.totals],
        [
            UsableGrant(Decimal(grant["amount_usd"]), days("starts", grant), days("ends", grant))
            for grant in basis["grants"]
        ],
    )


def _is_near(basis: dict[str, Any], runs_out: RunsOut) -> bool:
    if basis["alert_days"] is None or runs_out.earliest is None:
        return False
    left = runs_out.earliest - date.fromisoformat(basis["today"])
    return left < timedelta(basis["alert_days"])


def _band(band: Band) -> dict[str, Decimal]:
    return {"expected_usd": band.expected, "low_usd": band.low, "high_usd": band.high}
