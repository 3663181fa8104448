"""The forecast: better than taking last week again, with bounds that hold as often as they say."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.template import ROOT
from synaxis_billing.usage.forecast import (
    ENOUGH_DAYS,
    HISTORY_DAYS,
    HORIZON,
    KNOTS,
    UsableGrant,
    make_forecast,
    run_out,
)
from tests.support import daily_series

DAYS = 30
# Of a long series, a forecast of every third day tells nearly what all of them tell.
STRIDE, LONG = 3, 1000
PUBLIC = daily_series.public()
SERIES = PUBLIC | daily_series.synthetic()
PAGE = ROOT / "docs" / "forecast.md"


class Score(NamedTuple):
    """Errors scaled by the naive one within the history, and how often bounds held."""

    mase: float
    naive_mase: float
    day_coverage: float
    coverage: float


def score(name: str) -> Score:
    """Forecast series from each of their days on, as the nights would have done."""
    first = ENOUGH_DAYS if name == daily_series.NEW else 60
    errors, naive_errors, in_day, in_total = [], [], [], []
    for series in SERIES[name]:
        stride = STRIDE if len(series) > LONG else 1
        changes = [*accumulate(float(abs(b - a)) for a, b in zip(series, series[7:], strict=False))]
        rates: tuple[float, ...] = ()
        for origin in range(first, len(series) - DAYS + 1, stride):
            history, actual = series[:origin], series[origin : origin + DAYS]
            forecast = make_forecast(history, rates, stride if rates else 0)
            rates = forecast.miss_rates
            scale = changes[origin - 8] / (origin - 7)
            expected = [band.expected for band in forecast.daily[:DAYS]]
            naive = [history[-7 + day % 7] for day in range(DAYS)]
            errors.append(error(actual, expected) / scale)
            naive_errors.append(error(actual, naive) / scale)
            day, total = forecast.daily[0], forecast.totals[DAYS - 1]
            in_day.append(day.low <= actual[0] <= day.high)
            in_total.append(total.low <= sum(actual) <= total.high)
    return Score(mean(errors), mean(naive_errors), mean(in_day), mean(in_total))


def error(actual: Sequence[Decimal], expected: Sequence[Decimal]) -> float:
    return mean([abs(a - b) for a, b in zip(actual, expected, strict=True)])


def mean(values: Sequence[Decimal | float]) -> float:
    return float(sum(map(float, values)) / len(values))


def test_the_forecast_beats_last_week_and_its_bounds_hold_as_the_guide_shows() -> None:
    lines = [
        "| series | days | MASE | that of last week again | ratio | day within bounds | 30 days |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in SERIES:
        of = score(name)
        assert of.mase <= 0.95 * of.naive_mase, name
        # A new customer's bounds are the widest ones for the most part of its time.
        most = 1 if name == daily_series.NEW else 0.85
        assert 0.75 <= of.day_coverage <= most, name
        assert 0.75 <= of.coverage <= most, name
        lines.append(
            f"| {name} | {sum(map(len, SERIES[name])):,} | {of.mase:.2f} | {of.naive_mase:.2f}"
            f" | {of.mase / of.naive_mase:.2f} | {of.day_coverage:.0%} | {of.coverage:.0%} |"
        )
    table = "\n".join(lines)
    assert table in PAGE.read_text(), f"docs/forecast.md must contain:\n{table}"


def test_a_week_that_repeats_itself_is_forecast_exactly() -> None:
    week = [Decimal(spend) for spend in (5, 4, 3, 2, 1, 0, 0)]
    forecast = make_forecast(week * 60)
    assert [band.expected for band in forecast.daily[:14]] == week * 2
    assert forecast.totals[6].expected == sum(week)
    assert forecast.totals[-1].expected == sum((week * 13)[:HORIZON])


@pytest.mark.parametrize("days", [0, 1, 7, ENOUGH_DAYS - 1])
def test_with_few_days_it_is_their_mean_within_the_widest_bounds(days: int) -> None:
    history = [Decimal(number) for number in range(days)]
    forecast = make_forecast(history)
    usual = sum(history) / days if days else Decimal(0)
    for number, total in enumerate(forecast.totals, 1):
        assert total.expected == pytest.approx(usual * number)
        assert total.high >= 4 * total.expected
        assert total.low <= total.expected / 4
    assert {band.expected for band in forecast.daily} == {forecast.daily[0].expected}


# Expected, lowest and highest spend of days 1, 2, 7, 12, 30 and 90, and of as many days together.
KNOWN_DAYS = (1, 2, 7, 12, 30, 90)
KNOWN = {
    (40, 0): (
        [
            (4.3151, 1.8488, 10.6217),
            (5.0763, 2.138, 12.6964),
            (3.8396, 1.4575, 10.4819),
            (1.863, 0.6218, 5.5947),
            (5.0763, 1.2278, 20.4704),
            (2.7779, 0.6532, 11.2767),
        ],
        [
            (4.3151, 1.8488, 10.6217),
            (9.3914, 4.6238, 21.0054),
            (19.3008, 18.8032, 26.8603),
            (32.6303, 24.7797, 57.3707),
            (86.5947, 27.0909, 351.3336),
            (247.7172, 58.2131, 1005.7338),
        ],
        1.1385,
        [0.2] * 7,
    ),
    (200, 5): (
        [
            (4.0053, 1.903, 7.3604),
            (5.0117, 2.3803, 9.1222),
            (3.4726, 1.6115, 6.0777),
            (1.5994, 0.7126, 2.7061),
            (5.0117, 2.1586, 7.2349),
            (2.0868, 0.967, 3.3125),
        ],
        [
            (4.0053, 1.903, 7.3604),
            (9.0169, 4.7298, 15.5437),
            (22.0597, 18.7409, 27.737),
            (38.5599, 33.0062, 47.9356),
            (97.2557, 85.5162, 116.0788),
            (283.3033, 253.383, 326.367),
        ],
        1.0819,
        [0.25, 0.2214, 0.2, 0.2017, 0.25, 0.205, 0.2017],
    ),
}


@pytest.mark.parametrize(("days", "new_days"), KNOWN)
def test_a_release_forecasts_what_the_one_before_did(days: int, new_days: int) -> None:
    spend = [Decimal((day * 7919 % 101 + 20) * (day % 7 + 1)) / 100 for day in range(days)]
    before = make_forecast(spend[: days - new_days])
    forecast = make_forecast(spend, before.miss_rates, new_days)
    daily, totals, naive_error, miss_rates = KNOWN[days, new_days]
    for bands, known in ((forecast.daily, daily), (forecast.totals, totals)):
        for day, amounts in zip(KNOWN_DAYS, known, strict=True):
            assert [float(of) for of in bands[day - 1]] == pytest.approx(amounts, abs=0.0002)
    assert float(forecast.naive_error) == pytest.approx(naive_error, abs=0.0001)
    assert forecast.miss_rates == pytest.approx(miss_rates, abs=0.0001)
    assert len(forecast.daily) == len(forecast.totals) == HORIZON
    # Asked for again before a day has passed, it aims at the same rates.
    assert make_forecast(spend, forecast.miss_rates).miss_rates == forecast.miss_rates
    # Spend of less than a cent has a weekday, too.
    small = make_forecast([amount / 10_000 for amount in spend], before.miss_rates, new_days)
    for day, (expected, _, _) in zip(KNOWN_DAYS, daily, strict=True):
        assert float(small.daily[day - 1].expected) == pytest.approx(expected / 10_000, rel=0.001)


def test_nothing_is_expected_of_who_spends_nothing() -> None:
    forecast = make_forecast([Decimal(0)] * 100)
    assert max(band.high for band in forecast.totals) < Decimal("0.00001")
    assert run_out(Decimal("0.01"), [band.high for band in forecast.totals]).day is None


amounts = st.decimals(0, 10_000, places=8, allow_nan=False)
histories = st.lists(amounts | st.just(Decimal(0)), max_size=130) | st.lists(
    amounts, min_size=5, max_size=60
).map(lambda days: days * 9)


@given(history=histories, new_days=st.integers(0, 40))
def test_bounds_enclose_what_is_expected_and_totals_never_fall(
    history: list[Decimal], new_days: int
) -> None:
    first = make_forecast(history)
    forecast = make_forecast(history, first.miss_rates, new_days)
    assert len(forecast.daily) == len(forecast.totals) == HORIZON
    assert len(forecast.miss_rates) == KNOTS
    assert all(0 <= rate <= 0.5 for rate in forecast.miss_rates)
    for band in (*forecast.daily, *forecast.totals):
        assert 0 <= band.low <= band.expected <= band.high
        assert band.expected.as_tuple().exponent == -8
    for name in ("low", "high"):
        path = [getattr(band, name) for band in forecast.totals]
        assert path == sorted(path)


@given(history=histories, factor=st.sampled_from([Decimal("0.001"), Decimal(3), Decimal(1000)]))
def test_ten_times_the_spend_is_ten_times_the_forecast(
    history: list[Decimal], factor: Decimal
) -> None:
    # Not where rounding to eight decimals counts.
    history = [spend + 1 for spend in [*history, Decimal(0)]]
    one, other = make_forecast(history), make_forecast([spend * factor for spend in history])
    for band, scaled in zip(one.totals, other.totals, strict=True):
        for of, times in zip(band, scaled, strict=True):
            assert float(times) == pytest.approx(float(of * factor), rel=1e-5, abs=1e-6)


def test_only_the_last_days_count() -> None:
    [series] = PUBLIC["Wikipedia, R"]
    assert make_forecast(series) == make_forecast(series[-HISTORY_DAYS:])


def naive_run_out(
    other: Decimal, spend: list[Decimal], grants: list[UsableGrant]
) -> tuple[int | None, list[Decimal]]:
    """The same by burning one cent after the other."""
    cent = Decimal(1)
    left = [grant.amount for grant in grants]
    first = None
    for day, amount in enumerate(spend):
        usable = [
            number
            for number, grant in enumerate(grants)
            if (grant.starts is None or grant.starts <= day)
            and (grant.ends is None or grant.ends > day)
        ]
        for _ in range(int(amount)):
            number = next((number for number in usable if left[number]), None)
            if number is None:
                other -= cent
            else:
                left[number] -= cent
        if first is None and other + sum((left[number] for number in usable), Decimal(0)) < 0:
            first = day
    ended = [grant.ends is not None and grant.ends < len(spend) for grant in grants]
    return first, [rest if end else Decimal(0) for rest, end in zip(left, ended, strict=True)]


day_or_never = st.none() | st.integers(0, 12)


@given(
    other=st.integers(-5, 40),
    spend=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    grants=st.lists(st.tuples(st.integers(1, 9), day_or_never, day_or_never), max_size=5),
)
def test_credit_is_spent_in_its_order_and_ends_at_its_time(
    other: int, spend: list[int], grants: list[tuple[int, int | None, int | None]]
) -> None:
    given_ = [UsableGrant(Decimal(amount), starts, ends) for amount, starts, ends in grants]
    days = [Decimal(amount) for amount in spend]
    totals = list(accumulate(days))
    available = other + sum((of.amount for of in given_ if of.starts is None), Decimal(0))
    found = run_out(available, totals, given_)
    assert (found.day, found.unspent) == naive_run_out(Decimal(other), days, given_)


def test_credit_runs_out_on_the_first_day_that_exceeds_it() -> None:
    totals = [Decimal(day) for day in range(1, 11)]
    assert run_out(Decimal(3), totals).day == 3
    assert run_out(Decimal("2.99999999"), totals).day == 2
    assert run_out(Decimal(0), totals).day == 0
    assert run_out(Decimal(10), totals).day is None
    # Five more on the third day, and two that nobody can spend in time.
    assert run_out(Decimal(3), totals, [UsableGrant(Decimal(5), 2)]).day == 8
    expiring = run_out(Decimal(5), totals, [UsableGrant(Decimal(3), None, 1)])
    assert (expiring.day, expiring.unspent) == (3, [Decimal(2)])
