"""Daily series to score forecasts on: public ones, and synthetic ones of a known shape."""

import csv
import math
import random
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
DAYS = 500
NEW, NEW_DAYS = "20 new customers", 75


Series = list[list[Decimal]]


def public() -> dict[str, Series]:
    """One series of some years each; a day that is missing has the value of the day before."""
    return {
        "Wikipedia, Peyton Manning": [_read("daily_peyton_manning.csv", math.exp)],
        "Wikipedia, R": [_read("daily_r.csv", math.exp)],
        "Pedestrians in Melbourne": [_read("daily_pedestrians.csv", float)],
    }


def synthetic() -> dict[str, Series]:
    """Spend by the day of the week, with noise."""
    chance = random.Random(5)

    def spend(level: Callable[[int], float], days: int = DAYS) -> list[Decimal]:
        return [
            _amount(level(day) * (1.25 if day % 7 < 5 else 0.5) * math.exp(chance.gauss(0, 0.25)))
            for day in range(days)
        ]

    return {
        "growth": [spend(lambda day: 100 * math.exp(day / 200))],
        "step to three times": [spend(lambda day: 100 if day < DAYS // 2 else 300)],
        "weekly": [spend(lambda _: 100)],
        "every other day zero": [spend(lambda _: 100 * chance.randrange(2))],
        NEW: [spend(lambda _: 100, NEW_DAYS) for _ in range(20)],
    }


def _read(name: str, value: Callable[[float], float]) -> list[Decimal]:
    with (DATA / name).open() as file:
        found = {
            date.fromisoformat(row["ds"]): value(float(row["y"]))
            for row in csv.DictReader(file)
            if row["y"] not in ("", "NA")
        }
    first, last = min(found), max(found)
    series = [found[first]]
    for number in range(1, (last - first).days + 1):
        series.append(found.get(first + timedelta(number), series[-1]))
    return [_amount(spend) for spend in series]


def _amount(spend: float) -> Decimal:
    return Decimal(spend).quantize(Decimal("0.00000001"))
