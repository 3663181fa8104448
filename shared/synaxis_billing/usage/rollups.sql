-- Rollups: the sums of the spend logs per local day and mix of dimensions. The rollups always add up to
-- the logs, also where a period or a time zone cuts a bucket.

-- The digest of a mix of dimensions, by which its rollup is found.
CREATE OR REPLACE FUNCTION billing.dimensions(
    p_model text, p_provider text, p_team_id text, p_virtual_key_id text, p_region text, p_charged boolean
) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(json_build_array(
        p_model, p_provider, p_team_id, p_virtual_key_id, p_region, p_charged)::text, 'UTF8'))
$$;

-- The tokens of usage by bucket that count as input, as cached or as output; NULL of none.
-- api helper
CREATE OR REPLACE FUNCTION billing.tokens_of(p_usage jsonb, p_kind text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(sum(value::bigint), 0)::bigint FROM jsonb_each_text(p_usage)
    WHERE billing.token_kind(key) = p_kind
$$;

-- Add usage to its rollup.
CREATE OR REPLACE FUNCTION billing.add_to_rollup(
    p_organization_id uuid, p_start timestamptz, p_end timestamptz, u billing.usage_request, p_charged boolean
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO billing.spend_rollups AS r
        (organization_id, bucket_start, dimensions, bucket_end, model, provider, team_id, virtual_key_id,
        region, charged, amount_usd, tokens, requests, input_tokens, cached_tokens, output_tokens, cost_usd,
        margin_usd)
    VALUES (p_organization_id, p_start,
        billing.dimensions(u.model, u.provider, u.team_id, u.virtual_key_id, u.region, p_charged), p_end,
        u.model, u.provider, u.team_id, u.virtual_key_id, u.region, p_charged, u.amount_usd,
        coalesce(u.tokens, 0), 1, coalesce(u.input_tokens, 0), coalesce(u.cached_tokens, 0),
        coalesce(u.output_tokens, 0), coalesce(u.cost_usd, 0), coalesce(u.amount_usd - u.cost_usd, 0))
    ON CONFLICT (organization_id, bucket_start, dimensions) DO UPDATE SET
        amount_usd = r.amount_usd + excluded.amount_usd,
        tokens = r.tokens + excluded.tokens,
        requests = r.requests + excluded.requests,
        input_tokens = r.input_tokens + excluded.input_tokens,
        cached_tokens = r.cached_tokens + excluded.cached_tokens,
        output_tokens = r.output_tokens + excluded.output_tokens,
        cost_usd = r.cost_usd + excluded.cost_usd,
        margin_usd = r.margin_usd + excluded.margin_usd
$$;

-- Add charges to their rollups; beside each lie its usage and the end of the local day that counts it.
CREATE OR REPLACE FUNCTION billing.add_to_rollups(
    p_transactions billing.credit_transactions[], p_usages billing.usage_request[], p_day_ends timestamptz[]
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO billing.spend_rollups AS r
        (organization_id, bucket_start, dimensions, bucket_end, model, provider, team_id, virtual_key_id,
        region, charged, amount_usd, tokens, requests, input_tokens, cached_tokens, output_tokens, cost_usd,
        margin_usd)
    SELECT t.organization_id, t.bucket_start,
        billing.dimensions(t.model, t.provider, t.team_id, t.virtual_key_id, t.region, true), d.day_end,
        t.model, t.provider, t.team_id, t.virtual_key_id, t.region, true, sum(-t.amount_usd),
        sum(coalesce(t.tokens, 0)), count(*), sum(coalesce(u.input_tokens, 0)),
        sum(coalesce(u.cached_tokens, 0)), sum(coalesce(u.output_tokens, 0)), sum(coalesce(t.cost_usd, 0)),
        sum(coalesce(-t.amount_usd - t.cost_usd, 0))
    FROM unnest(p_transactions) WITH ORDINALITY AS t
    JOIN unnest(p_usages) WITH ORDINALITY AS u USING (ordinality)
    JOIN unnest(p_day_ends) WITH ORDINALITY AS d (day_end, ordinality) USING (ordinality)
    GROUP BY t.organization_id, t.bucket_start, d.day_end, t.model, t.provider, t.team_id, t.virtual_key_id,
        t.region
    ON CONFLICT (organization_id, bucket_start, dimensions) DO UPDATE SET
        amount_usd = r.amount_usd + excluded.amount_usd,
        tokens = r.tokens + excluded.tokens,
        requests = r.requests + excluded.requests,
        input_tokens = r.input_tokens + excluded.input_tokens,
        cached_tokens = r.cached_tokens + excluded.cached_tokens,
        output_tokens = r.output_tokens + excluded.output_tokens,
        cost_usd = r.cost_usd + excluded.cost_usd,
        margin_usd = r.margin_usd + excluded.margin_usd
$$;

-- The buckets of a period that do not lie whole in it, or not in one day of the time zone (after a change of
-- time zone). Each bucket is found from the one before, since a day has many rollups.
-- api helper
CREATE OR REPLACE FUNCTION billing.cut_buckets(
    p_organization_id uuid, p_timezone text, p_start timestamptz, p_end timestamptz
) RETURNS tstzrange[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        WITH RECURSIVE buckets (starts, ends) AS (
            -- No bucket is longer than a local day of 25 hours.
            (SELECT bucket_start, bucket_end FROM billing.spend_rollups
            WHERE organization_id = p_organization_id AND bucket_start > p_start - interval '26 hours'
                AND bucket_start < p_end
            ORDER BY bucket_start LIMIT 1)
            UNION ALL
            SELECT following.* FROM buckets CROSS JOIN LATERAL (
                SELECT bucket_start, bucket_end FROM billing.spend_rollups
                WHERE organization_id = p_organization_id AND bucket_start > starts AND bucket_start < p_end
                ORDER BY bucket_start LIMIT 1
            ) AS following
        )
        SELECT array_agg(tstzrange(starts, ends)) FROM buckets
        WHERE ends > p_start AND (starts < p_start OR ends > p_end
            OR (starts AT TIME ZONE p_timezone)::date
                < ((ends - interval '1 microsecond') AT TIME ZONE p_timezone)::date));
END $$;

-- Spend of the half-open period: of buckets that lie whole in the period, and in one day of the time zone,
-- the rollups; of the others the logs.
-- api helper
CREATE OR REPLACE FUNCTION billing.spend_between(
    p_organization_id uuid, p_timezone text, p_start timestamptz, p_end timestamptz
) RETURNS TABLE (
    local_day date, model text, provider text, team_id text, virtual_key_id text, region text,
    charged boolean, amount_usd numeric, tokens bigint, requests bigint, input_tokens bigint,
    cached_tokens bigint, output_tokens bigint, cost_usd numeric, margin_usd numeric
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_cut tstzrange[] := billing.cut_buckets(p_organization_id, p_timezone, p_start, p_end);
BEGIN
    RETURN QUERY
    SELECT (r.bucket_start AT TIME ZONE p_timezone)::date, r.model, r.provider, r.team_id, r.virtual_key_id,
        r.region, r.charged, r.amount_usd::numeric, r.tokens, r.requests, r.input_tokens, r.cached_tokens,
        r.output_tokens, r.cost_usd::numeric, r.margin_usd::numeric
    FROM billing.spend_rollups AS r
    WHERE r.organization_id = p_organization_id AND r.bucket_start >= p_start AND r.bucket_start < p_end
        AND (v_cut IS NULL OR r.bucket_start <> ALL (SELECT lower(cut) FROM unnest(v_cut) AS cut));
    -- Seldom: the logs, and the planning for all their partitions, are left alone when they can be.
    IF v_cut IS NOT NULL THEN
        RETURN QUERY
        SELECT (s.created_at AT TIME ZONE p_timezone)::date, s.model, s.provider, s.team_id,
            s.virtual_key_id, s.region, s.transaction_id IS NOT NULL, s.amount_usd, coalesce(s.tokens, 0),
            1::bigint, coalesce(billing.tokens_of(s.usage, 'input'), 0),
            coalesce(billing.tokens_of(s.usage, 'cached'), 0),
            coalesce(billing.tokens_of(s.usage, 'output'), 0), coalesce(s.cost_usd, 0),
            coalesce(s.amount_usd - s.cost_usd, 0)
        FROM unnest(v_cut) AS cut CROSS JOIN LATERAL (
            SELECT * FROM billing.spend_logs
            WHERE organization_id = p_organization_id AND bucket_start = lower(cut)
                AND created_at >= greatest(lower(cut), p_start)
                AND created_at < least(upper(cut), p_end)
        ) AS s;
    END IF;
END $$;
