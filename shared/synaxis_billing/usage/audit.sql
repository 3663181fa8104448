-- The invariants of spend logs and rollups, checked on live data: one row for each violation.

-- Spend logs and rollups agree.
CREATE OR REPLACE FUNCTION billing.audit_usage()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH logged AS (
        SELECT s.organization_id, s.bucket_start, s.model, s.provider, s.team_id, s.virtual_key_id,
            s.region, s.transaction_id IS NOT NULL AS charged, sum(s.amount_usd)::numeric(28, 8) AS amount_usd,
            sum(coalesce(s.tokens, 0))::bigint AS tokens, count(*) AS requests,
            coalesce(sum(billing.tokens_of(s.usage, 'input')), 0)::bigint AS input_tokens,
            coalesce(sum(billing.tokens_of(s.usage, 'cached')), 0)::bigint AS cached_tokens,
            coalesce(sum(billing.tokens_of(s.usage, 'output')), 0)::bigint AS output_tokens,
            sum(coalesce(s.cost_usd, 0))::numeric(28, 8) AS cost_usd,
            sum(coalesce(s.amount_usd - s.cost_usd, 0))::numeric(28, 8) AS margin_usd
        FROM billing.spend_logs AS s GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ), rolled AS (
        SELECT r.organization_id, r.bucket_start, r.model, r.provider, r.team_id, r.virtual_key_id,
            r.region, r.charged, r.amount_usd, r.tokens, r.requests, r.input_tokens, r.cached_tokens,
            r.output_tokens, r.cost_usd, r.margin_usd
        FROM billing.spend_rollups AS r
    )
    SELECT d.organization_id, 'rollups are the sums of the spend logs',
        format('bucket %s, model %s, %s USD', d.bucket_start, d.model, d.amount_usd)
    FROM (
        (SELECT * FROM logged EXCEPT ALL SELECT * FROM rolled)
        UNION ALL
        (SELECT * FROM rolled EXCEPT ALL SELECT * FROM logged)
    ) AS d
    UNION ALL
    SELECT r.organization_id, 'a rollup is found by its dimensions', format('bucket %s', r.bucket_start)
    FROM billing.spend_rollups AS r
    WHERE r.dimensions <> billing.dimensions(
        r.model, r.provider, r.team_id, r.virtual_key_id, r.region, r.charged)
    UNION ALL
    SELECT s.organization_id, 'a spend log lies in its bucket', format('spend log %s', s.id)
    FROM billing.spend_logs AS s
    WHERE NOT EXISTS (
        SELECT FROM billing.spend_rollups AS r
        WHERE r.organization_id = s.organization_id AND r.bucket_start = s.bucket_start
            AND s.created_at >= r.bucket_start AND s.created_at < r.bucket_end);
END $$;
