-- Rollups: the sums of the spend logs per local day and mix of dimensions. The rollups always add up to
-- the logs, also where a period or a time zone cuts a bucket.

-- The digest of a mix of dimensions, by which its rollup is found.
CREATE OR REPLACE FUNCTION billing.dimensions(
    p_model text, p_provider text, p_team_id text, p_virtual_key_id text, p_region text, p_charged boolean
) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(json_build_array(
        p_model, p_provider, p_team_id, p_virtual_key_id, p_region, p_charged)::text, 'UTF8'))
$$;

-- Add usage to its rollup.
CREATE OR REPLACE FUNCTION billing.add_to_rollup(
    p_organization_id uuid, p_start timestamptz, p_end timestamptz, u billing.usage_request, p_charged boolean
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO billing.spend_rollups AS r
        (organization_id, bucket_start, dimensions, bucket_end, model, provider, team_id, virtual_key_id,
        region, charged, amount_usd, tokens, requests)
    VALUES (p_organization_id, p_start,
        billing.dimensions(u.model, u.provider, u.team_id, u.virtual_key_id, u.region, p_charged), p_end,
        u.model, u.provider, u.team_id, u.virtual_key_id, u.region, p_charged, u.amount_usd,
        coalesce(u.tokens, 0), 1)
    ON CONFLICT (organization_id, bucket_start, dimensions) DO UPDATE SET
        amount_usd = r.amount_usd + excluded.amount_usd,
        tokens = r.tokens + excluded.tokens,
        requests = r.requests + excluded.requests
$$;

-- Add charges to their rollups; beside each lies the end of the local day that counts it.
CREATE OR REPLACE FUNCTION billing.add_to_rollups(
    p_transactions billing.credit_transactions[], p_day_ends timestamptz[]
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO billing.spend_rollups AS r
        (organization_id, bucket_start, dimensions, bucket_end, model, provider, team_id, virtual_key_id,
        region, charged, amount_usd, tokens, requests)
    SELECT organization_id, bucket_start,
        billing.dimensions(model, provider, team_id, virtual_key_id, region, true), day_end, model, provider,
        team_id, virtual_key_id, region, true, sum(-amount_usd), sum(coalesce(tokens, 0)), count(*)
    FROM unnest(p_transactions) WITH ORDINALITY
    JOIN unnest(p_day_ends) WITH ORDINALITY AS d (day_end, ordinality) USING (ordinality)
    GROUP BY organization_id, bucket_start, day_end, model, provider, team_id, virtual_key_id, region
    ON CONFLICT (organization_id, bucket_start, dimensions) DO UPDATE SET
        amount_usd = r.amount_usd + excluded.amount_usd,
        tokens = r.tokens + excluded.tokens,
        requests = r.requests + excluded.requests
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
    charged boolean, amount_usd numeric, tokens bigint, requests bigint
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_cut tstzrange[] := billing.cut_buckets(p_organization_id, p_timezone, p_start, p_end);
BEGIN
    RETURN QUERY
    SELECT (r.bucket_start AT TIME ZONE p_timezone)::date, r.model, r.provider, r.team_id, r.virtual_key_id,
        r.region, r.charged, r.amount_usd::numeric, r.tokens, r.requests
    FROM billing.spend_rollups AS r
    WHERE r.organization_id = p_organization_id AND r.bucket_start >= p_start AND r.bucket_start < p_end
        AND (v_cut IS NULL OR r.bucket_start <> ALL (SELECT lower(cut) FROM unnest(v_cut) AS cut));
    -- Seldom: the logs, and the planning for all their partitions, are left alone when they can be.
    IF v_cut IS NOT NULL THEN
        RETURN QUERY
        SELECT (s.created_at AT TIME ZONE p_timezone)::date, s.model, s.provider, s.team_id,
            s.virtual_key_id, s.region, s.transaction_id IS NOT NULL, s.amount_usd, coalesce(s.tokens, 0),
            1::bigint
        FROM unnest(v_cut) AS cut CROSS JOIN LATERAL (
            SELECT * FROM billing.spend_logs
            WHERE organization_id = p_organization_id AND bucket_start = lower(cut)
                AND created_at >= greatest(lower(cut), p_start)
                AND created_at < least(upper(cut), p_end)
        ) AS s;
    END IF;
END $$;
