"""Invoices and spending beside the bare GROUP BY over the logs, forecasts, and month ends."""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import psycopg

from synaxis_billing import currencies
from synaxis_billing.cache import Cache
from synaxis_billing.caller import Caller
from synaxis_billing.invoices import invoices, month_end
from synaxis_billing.invoices.invoices import InvoicePeriod
from synaxis_billing.invoices.parties import Issuer, Seller
from synaxis_billing.organizations import profile
from synaxis_billing.rates import rates
from synaxis_billing.usage import forecasts, spending
from synaxis_billing.usage.forecast import HISTORY_DAYS, HORIZON, make_forecast

CALLER = Caller(tenant="*", subject="bench")
NO_CACHE = Cache(None)
ISSUER = Issuer(Seller(name="Bench"))
NOW = datetime.now(UTC)
RATES = [
    rates.Rate(name, of.fallback_rate, NOW, "bench", False)
    for name, of in currencies.CURRENCIES.items()
]
# Ahead of the clock, so that the ledger's own time is the month's.
MONTH = "2031-03"
PERIOD = InvoicePeriod.model_validate(
    {"period_start": "2031-03-01T00:00:00Z", "period_end": "2031-04-01T00:00:00Z"}
)
WORKERS = 4
ROUNDS = 15
# Logs over a month's days, 12 models and 8 keys, and the rollups that charges would have made.
_LOGS = """
WITH logs AS (
    INSERT INTO billing.credit_transactions (
        id, organization_id, version, transaction_type, amount_usd, balance_before_usd,
        balance_after_usd, drawn_usd, virtual_key_id, model, provider, tokens, bucket_start,
        personal_digest, previous_hash, hash, created_at)
    SELECT billing.new_id(at), %(id)s, n, 'charge', -(n %% 997 + 1) / 1e6, 0, -(n %% 997 + 1) / 1e6,
        0, md5((n %% 8)::text), 'model-' || n %% 12, 'provider-' || n %% 12 %% 4, 100,
        date_trunc('day', at), '', '', '', at
    FROM (
        SELECT n, timestamptz '2031-03-01 00:00Z' + n * (interval '31 days' / %(count)s) AS at
        FROM generate_series(0, %(count)s - 1) AS n
    ) AS one
    RETURNING *
)
INSERT INTO billing.spend_rollups (
    organization_id, bucket_start, dimensions, bucket_end, model, provider, team_id,
    virtual_key_id, region, charged, amount_usd, tokens, requests)
SELECT organization_id, bucket_start,
    billing.dimensions(model, provider, team_id, virtual_key_id, region, true),
    bucket_start + interval '1 day', model, provider, team_id, virtual_key_id, region, true,
    sum(-amount_usd), sum(tokens), count(*)
FROM logs GROUP BY organization_id, bucket_start, model, provider, team_id, virtual_key_id, region
"""
_HISTORY = """
INSERT INTO billing.spend_rollups (organization_id, bucket_start, dimensions, bucket_end, model,
    charged, amount_usd, tokens, requests)
SELECT %s, day, billing.dimensions(model, NULL, NULL, NULL, NULL, true), day + interval '1 day',
    model, true, n %% 7 * 3 + n %% 5, 100, 3
FROM generate_series(1, %s) AS n
CROSS JOIN LATERAL (
    SELECT date_trunc('day', billing.now(), 'UTC') - n * interval '1 day' AS day
) AS of
CROSS JOIN unnest(ARRAY['a', 'b', 'c', 'd']) AS model
"""
_GROUPED = """
SELECT model, provider, count(*), sum(tokens), sum(amount_usd) FROM billing.spend_logs
WHERE organization_id = %s AND transaction_id IS NOT NULL
    AND created_at >= '2031-03-01Z' AND created_at < '2031-04-01Z'
GROUP BY 1, 2
"""


class Draft(NamedTuple):
    """Seconds of a draft, of a spending report, and of the bare query over as many logs."""

    logs: int
    draft: float
    spending: float
    grouped: float


class MonthEnd(NamedTuple):
    organizations: int
    seconds: float
    peak_mb: int

    @property
    def per_second(self) -> float:
        return self.organizations / self.seconds


def drafts(app_url: str, admin_url: str, logs: int) -> Draft:
    with (
        psycopg.connect(app_url, autocommit=True, prepare_threshold=None) as db,
        psycopg.connect(admin_url, autocommit=True) as admin,
    ):
        organization_id = _organization(db)
        admin.execute(_LOGS, {"id": organization_id, "count": logs})
        admin.execute("VACUUM ANALYZE billing.credit_transactions, billing.spend_rollups")

        def draft() -> None:
            invoice, _ = invoices.draft_invoice(db, CALLER, organization_id, PERIOD, RATES, ISSUER)
            assert sum(line.requests for line in invoice.line_items) == logs

        def grouped() -> None:
            rows = admin.execute(_GROUPED, [organization_id]).fetchall()
            assert sum(row[2] for row in rows) == logs

        def spend() -> None:
            period = (PERIOD.period_start, PERIOD.period_end)
            found = spending.get_spending(
                lambda: db,
                NO_CACHE,
                CALLER,
                organization_id,
                spending.Question(*period, ["model", "day"]),
            )
            assert found.total.requests == logs

        times = [(_timed(draft), _timed(spend), _timed(grouped)) for _ in range(ROUNDS)]
    return Draft(logs, *(statistics.median(of) for of in zip(*times, strict=True)))


def forecast(app_url: str, admin_url: str) -> tuple[float, float]:
    """The median seconds of computing a forecast of the longest history, and of answering with it:
    read from 1,820 rollups, and computed."""
    with (
        psycopg.connect(app_url, autocommit=True, prepare_threshold=None) as db,
        psycopg.connect(admin_url, autocommit=True) as admin,
    ):
        organization_id = _organization(db)
        admin.execute(_HISTORY, [organization_id, HISTORY_DAYS])
        admin.execute("VACUUM ANALYZE billing.spend_rollups")
        history = [Decimal(day % 7 * 3 + day % 5) for day in range(HISTORY_DAYS)]
        rates = make_forecast(history).miss_rates

        def compute() -> None:
            make_forecast(history, rates, 1)

        def answer() -> None:
            forecasts.get_forecast(db, CALLER, organization_id, HORIZON)

        times = [(_timed(compute), _timed(answer)) for _ in range(ROUNDS)]
    computed, answered = (statistics.median(of) for of in zip(*times, strict=True))
    return computed, answered


def month_ends(app_url: str, admin_url: str, organizations_count: int) -> MonthEnd:
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(
            "WITH made AS (INSERT INTO billing.organizations (name, billing_currency)"
            " SELECT 'Bench', 'EUR' FROM generate_series(1, %s) RETURNING id)"
            " INSERT INTO billing.spend_rollups (organization_id, bucket_start, dimensions,"
            "  bucket_end, model, provider, charged, amount_usd, tokens, requests)"
            " SELECT id, '2031-03-09Z', billing.dimensions(model, 'provider', NULL, NULL, NULL,"
            "  true), '2031-03-10Z', model, 'provider', true, 1.23456789, 100, 3 FROM made,"
            " unnest(ARRAY['a', 'b', 'c']) AS model",
            [organizations_count],
        )
        admin.execute("UPDATE billing.organizations SET changed_at = '2031-04-01Z'")
        admin.execute("VACUUM ANALYZE billing.organizations, billing.spend_rollups")

    def work(jobs: list[month_end.Job]) -> int:
        with psycopg.connect(app_url, autocommit=True, prepare_threshold=None) as db:
            done = [month_end.bill_month(db, job, RATES, ISSUER) for job in jobs]
        return done.count("issued")

    began = time.perf_counter()
    with psycopg.connect(app_url, autocommit=True, prepare_threshold=None) as db:
        jobs = [job for page in month_end.plan_month(db, MONTH) for job in page]
    with ThreadPoolExecutor(WORKERS) as pool:
        issued = sum(pool.map(work, [jobs[at::WORKERS] for at in range(WORKERS)]))
    taken = time.perf_counter() - began
    assert issued >= organizations_count
    return MonthEnd(organizations_count, taken, peak_mb())


def _organization(db: psycopg.Connection) -> UUID:
    request = profile.NewOrganization(name="Bench", billing_currency="EUR")
    return profile.create_organization(db, CALLER, request).id


def _timed(action: Callable[[], None]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def peak_mb() -> int:
    """The most memory that this process has had."""
    # Kilobytes, but bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 * 1024 if sys.platform == "darwin" else 1024)
