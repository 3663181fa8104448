"""`make bench`: the ledger and the cache beside their floors and peers, in one run.

Contenders take turns of one second in random order; a ratio is the median of the rounds' ratios.
ARGS="--peer pgledger.sql" measures pgledger (github.com/pgr0ss/pgledger) too, from its SQL file and
whatever else it needs loaded before. ARGS="--seconds 3" makes it quicker and noisier. ARGS=--growth
fills the ledger with 3 million charges and measures their WAL, and ARGS="--before ../first" the
import of the charge function beside that of another checkout.
"""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psycopg
from rich.console import Console
from rich.table import Table

from bench import billing, caching, console, fleet, granting, growth, imports, ingest, rates
from bench.rates import ORGANIZATIONS
from bench.turns import Turns
from local import servers
from local.database import prepare
from local.template import ROOT

RESULTS = ROOT / "bench" / "results"
TRACE = ROOT / "local" / "demo_data" / "llm_requests.csv"
CACHE_BUDGETS = {"L1 hit": 3.0, "L2 hit": 1.1, "get_many(100)": 0.8}
FLUSH_SECONDS = 0.001
MOST_LOGS = 1_000_000
MOST_FORECAST_SECONDS = 0.005


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
            stand = rates.Stand(prepare(admin_url), admin_url, options.seconds, options.peer)
            version = _server_version(admin_url)
            parts: list[Callable[[], list[Row]]] = [
                lambda: _rows(stand, options.growth),
                lambda: _grant_rows(stand),
                _document_rows,
                lambda: _billing_rows(stand.app_url, admin_url),
                lambda: _cache_rows(Path(folder), options.seconds, options.trace),
                lambda: _import_rows(options.before),
            ]
            if options.fleet:
                parts = [lambda: _fleet_rows(stand)]
            rows: list[Row] = []
            try:
                for part in parts:
                    rows += part()
            finally:
                _report(rows, version, options.seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--seconds", type=int, default=9, help="for each measurement")
    parser.add_argument("--peer", type=Path, nargs="*", default=[], help="pgledger's SQL files")
    parser.add_argument("--growth", action="store_true", help="measure 3 million charges, too")
    parser.add_argument("--fleet", action="store_true", help="measure the fleet of callers alone")
    parser.add_argument("--before", type=Path, help="a checkout of an earlier release")
    parser.add_argument("--trace", type=Path, default=TRACE, help="requests for the cache")
    return parser.parse_args()


def _rows(stand: rates.Stand, grown: bool) -> list[Row]:
    one = stand.one_client()
    many = stand.many()
    # Before the batches, whose millions of rows keep the server busy behind the others.
    called, ingested, slow = _call_rows(stand), _ingest_rows(stand), stand.hot_with_slow_commits()
    hot = stand.hot()
    by, busy = f"{ORGANIZATIONS:,} organizations, 8 connections", "one organization, 8 connections"
    return [
        _turns_row("charge, psycopg, 1 client", one, "psycopg", "pgbench", 0.6),
        _turns_row("charge, psycopg, 1 client", one, "psycopg", "five statements"),
        *called,
        *_peer_rows(by, many, "charges", "pgledger", 1.8, 2.0),
        *_peer_rows(f"{by}, unprepared", many, "charges, unprepared", "pgledger, unprepared"),
        *_peer_rows(busy, hot, "charges", "pgledger", 3.0),
        *_peer_rows(f"{busy}, commits 1.5 ms longer", slow, "charges", "pgledger", 4.0),
        *(
            _turns_row(
                f"one organization, {clients} connections", hot, f"charges, {clients} clients"
            )
            for clients in (1, 4)
        ),
        *_peer_rows(f"{busy}, batches of 100", hot, "batches of 100", "charges", 8.0),
        *_peer_rows(f"{busy}, batches of 1000", hot, "batches of 1000", "charges"),
        *ingested,
        *_fleet_rows(stand),
        *_wal_rows(stand, grown),
    ]


def _turns_row(
    what: str, turns: Turns, name: str, other: str = "", budget: float | None = None
) -> Row:
    measured = _per_second(turns.rate(name))
    if not other:
        return Row(what, measured, "", None, "", None)
    ratio, beside = turns.rate_ratio(name, other), f"{other}: {_per_second(turns.rate(other))}"
    return _at_least(what, measured, beside, ratio, budget)


def _peer_rows(
    what: str,
    turns: Turns,
    name: str,
    other: str,
    rate_budget: float | None = None,
    cpu_budget: float | None = None,
) -> list[Row]:
    """The ratios of rates and of CPU; neither has the other where there is no peer."""
    if other not in turns:
        return [_turns_row(what, turns, name)]
    cpu, beside = (_duration(turns.cpu(one)) for one in (name, other))
    return [
        _turns_row(what, turns, name, other, rate_budget),
        _at_least(
            f"{what}: CPU", cpu, f"{other}: {beside}", turns.cpu_ratio(name, other), cpu_budget
        ),
    ]


def _at_least(
    what: str, measured: str, beside: str, ratio: float, budget: float | None = None
) -> Row:
    if budget is None:
        return Row(what, measured, beside, ratio, "", None)
    return Row(what, measured, beside, ratio, f">= {budget}", ratio >= budget)


def _at_most(
    what: str, measured: str, beside: str, ratio: float, budget: float | None = None
) -> Row:
    if budget is None:
        return Row(what, measured, beside, ratio, "", None)
    return Row(what, measured, beside, ratio, f"<= {budget}", ratio <= budget)


def _call_rows(stand: rates.Stand) -> list[Row]:
    amount, tokens, budgets, both = stand.kinds()
    return [
        _at_most(
            what,
            _duration(seconds),
            f"{against}: {_duration(other)}",
            seconds / other,
            budget,
        )
        for what, against, (other, seconds), budget in (
            ("charge through the whole handler", "bare psycopg call", stand.handler(), 1.2),
            ("charge by tokens", "charge by amount", (amount, tokens), 1.15),
            ("charge with 3 budgets", "charge by amount", (amount, budgets), 1.15),
            ("charge by tokens with 3 budgets", "charge by amount", (amount, both), 1.20),
        )
    ]


def _fleet_rows(stand: rates.Stand) -> list[Row]:
    return [_fleet_row(stand, work) for work in fleet.WORK]


def _fleet_row(stand: rates.Stand, work: str) -> Row:
    found = fleet.simulate(stand.app_url, stand.ids, rates.CHARGE, stand.rounds, work)
    ratio = found.beside / found.alone
    return Row(
        f"others' charge beside {fleet.CALLERS:,} callers of one organization, {work},"
        f" {fleet.CONNECTIONS} connections",
        f"{_duration(found.beside)}, {found.others_refused} of {found.others} refused",
        f"alone: {_duration(found.alone)}; the one has {_per_second(found.busy_per_second)},"
        f" {found.busy_refused} refused",
        ratio,
        "<= 1.5, none refused",
        ratio <= 1.5 and not found.others_refused,
    )


def _ingest_rows(stand: rates.Stand) -> list[Row]:
    rows = []
    for name, commits in (("", contextlib.nullcontext()), (", slow commits", stand.slow_commits())):
        with commits:
            found = ingest.measure(stand.app_url, stand.ids[2], stand.rounds)
        what = f"usage events of one organization, the queue's function{name}"
        beside = f"its charges, the API's function: {_per_second(found.single)}"
        rows.append(_at_least(what, _per_second(found.queued), beside, found.ratio, 8.0))
    return rows


def _wal_rows(stand: rates.Stand, grown: bool) -> list[Row]:
    ours, theirs = stand.wal_bytes()
    measured: list[tuple[str, float, float | None]] = [("WAL of a charge", ours, 0.7)]
    for found in growth.measure(stand) if grown else []:
        what = f"WAL of a charge, {growth.ROWS:,} rows, {found.keys}"
        budget = 1.2 if found.keys == "ordered keys" else None
        measured += [
            (f"{what}, {growth.COUNT:,} after a checkpoint", found.first, None),
            (f"{what}, the next {growth.COUNT:,}", found.following, budget),
        ]
    return [
        Row(what, f"{size:,.0f} B", "", None, "", None)
        if theirs is None
        else _at_most(
            what, f"{size:,.0f} B", f"pgledger's transfer: {theirs:,.0f} B", size / theirs, budget
        )
        for what, size, budget in measured
    ]


def _grant_rows(stand: rates.Stand) -> list[Row]:
    found = granting.charges(stand.app_url, stand.rounds)
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
    for logs, budget in ((1_000, None), (10_000, 0.6), (MOST_LOGS, 0.025)):
        found = billing.drafts(app_url, admin_url, logs)
        beside = f"GROUP BY over the logs: {_duration(found.grouped)}"
        for what, seconds, most in (
            (f"draft invoice of {logs:,} logs", found.draft, budget),
            (
                f"spending over {logs:,} logs, by model and day",
                found.spending,
                0.03 if logs == MOST_LOGS else None,
            ),
        ):
            rows.append(_at_most(what, _duration(seconds), beside, seconds / found.grouped, most))
    computed, answered = billing.forecast(app_url, admin_url)
    rows.append(
        _at_most(
            "forecast of an organization, of 455 days",
            _duration(computed),
            f"5 ms; with the reading of 1,820 rollups: {_duration(answered)}",
            computed / MOST_FORECAST_SECONDS,
            1,
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
    return rows + [Row(*row) for row in console.rows()]


def _cache_rows(folder: Path, seconds: float, trace: Path) -> list[Row]:
    rows = []
    for what, times in caching.measure(folder, seconds):
        (floor, of_floor), *others = times.items()
        for name, of in others:
            budget = CACHE_BUDGETS.get(what) if name.startswith("ours") else None
            beside = f"{floor}: {_duration(of_floor)}"
            row = _at_most(f"{what}, {name}", _duration(of), beside, of / of_floor, budget)
            if what.startswith("flush"):
                row = row._replace(budget="<= 1 ms", kept=of <= FLUSH_SECONDS)
            rows.append(row)
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


def _import_rows(before: Path | None) -> list[Row]:
    return [
        _at_most(
            f"import of {found.name}",
            f"{found.seconds * 1e3:.0f} ms",
            f"{found.against}: {found.other * 1e3:.0f} ms",
            found.seconds / found.other,
            found.budget,
        )
        for found in [*imports.measure(before), *imports.measure_payments()]
    ]


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
