"""A forecast as a chart in the terminal."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from synaxis_billing.money import format_money

PAST_DAYS = 7
FORECAST_DAYS = 14
WIDTH = 40
CENT = Decimal("0.0001")


def print_forecast(console: Console, http: httpx.Client, path: str, name: str) -> None:
    """Print what an organization spent, is expected to spend, and when its credit runs out."""
    forecast = http.get(f"{path}/forecast", params={"days": FORECAST_DAYS}).raise_for_status()
    found = forecast.json()
    spent = _spent(http, path)
    today = found["daily"][0]["day"]
    past = [(day, Decimal(usd)) for day, usd in sorted(spent.items()) if day < today][-PAST_DAYS:]
    highest = max([usd for _, usd in past] + [Decimal(day["high_usd"]) for day in found["daily"]])
    scale = WIDTH / highest if highest else Decimal(0)
    table = Table("day", "", "USD", "bounds", title=f"Spend of {name}, and its forecast")
    for day, usd in past:
        table.add_row(day, "█" * round(usd * scale), _rounded(usd), "")
    for of in found["daily"]:
        expected, low, high = (Decimal(of[f"{key}_usd"]) for key in ("expected", "low", "high"))
        # Dark up to the lower bound, light up to the upper one; the line is what is expected.
        bar = "▓" * round(low * scale)
        bar += "▒" * (round(expected * scale) - len(bar)) + "│"
        bar += "░" * (round(high * scale) - len(bar) + 1)
        table.add_row(of["day"], bar, _rounded(expected), f"{_rounded(low)} to {_rounded(high)}")
    console.print(table)
    console.print(_run_out(name, found))


def _spent(http: httpx.Client, path: str) -> dict[str, str]:
    start = datetime.now(UTC) - timedelta(days=PAST_DAYS + 2)
    asked = {"group_by": "day", "from": start.isoformat()}
    asked["to"] = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    items = http.get(f"{path}/spending", params=asked).raise_for_status().json()["items"]
    return {item["day"]: item["amount_usd"] for item in items}


def _run_out(name: str, found: dict[str, Any]) -> str:
    runs_out = found["runs_out"]
    if found["confidence"] == "low":
        return f"The credit of {name}: too few days of history to say when it runs out."
    if runs_out["earliest"] is None:
        return f"The credit of {name} lasts for more than 90 days."
    expected = runs_out["expected"] or "a day that is more than 90 days away"
    latest = f"{runs_out['latest']} at the latest" if runs_out["latest"] else "perhaps much later"
    return (
        f"The credit of {name} runs out on {expected}: {runs_out['earliest']} at the earliest,"
        f" {latest}."
    )


def _rounded(usd: Decimal) -> str:
    return format_money(usd.quantize(CENT))
