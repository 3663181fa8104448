-- The invariants of the ledger, checked on live data: each function returns one row for each violation.
-- billing.audit() unites them with those of the other nouns.

-- Balances, versions and the hash chain.
CREATE OR REPLACE FUNCTION billing.audit_entries()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH chain AS (
        SELECT t.*,
            lag(t.version, 1, 0::bigint) OVER newest AS before_version,
            lag(t.balance_after_usd, 1, 0) OVER newest AS before_balance_usd,
            lag(t.hash, 1, sha256('')) OVER newest AS before_hash
        FROM billing.credit_transactions AS t
        WINDOW newest AS (PARTITION BY t.organization_id ORDER BY t.created_at, t.version)
    ), sums AS (
        SELECT c.organization_id, sum(c.amount_usd) AS amount_usd, count(*) AS transactions
        FROM chain AS c GROUP BY 1
    ), heads AS (
        SELECT DISTINCT ON (c.organization_id) c.organization_id, c.balance_after_usd, c.hash
        FROM chain AS c ORDER BY c.organization_id, c.created_at DESC, c.version DESC
    )
    SELECT o.id, 'balance is the sum of the transactions',
        format('balance %s, sum %s', o.balance_usd, coalesce(s.amount_usd, 0))
    FROM billing.organizations AS o LEFT JOIN sums AS s ON s.organization_id = o.id
    WHERE o.balance_usd <> coalesce(s.amount_usd, 0)
    UNION ALL
    SELECT o.id, 'balance, version and hash are the newest transaction''s',
        format('balance %s, last %s; version %s, transactions %s', o.balance_usd, h.balance_after_usd,
            o.version, coalesce(s.transactions, 0))
    FROM billing.organizations AS o
    LEFT JOIN sums AS s ON s.organization_id = o.id
    LEFT JOIN heads AS h ON h.organization_id = o.id
    WHERE o.balance_usd <> coalesce(h.balance_after_usd, 0) OR o.version <> coalesce(s.transactions, 0)
        OR o.head_hash <> coalesce(h.hash, sha256(''))
    UNION ALL
    SELECT c.organization_id, 'each transaction follows the one before',
        format('transaction %s: version %s after %s, balance %s after %s', c.id, c.version,
            c.before_version, c.balance_before_usd, c.before_balance_usd)
    FROM chain AS c
    WHERE c.version <> c.before_version + 1 OR c.balance_before_usd <> c.before_balance_usd
        OR c.previous_hash <> c.before_hash OR c.balance_after_usd <> c.balance_before_usd + c.amount_usd
    UNION ALL
    SELECT t.organization_id, 'each hash is that of its row', format('transaction %s', t.id)
    FROM billing.credit_transactions AS t
    WHERE t.hash <> billing.transaction_hash(ROW(t.*)::billing.credit_transactions)
        OR t.personal_salt IS NOT NULL
        AND t.personal_digest <> billing.personal_digest(
            t.personal_salt, t.description, t.initiated_by, t.end_user, t.metadata)
    UNION ALL
    SELECT t.organization_id, 'a transaction belongs to an organization', format('transaction %s', t.id)
    FROM billing.credit_transactions AS t
    WHERE NOT EXISTS (SELECT FROM billing.organizations AS o WHERE o.id = t.organization_id);
END $$;

-- Times, and what no sum shows.
CREATE OR REPLACE FUNCTION billing.audit_guarded()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT t.organization_id, 'a transaction has the time of its id', format('transaction %s', t.id)
    FROM billing.credit_transactions AS t
    WHERE t.created_at < uuid_extract_timestamp(t.id) - interval '1 second'
        OR t.created_at >= uuid_extract_timestamp(t.id) + interval '11 seconds'
    UNION ALL
    SELECT t.organization_id, 'no transaction lies in the future', format('transaction %s', t.id)
    FROM billing.credit_transactions AS t WHERE t.created_at > billing.now() + interval '1 minute'
    UNION ALL
    SELECT o.id, 'credit is not overdrawn', format('balance %s, held %s, limit %s, allowed to %s',
        o.balance_usd, o.held_usd, o.credit_limit_usd, o.floor_usd)
    FROM billing.organizations AS o
    WHERE o.held_usd < 0 OR o.balance_usd - o.held_usd < least(o.floor_usd, -o.credit_limit_usd);
END $$;

-- Holds and refunds.
CREATE OR REPLACE FUNCTION billing.audit_holds()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT o.id, 'held credit is the sum of the open holds',
        format('held %s, holds and frozen credit %s', o.held_usd, coalesce(h.usd, 0) + coalesce(g.usd, 0))
    FROM billing.organizations AS o
    LEFT JOIN (
        SELECT f.organization_id, sum(f.amount_usd) AS usd FROM billing.holds AS f
        WHERE f.status = 'held' GROUP BY 1
    ) AS h ON h.organization_id = o.id
    LEFT JOIN (
        SELECT f.organization_id, sum(f.frozen_usd) AS usd FROM billing.credit_grants AS f GROUP BY 1
    ) AS g ON g.organization_id = o.id
    WHERE o.held_usd <> coalesce(h.usd, 0) + coalesce(g.usd, 0)
    UNION ALL
    SELECT coalesce(h.organization_id, t.organization_id), 'a captured hold is one charge',
        format('hold %s, transaction %s', h.id, t.id)
    FROM (SELECT * FROM billing.holds WHERE status = 'captured') AS h
    FULL JOIN (SELECT * FROM billing.credit_transactions WHERE hold_id IS NOT NULL) AS t
        ON t.id = h.transaction_id AND t.hold_id = h.id AND t.organization_id = h.organization_id
    WHERE h.id IS NULL OR t.id IS NULL OR t.amount_usd <> -h.captured_usd
    UNION ALL
    SELECT coalesce(r.organization_id, t.organization_id), 'refunds stay within their charge',
        format('charge %s: recorded %s, refunded %s', coalesce(r.charge_id, t.charge_id),
            r.refunded_usd, t.refunded_usd)
    FROM billing.charge_refunds AS r
    FULL JOIN (
        SELECT f.organization_id, f.charge_id, sum(f.amount_usd) AS refunded_usd
        FROM billing.credit_transactions AS f
        WHERE f.transaction_type = 'refund' AND f.charge_id IS NOT NULL GROUP BY 1, 2
    ) AS t ON t.organization_id = r.organization_id AND t.charge_id = r.charge_id
    LEFT JOIN billing.credit_transactions AS c ON c.id = t.charge_id AND c.organization_id = t.organization_id
        AND c.transaction_type = 'charge'
    WHERE r.refunded_usd IS DISTINCT FROM t.refunded_usd OR r.charged_usd IS DISTINCT FROM -c.amount_usd
        OR r.refunded_usd > r.charged_usd;
END $$;

-- One key for each transaction, and the LLM request of each in its key's row.
CREATE OR REPLACE FUNCTION billing.audit_keys()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT coalesce(k.organization_id, t.organization_id), 'a transaction has one key',
        format('transaction %s, key %s', t.id, k.key)
    FROM (SELECT * FROM billing.idempotency WHERE result_type = 'transaction') AS k
    FULL JOIN billing.credit_transactions AS t ON t.id = k.result_id
        AND t.organization_id = k.organization_id AND t.created_at = k.created_at
    WHERE k.key IS NULL OR t.id IS NULL OR k.request_id IS DISTINCT FROM t.request_id
    UNION ALL
    SELECT k.organization_id, 'a transaction has one key', format('transaction %s has %s', k.result_id, count(*))
    FROM billing.idempotency AS k WHERE k.result_type = 'transaction'
    GROUP BY k.organization_id, k.result_id HAVING count(*) > 1
    UNION ALL
    SELECT p.organization_id, 'a payment is one top-up', format('reference %s', to_json(p.reference_id))
    FROM billing.credited_payments AS p
    LEFT JOIN billing.credit_transactions AS t ON t.organization_id = p.organization_id
        AND t.id = p.transaction_id AND t.transaction_type = 'topup' AND t.reference_id = p.reference_id
    WHERE t.id IS NULL;
END $$;
