-- Rollups: the sums of the spend logs per local day and mix of dimensions. The rollups always add up to
-- the logs, also where a period or a time zone cuts a bucket.

-- Spend of the half-open period. Rollup buckets that lie whole in the period, and in one day of the time
-- zone, are counted as they are; of the others (the period's ends, days of a former time zone) the logs
-- are.
-- api helper
CREATE OR REPLACE FUNCTION billing.spend_between(
    p_organization_id uuid, p_timezone text, p_start timestamptz, p_end timestamptz
) RETURNS TABLE (
    local_day date, model text, provider text, team_id uuid, virtual_key_id uuid, region text,
    charged boolean, amount_usd numeric, tokens bigint, requests bigint
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_starts timestamptz[];
    v_days date[];
    v_cut tstzrange[];
BEGIN
    SELECT array_agg(bucket_start) FILTER (WHERE whole), array_agg(local_day) FILTER (WHERE whole),
        array_agg(tstzrange(bucket_start, bucket_end)) FILTER (WHERE NOT whole)
    INTO v_starts, v_days, v_cut
    FROM (
        SELECT bucket_start, bucket_end, (bucket_start AT TIME ZONE p_timezone)::date AS local_day,
            bucket_start >= p_start AND bucket_end <= p_end
            AND (bucket_start AT TIME ZONE p_timezone)::date
              = ((bucket_end - interval '1 microsecond') AT TIME ZONE p_timezone)::date AS whole
        FROM (
            SELECT DISTINCT bucket_start, bucket_end FROM billing.spend_rollups
            -- No bucket is longer than a local day of 25 hours.
            WHERE organization_id = p_organization_id AND bucket_start > p_start - interval '26 hours'
                AND bucket_start < p_end AND bucket_end > p_start
        ) AS buckets
    ) AS bounds;
    RETURN QUERY
    SELECT w.day, r.model, r.provider, r.team_id, r.virtual_key_id, r.region, r.charged,
        r.amount_usd::numeric, r.tokens, r.requests
    FROM unnest(v_starts, v_days) AS w (start, day)
    JOIN billing.spend_rollups AS r ON r.organization_id = p_organization_id AND r.bucket_start = w.start;
    -- Seldom: the logs, and the planning for all their partitions, are left alone when they can be.
    IF v_cut IS NOT NULL THEN
        RETURN QUERY
        SELECT (s.created_at AT TIME ZONE p_timezone)::date, s.model, s.provider, s.team_id,
            s.virtual_key_id, s.region, s.transaction_id IS NOT NULL, s.amount_usd::numeric, s.tokens,
            1::bigint
        FROM unnest(v_cut) AS cut CROSS JOIN LATERAL (
            SELECT * FROM billing.spend_logs
            WHERE organization_id = p_organization_id AND bucket_start = lower(cut)
                AND created_at >= greatest(lower(cut), p_start)
                AND created_at < least(upper(cut), p_end)
        ) AS s;
    END IF;
END $$;
