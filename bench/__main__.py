"""`make bench`: the ledger and the cache beside their floors and peers, in one run.

ARGS="--peer pgledger.sql" measures pgledger (github.com/pgr0ss/pgledger) too, from its SQL file and
whatever else it needs loaded before. ARGS="--seconds 2" makes it quicker and noisier.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import psycopg
from rich.console import Console
from rich.table import Table

from bench import billing, caching, granting, imports, rates
from bench.rates import ORGANIZATIONS
from local import servers
from local.database import prepare
from local.template import ROOT

RESULTS = ROOT / "bench" / "results"
TRACE = ROOT / "local" / "demo_data" / "llm_requests.csv"
MOST_LOGS = 1_000_000
MOST_FORECAST_SECONDS = 0.005
CACHE_BUDGETS = {"L1 hit": 3.0, "L2 hit": 1.15, "get_many(100)": 1.3}


class Row(NamedTuple):
    """A measurement, what it is held against, and the budget for the ratio of the two."""

    what: str
    measured: str
    against: str
    ratio: float | None
    budget: str
    kept: bool | None


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="synaxis-bench-") as folder:
        Path(folder).chmod(0o711)
        settings = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
        with servers.postgres(Path(folder), settings=settings) as admin_url:
            stand = rates.Stand(prepare(admin_url), admin_url, options.seconds)
            rows = _rows(stand, options.peer)
            rows += _grant_rows(stand)
            rows += _document_rows()
            rows += _billing_rows(stand.app_url, admin_url)
            rows += _cache_rows(Path(folder), options.seconds, options.trace)
            version = _server_version(admin_url)
    rows += _import_rows()
    _report(rows, version, options.seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="for each measurement")
    parser.add_argument("--peer", type=Path, nargs="*", default=[], help="pgledger's SQL files")
    parser.add_argument("--trace", type=Path, default=TRACE, help="requests for the cache")
    return parser.parse_args()


def _rows(stand: rates.Stand, peer: list[Path]) -> list[Row]:
    pgbench, call = stand.one_client()
    statements = stand.five_statements()
    rows = [
        _rate("charge, psycopg, 1 client", call, "the same call, pgbench", pgbench, 0.6),
        _rate("charge, psycopg, 1 client", call, "five-statement transaction", statements, None),
        *_call_rows(stand),
    ]
    # Before the batches, whose millions of rows would keep the server busy behind the others.
    spread = stand.spread(8)
    single = {clients: stand.hot(clients, 1) for clients in (1, 4, 8)}
    pairs, into_one = stand.pgledger(8, peer) if peer else (None, None)
    rows.append(
        _rate(
            f"{ORGANIZATIONS:,} organizations, 8 connections",
            spread,
            "pgledger, random pairs",
            pairs,
            1.8,
        )
    )
    for clients in (1, 4):
        rows.append(_rate(f"one organization, {clients} connections", single[clients]))
    rows.append(
        _rate(
            "one organization, 8 connections",
            single[8],
            "pgledger, into one account",
            into_one,
            1.8,
        )
    )
    for size, budget in ((100, 8.0), (1000, None)):
        what = f"the same, batches of {size}"
        rows.append(_rate(what, stand.hot(8, size), "single charges", single[8], budget))
    return rows


def _call_rows(stand: rates.Stand) -> list[Row]:
    rows = []
    for what, against, (other, seconds), budget in (
        ("charge through the whole handler", "bare psycopg call", stand.handler(), 1.5),
        ("charge by tokens", "charge by amount", stand.by_tokens(), 1.15),
    ):
        ratio = seconds / other
        beside = f"{against} {other * 1e6:,.0f} us"
        measured = f"{seconds * 1e6:,.0f} us"
        rows.append(Row(what, measured, beside, ratio, f"<= {budget}", ratio <= budget))
    return rows


def _grant_rows(stand: rates.Stand) -> list[Row]:
    found = granting.charges(stand.app_url, stand.seconds)
    rows = []
    for count in granting.COUNTS[1:]:
        ratio = found[count] / found[0]
        beside = f"with none {found[0] * 1e6:,.0f} us"
        measured = f"{found[count] * 1e6:,.0f} us"
        what = f"charge with {count} grants"
        rows.append(Row(what, measured, beside, ratio, "<= 1.03", ratio <= 1.03))
    settled = granting.settlement(stand.app_url, stand.admin_url)
    for how, seconds in settled._asdict().items():
        what = f"settlement of {granting.MANY:,} grants, {how}"
        rows.append(Row(what, _duration(seconds), "", None, "", None))
    return rows


def _billing_rows(app_url: str, admin_url: str) -> list[Row]:
    rows = []
    for logs, budget in ((1_000, None), (10_000, 1.0), (MOST_LOGS, 0.03)):
        found = billing.drafts(app_url, admin_url, logs)
        beside = f"GROUP BY over the logs: {_duration(found.grouped)}"
        for what, seconds, most in (
            (f"draft invoice of {logs:,} logs", found.draft, budget),
            (
                f"spending over {logs:,} logs, by model and day",
                found.spending,
                budget if logs == MOST_LOGS else None,
            ),
        ):
            ratio = seconds / found.grouped
            kept = None if most is None else ratio <= most
            held = "" if most is None else f"<= {most}"
            rows.append(Row(what, _duration(seconds), beside, ratio, held, kept))
    computed, answered = billing.forecast(app_url, admin_url)
    rows.append(
        Row(
            "forecast of an organization, of 455 days",
            _duration(computed),
            f"5 ms; with the reading of 1,820 rollups: {_duration(answered)}",
            computed / MOST_FORECAST_SECONDS,
            "<= 1",
            computed <= MOST_FORECAST_SECONDS,
        )
    )
    small, large = (billing.month_ends(app_url, admin_url, many) for many in (1_000, 10_000))
    ends = [
        _rate(
            f"month end of {one.organizations:,} organizations, invoices, {one.peak_mb} MB at most",
            one.per_second,
            f"of {small.organizations:,}",
            small.per_second if one is large else None,
        )
        for one in (small, large)
    ]
    return rows + ends


def _document_rows() -> list[Row]:
    rows = []
    for lines in (1, 40, 1000):
        command = [sys.executable, "-m", "bench.document", str(lines)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        found = json.loads(done.stdout)
        rows.append(
            Row(
                f"PDF of an invoice of {lines:,} lines",
                f"{_duration(found['warm'])}, {found['bytes'] // 1024:,} KB",
                f"the first: {_duration(found['first'])}, {found['peak_mb']} MB at most",
                None,
                "",
                None,
            )
        )
    return rows


def _cache_rows(folder: Path, seconds: float, trace: Path) -> list[Row]:
    rows = []
    for what, times in caching.measure(folder, seconds):
        (floor, of_floor), *others = times.items()
        for name, of in others:
            budget = CACHE_BUDGETS.get(what) if name.startswith("ours") else None
            rows.append(
                Row(
                    f"{what}, {name}",
                    _duration(of),
                    f"{floor}: {_duration(of_floor)}",
                    of / of_floor,
                    "" if budget is None else f"<= {budget}",
                    None if budget is None else of / of_floor <= budget,
                )
            )
    for organizations, containers in ((100, 2), (100, 8), (1000, 2), (1000, 8)):
        found = caching.replay(folder, trace, organizations, containers)
        hits = found.l1 + found.l2
        rows.append(
            Row(
                f"{found.requests:,} requests of {organizations:,} organizations,"
                f" {containers} containers: hits",
                f"L1 {found.l1:.1%}, L2 {found.l2:.1%}",
                f"first lookups, of all: {found.first:.1%}",
                hits,
                "> 0.8",
                hits > 0.8,
            )
        )
    return rows


def _duration(seconds: float) -> str:
    return f"{seconds * 1e6:,.2f} us" if seconds < 1e-3 else f"{seconds * 1e3:,.2f} ms"


def _import_rows() -> list[Row]:
    ours, unavoidable, naive = imports.measure()
    rows = [_time("import of the charge function", ours, "what it cannot avoid", unavoidable, 1.2)]
    if naive is not None:
        rows.append(_time("import of the charge function", ours, "the same with boto3", naive, 0.6))
    return rows


def _rate(
    what: str,
    rate: float,
    against: str = "",
    other: float | None = None,
    budget: float | None = None,
) -> Row:
    if other is None:
        return Row(what, _per_second(rate), "", None, "", None)
    ratio, beside = rate / other, f"{against}: {_per_second(other)}"
    if budget is None:
        return Row(what, _per_second(rate), beside, ratio, "", None)
    return Row(what, _per_second(rate), beside, ratio, f">= {budget}", ratio >= budget)


def _time(what: str, seconds: float, against: str, other: float, budget: float) -> Row:
    beside = f"{against}: {other * 1e3:.0f} ms"
    ratio = seconds / other
    return Row(what, f"{seconds * 1e3:.0f} ms", beside, ratio, f"<= {budget}", ratio <= budget)


def _per_second(rate: float) -> str:
    return f"{rate:,.0f}/s"


def _server_version(admin_url: str) -> str:
    with psycopg.connect(admin_url) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return row[0] if row else ""


def _report(rows: list[Row], version: str, seconds: int) -> None:
    machine = (
        f"PostgreSQL {version}, durable commits; Python {platform.python_version()};"
        f" {platform.system()} {platform.machine()}, {os.cpu_count()} cores, shared by client and"
        f" server; {seconds} s each"
    )
    table = Table("what", "measured", "against", "ratio", "budget", title=machine)
    lines = [
        f"{machine}.",
        "",
        "| what | measured | against | ratio | budget |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        verdict = "" if row.kept is None else (" kept" if row.kept else " MISSED")
        cells = (row.what, row.measured, row.against, ratio, row.budget + verdict)
        table.add_row(*cells)
        lines.append("| " + " | ".join(cells) + " |")
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
