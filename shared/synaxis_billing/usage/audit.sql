-- The invariants of spend logs and rollups, checked on live data: one row for each violation.

-- Charges, spend logs and rollups agree.
CREATE OR REPLACE FUNCTION billing.audit_usage()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE sql STABLE AS $$
    WITH logged AS (
        SELECT s.organization_id, s.bucket_start, s.model, s.provider, s.team_id, s.virtual_key_id,
            s.region, s.transaction_id IS NOT NULL AS charged, sum(s.amount_usd)::numeric(28, 8) AS amount_usd,
            sum(s.tokens)::bigint AS tokens, count(*) AS requests
        FROM billing.spend_logs AS s GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ), rolled AS (
        SELECT r.organization_id, r.bucket_start, r.model, r.provider, r.team_id, r.virtual_key_id,
            r.region, r.charged, r.amount_usd, r.tokens, r.requests
        FROM billing.spend_rollups AS r
    )
    SELECT coalesce(s.organization_id, t.organization_id), 'a charge is one spend log',
        format('transaction %s, spend log %s', t.id, s.id)
    FROM (SELECT * FROM billing.spend_logs WHERE transaction_id IS NOT NULL) AS s
    FULL JOIN (SELECT * FROM billing.credit_transactions WHERE transaction_type = 'charge') AS t
        ON t.id = s.transaction_id AND t.organization_id = s.organization_id AND t.created_at = s.created_at
    WHERE s.id IS NULL OR t.id IS NULL OR t.amount_usd <> -s.amount_usd
    UNION ALL
    SELECT d.organization_id, 'rollups are the sums of the spend logs',
        format('bucket %s, model %s, %s USD', d.bucket_start, d.model, d.amount_usd)
    FROM (
        (SELECT * FROM logged EXCEPT ALL SELECT * FROM rolled)
        UNION ALL
        (SELECT * FROM rolled EXCEPT ALL SELECT * FROM logged)
    ) AS d
    UNION ALL
    SELECT s.organization_id, 'a spend log lies in its bucket', format('spend log %s', s.id)
    FROM billing.spend_logs AS s
    WHERE NOT EXISTS (
        SELECT FROM billing.spend_rollups AS r
        WHERE r.organization_id = s.organization_id AND r.bucket_start = s.bucket_start
            AND s.created_at >= r.bucket_start AND s.created_at < r.bucket_end)
$$;
