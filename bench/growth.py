"""The WAL of a charge when the ledger has grown, by random keys and by those that begin with the
time."""

from typing import NamedTuple

import psycopg

from bench import rates

ROWS = 3_000_000
COUNT = 3000
# Half of the organizations had random keys, half had keys that begin with the time.
_FILL = """
WITH rows AS (
    SELECT n, ('00000000-0000-4000-8000-000000' || %(first)s + n %% %(organizations)s)::uuid AS id,
        date_trunc('month', now()) + n * interval '100 microseconds' AS at,
        CASE WHEN n %% %(organizations)s < %(organizations)s / 2
            THEN md5(n::text) ELSE lpad(n::text, 12, '0') || '-' || md5(n::text) END AS key
    FROM generate_series(%(from)s, %(to)s - 1) AS n
), keys AS (
    INSERT INTO billing.idempotency (
        organization_id, key, request_id, fingerprint, result_type, result_id, created_at)
    SELECT id, key, key, sha256(key::bytea), 'transaction', billing.new_id(at), at FROM rows
)
INSERT INTO billing.credit_transactions (
    id, organization_id, version, transaction_type, amount_usd, balance_before_usd,
    balance_after_usd, description, initiated_by, request_id, model, provider, tokens, bucket_start,
    personal_salt, personal_digest, previous_hash, hash, created_at)
SELECT billing.new_id(at), id, n, 'charge', -0.00012345, 1000000, 999999.99987655,
    'chat completion', 'bench', key, 'gpt-4o', 'openai', 418, date_trunc('day', at),
    gen_random_uuid(), sha256(key::bytea), sha256(key::bytea), sha256(key::bytea), at
FROM rows
"""


class Growth(NamedTuple):
    """Bytes of WAL of a charge: of the first after a checkpoint, and of the following ones."""

    keys: str
    first: float
    following: float


def measure(stand: rates.Stand) -> list[Growth]:
    """Fill the ledger with 3 million charges, and measure charges by each kind of key."""
    with psycopg.connect(stand.admin_url, autocommit=True) as admin:
        for start in range(0, ROWS, ROWS // 10):
            admin.execute(
                _FILL,
                {
                    "first": rates.FIRST,
                    "organizations": rates.ORGANIZATIONS,
                    "from": start,
                    "to": start + ROWS // 10,
                },
            )
        admin.execute("VACUUM ANALYZE billing.credit_transactions, billing.idempotency")
        found = []
        half = rates.ORGANIZATIONS // 2
        for keys, first, key in (
            ("random keys", rates.FIRST, ":r-:client_id"),
            ("ordered keys", rates.FIRST + half, ":start-:client_id-:n"),
        ):
            script = f"\\set o random({first}, {first + half - 1})\n{rates.charges(key)}"
            admin.execute("CHECKPOINT")
            wal = [stand.wal_of(script, COUNT) for _ in range(2)]
            found.append(Growth(keys, *wal))
    return found
