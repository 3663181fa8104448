"""Forecast of daily spend with a band, from the spend of the days before.

The forecast is a level times the index of the weekday: the level by simple exponential smoothing,
the index from the last eight weeks. The band is conformal: forecasts of a horizon will be as wrong
as they were. It adapts (Gibbs and Candès, https://arxiv.org/abs/2106.00170): a miss lets the next
bands miss less often. What is expected is an estimate, so it is computed in floats; only the
results are amounts.
"""

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import NamedTuple

METHOD = "weekday index x exponential smoothing, adaptive conformal band"
HORIZON = 90
# Days of history that a forecast reads: a year of errors of the longest horizon.
HISTORY_DAYS = 455
# With fewer days the forecast is their mean.
ENOUGH_DAYS = 14
# A band of 80 %.
MISS_RATE = 0.2
# The horizons whose errors are measured; bands between them are interpolated.
TOTAL_KNOTS = (1, 7, 30, HORIZON)
DAY_KNOTS = (1, 30, HORIZON)
KNOTS = len(TOTAL_KNOTS) + len(DAY_KNOTS)
_WEEKS = 8
_SMOOTHING = 0.2
_ERRORS = 300
# Errors of long horizons overlap, so that each tells less.
_STEP, _STEP_PER_DAY = 0.05, 0.15
# As far as nobody can say: a quarter to four times.
_WIDEST = math.log(4)
# Days without spend have a ratio too, beside this part of a usual day.
_SMALL_PART = 0.02
_LEAST_INDEX = 0.05
_PLACES = Decimal("1e-8")


class Band(NamedTuple):
    """Expected spend in US dollars, and bounds between which four of five are."""

    expected: Decimal
    low: Decimal
    high: Decimal


class Forecast(NamedTuple):
    """The next HORIZON days, made of `days` of history.

    `totals[n]` is the spend of the first n + 1 days together, whose bounds never fall.
    `naive_error` is the mean error in US dollars of taking the same weekday of the week before;
    zero without two weeks of history. `miss_rates` go into the next forecast.
    """

    daily: list[Band]
    totals: list[Band]
    naive_error: Decimal
    miss_rates: tuple[float, ...]
    days: int


class UsableGrant(NamedTuple):
    """Credit that can be spent from the start of a day until that of another, both counted from the
    first as 0; None is always. What starts later is not available yet."""

    amount: Decimal
    starts: int | None = None
    ends: int | None = None


class RunOut(NamedTuple):
    """The first day on which the spend exceeds the credit, counted from 0; None if there is none.
    `unspent[n]` is what the n-th grant has left at its end."""

    day: int | None
    unspent: list[Decimal]


def make_forecast(
    history: Sequence[Decimal], miss_rates: Sequence[float] = (), new_days: int = 0
) -> Forecast:
    """Forecast the days that follow a history of whole days, the oldest first.

    `miss_rates` are those of the forecast that was made `new_days` ago, if there was one.
    """
    spend = [float(amount) for amount in history[-HISTORY_DAYS:]]
    rates = list(miss_rates) if len(miss_rates) == KNOTS else [MISS_RATE] * KNOTS
    naive = [abs(after - before) for before, after in zip(spend, spend[7:], strict=False)]
    model = _Model(spend)
    bands = []
    for position, (days, total) in enumerate(
        [(knot, True) for knot in TOTAL_KNOTS] + [(knot, False) for knot in DAY_KNOTS]
    ):
        # Those of today's band, and of the oldest band that has an outcome since.
        errors = model.errors(days, total, _ERRORS + days + new_days)
        rates[position] = _adapted(rates[position], errors, days, new_days)
        bands.append(_bounds(errors[-_ERRORS:], rates[position]))
    origin = len(spend)
    small = model.small(origin)
    totals = _banded(
        [model.total(origin, days) for days in range(1, HORIZON + 1)],
        [small * days for days in range(1, HORIZON + 1)],
        TOTAL_KNOTS,
        bands[: len(TOTAL_KNOTS)],
    )
    daily = _banded(
        [model.day(origin, days) for days in range(1, HORIZON + 1)],
        [small] * HORIZON,
        DAY_KNOTS,
        bands[len(TOTAL_KNOTS) :],
    )
    return Forecast(
        daily,
        _rising(totals),
        _amount(sum(naive) / len(naive) if naive else 0.0),
        tuple(rates),
        len(spend),
    )


class _Model:
    """The forecasts from each day of a history, whose sums and means are computed once."""

    def __init__(self, spend: Sequence[float]) -> None:
        self._spend = spend
        self._sums = [0.0, *accumulate(spend)]
        window = 7 * _WEEKS
        # The mean of the days before each day, and the level that follows them.
        self._means = [
            (self._sums[day] - self._sums[max(0, day - window)]) / min(max(day, 1), window)
            for day in range(len(spend) + 1)
        ]
        by_weekday = list(spend)
        for day in range(7, len(spend)):
            by_weekday[day] += by_weekday[day - 7]
        # The mean of each day with the same weekdays before it, and the sums of those means.
        self._weekdays = [
            (by_weekday[day] - by_weekday[day - window]) / _WEEKS
            if day >= window
            else by_weekday[day] / (day // 7 + 1)
            for day in range(len(spend))
        ]
        self._weekday_sums = [0.0, *accumulate(self._weekdays)]
        self._levels = list(self._smoothed())

    def _smoothed(self) -> Iterable[float]:
        level = 0.0
        for day, mean in enumerate(self._means):
            if day <= ENOUGH_DAYS:
                level = mean
            else:
                # With the day itself in its index, a single large day moves the level less.
                index = self._weekdays[day - 1] / mean if mean > 0 else 1.0
                if index > _LEAST_INDEX:
                    level += _SMOOTHING * (self._spend[day - 1] / index - level)
            yield level

    def day(self, origin: int, days: int) -> float:
        """Return the spend of the day that is the `days`-th from the origin on."""
        mean = self._means[origin]
        if origin < ENOUGH_DAYS or mean <= 0:
            return self._levels[origin]
        return self._levels[origin] * self._weekdays[origin - 7 + (days - 1) % 7] / mean

    def total(self, origin: int, days: int) -> float:
        """Return the spend of the first days from the origin on."""
        mean = self._means[origin]
        if origin < ENOUGH_DAYS or mean <= 0:
            return self._levels[origin] * days
        # The indices of a week add up to seven.
        rest, last_week = days % 7, origin - 7
        rest_sum = self._weekday_sums[last_week + rest] - self._weekday_sums[last_week]
        return self._levels[origin] * (days - rest + rest_sum / mean)

    def small(self, origin: int) -> float:
        return max(_SMALL_PART * self._means[origin], 1e-9)

    def errors(self, days: int, total: bool, count: int) -> list[float]:
        """The logarithms of actual to expected spend, of the newest forecasts with an outcome."""
        known = len(self._spend) - days
        expect, sums = (self.total if total else self.day), self._sums
        least, first = (days if total else 1), (0 if total else days - 1)
        return [
            math.log(
                (max(sums[origin + days] - sums[origin + first], 0.0) + small)
                / (expect(origin, days) + small)
            )
            for origin in range(max(ENOUGH_DAYS, known + 1 - count), known + 1)
            for small in (self.small(origin) * least,)
        ]


def _adapted(rate: float, errors: Sequence[float], days: int, new_days: int) -> float:
    """Return the rate of misses to aim at, after as many outcomes more."""
    step = min(_STEP, _STEP_PER_DAY / days)
    for newest in range(len(errors) - new_days, len(errors)):
        # When that forecast was made, the outcomes of `days` before it were not known yet.
        known = newest - days + 1
        if known >= 1:
            low, high = _bounds(errors[max(0, known - _ERRORS) : known], rate)
            missed = not low <= errors[newest] <= high
            rate = min(max(rate + step * (MISS_RATE - missed), 0.0), 0.5)
    return rate


def _bounds(errors: Sequence[float], rate: float) -> tuple[float, float]:
    """Return the errors that are exceeded by half of the rate on each side, or the widest."""
    ordered, count = sorted(errors), len(errors)
    low = math.floor((count + 1) * rate / 2) - 1
    high = math.ceil((count + 1) * (1 - rate / 2)) - 1
    return (
        ordered[low] if low >= 0 else min([-_WIDEST, *ordered[:1]]),
        ordered[high] if high < count else max([_WIDEST, *ordered[-1:]]),
    )


def _banded(
    expected: Sequence[float],
    small: Sequence[float],
    knots: Sequence[int],
    bands: Sequence[tuple[float, float]],
) -> list[Band]:
    lows, highs = ([*_between(knots, [band[side] for band in bands])] for side in (0, 1))
    return [
        Band(
            _amount(value),
            _amount(min(value, math.exp(low) * (value + part) - part)),
            _amount(max(value, math.exp(high) * (value + part) - part)),
        )
        for value, part, low, high in zip(expected, small, lows, highs, strict=True)
    ]


def _between(knots: Sequence[int], values: Sequence[float]) -> Iterable[float]:
    """Return the value of each day from the first knot, which is 1, to the last."""
    yield values[0]
    for (start, first), (end, last) in pairwise(zip(knots, values, strict=True)):
        for day in range(start + 1, end + 1):
            yield first + (last - first) * (day - start) / (end - start)


def _rising(totals: Sequence[Band]) -> list[Band]:
    lows = accumulate((band.low for band in totals), max)
    highs = accumulate((band.high for band in totals), max)
    return [
        Band(band.expected, low, high) for band, low, high in zip(totals, lows, highs, strict=True)
    ]


def _amount(value: float) -> Decimal:
    return Decimal(max(value, 0.0)).quantize(_PLACES)


def run_out(
    available: Decimal, totals: Sequence[Decimal], grants: Sequence[UsableGrant] = ()
) -> RunOut:
    """Return when credit runs out by a spend, which `totals` gives from the first day on.

    The grants are in the order in which they are spent. `available` includes those that have no
    start; other credit is spent last.
    """
    left = [grant.amount for grant in grants]
    unspent = [Decimal(0)] * len(left)
    other = available - sum((grant.amount for grant in grants if grant.starts is None), Decimal(0))
    first: int | None = None
    before = Decimal(0)
    for day, total in enumerate(totals):
        spend, before = total - before, total
        usable = Decimal(0)
        for number, grant in enumerate(grants):
            if grant.ends is not None and grant.ends <= day:
                unspent[number] += left[number]
                left[number] = Decimal(0)
            elif grant.starts is None or grant.starts <= day:
                taken = min(left[number], spend)
                left[number] -= taken
                spend -= taken
                usable += left[number]
        other -= spend
        if first is None and usable + other < 0:
            first = day
    return RunOut(first, unspent)
