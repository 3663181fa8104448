-- Log spend for analytics without charging it. The key is optional: an LLM request is counted once
-- whatever key it comes with.
CREATE OR REPLACE FUNCTION billing.log_spend(p_tenant text, p_organization_id uuid, p_request jsonb)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    u billing.usage_request := jsonb_populate_record(NULL::billing.usage_request, p_request);
    s billing.spend_logs;
    v_settled json;
    v_past billing.idempotency;
BEGIN
    v_settled := billing.settled(o, u.idempotency_key, u.fingerprint);
    IF v_settled IS NOT NULL THEN
        RETURN v_settled;
    END IF;
    SELECT * INTO v_past FROM billing.idempotency
    WHERE organization_id = o.id AND kind = 'request' AND key = u.request_id;
    IF FOUND THEN
        RETURN CASE WHEN v_past.fingerprint = u.fingerprint
            THEN billing.replay_of(v_past, u.fingerprint)
            ELSE billing.request_already_counted(o.id, u.request_id) END;
    END IF;
    s.id := uuidv7();
    s.organization_id := o.id;
    s.team_id := u.team_id;
    s.virtual_key_id := u.virtual_key_id;
    s.request_id := u.request_id;
    s.amount_usd := u.amount_usd;
    s.model := u.model;
    s.provider := u.provider;
    s.tokens := coalesce(u.tokens, 0);
    s.region := u.region;
    s.bucket_start := o.day_start;
    s.created_at := o.changed_at;
    PERFORM billing.save_organization(o);
    INSERT INTO billing.idempotency
    SELECT o.id, kind, key, u.fingerprint, 'spend_log', s.id, o.changed_at
    FROM (VALUES ('key'::billing.once_per, u.idempotency_key), ('request', u.request_id)) AS m (kind, key)
    WHERE key IS NOT NULL;
    INSERT INTO billing.spend_logs SELECT s.*;
    INSERT INTO billing.spend_rollups AS r
    VALUES (o.id, o.day_start, o.day_end, s.model, s.provider, s.team_id, s.virtual_key_id, s.region,
        false, s.amount_usd, s.tokens, 1)
    ON CONFLICT (organization_id, bucket_start, model, provider, team_id, virtual_key_id, region, charged)
    DO UPDATE SET
        amount_usd = r.amount_usd + excluded.amount_usd,
        tokens = r.tokens + excluded.tokens,
        requests = r.requests + excluded.requests;
    RETURN billing.outcome('created', billing.spend_log_json(s));
END $$;

-- Spend of the half-open period. Rollup buckets that lie whole in the period, and in one day of the time
-- zone, are counted as they are; of the others (the period's ends, days of a former time zone) the logs
-- are.
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

-- Spend of the half-open period, by any mix of dimensions, days and months being the organization's
-- local ones.
CREATE OR REPLACE FUNCTION billing.spending(
    p_tenant text, p_organization_id uuid, p_start timestamptz, p_end timestamptz, p_group_by text[],
    p_limit int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
    v_from timestamptz := p_start;
    v_to timestamptz := p_end;
    v_month timestamp;
    v_value json;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    v_month := date_trunc('month', statement_timestamp() AT TIME ZONE o.timezone);
    v_from := coalesce(p_start, billing.day_start(v_month::date, o.timezone));
    v_to := coalesce(p_end, billing.day_start((v_month + interval '1 month')::date, o.timezone));

    WITH spend AS (
        SELECT * FROM billing.spend_between(o.id, o.timezone, v_from, v_to)
    ), groups AS (
        SELECT
            CASE WHEN 'day' = ANY (p_group_by) THEN to_char(local_day, 'YYYY-MM-DD') END AS day,
            CASE WHEN 'month' = ANY (p_group_by) THEN to_char(local_day, 'YYYY-MM') END AS month,
            CASE WHEN 'model' = ANY (p_group_by) THEN model END AS model,
            CASE WHEN 'provider' = ANY (p_group_by) THEN provider END AS provider,
            CASE WHEN 'team_id' = ANY (p_group_by) THEN team_id END AS team_id,
            CASE WHEN 'virtual_key_id' = ANY (p_group_by) THEN virtual_key_id END AS virtual_key_id,
            CASE WHEN 'region' = ANY (p_group_by) THEN region END AS region,
            sum(amount_usd) AS amount_usd, sum(tokens) AS tokens, sum(requests) AS requests
        FROM spend GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), listed AS (
        SELECT * FROM groups
        ORDER BY month, day, amount_usd DESC, model, provider, team_id, virtual_key_id, region
        LIMIT p_limit
    )
    SELECT json_build_object(
        'from', v_from,
        'to', v_to,
        'timezone', o.timezone,
        'version', billing.version_of(o.changed_at),
        'groups', (SELECT count(*) FROM groups),
        'items', (SELECT coalesce(json_agg(json_build_object(
            'day', day, 'month', month, 'model', model, 'provider', provider, 'team_id', team_id,
            'virtual_key_id', virtual_key_id, 'region', region,
            'amount_usd', amount_usd::text, 'tokens', tokens, 'requests', requests)), '[]') FROM listed),
        'total', (SELECT json_build_object(
            'amount_usd', coalesce(sum(amount_usd), 0)::text,
            'tokens', coalesce(sum(tokens), 0),
            'requests', coalesce(sum(requests), 0)) FROM groups)
    ) INTO v_value;
    RETURN billing.outcome('found', v_value);
END $$;

-- Spend logs, newest first, before an instant (exclusive) that an earlier page ended at.
CREATE OR REPLACE FUNCTION billing.spend_logs(
    p_tenant text, p_organization_id uuid, p_start timestamptz, p_end timestamptz, p_limit int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(billing.spend_log_json(s)), '[]')
        FROM (
            SELECT * FROM billing.spend_logs
            WHERE organization_id = p_organization_id
                AND created_at >= coalesce(p_start, '-infinity')
                AND created_at < coalesce(p_end, 'infinity')
            ORDER BY created_at DESC LIMIT p_limit
        ) AS s
    ));
END $$;

CREATE OR REPLACE FUNCTION billing.transactions(
    p_tenant text, p_organization_id uuid, p_type text, p_start timestamptz, p_end timestamptz,
    p_limit int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(billing.transaction_json(t)), '[]')
        FROM (
            SELECT * FROM billing.credit_transactions
            WHERE organization_id = p_organization_id
                AND (p_type IS NULL OR transaction_type = p_type::billing.transaction_type)
                AND created_at >= coalesce(p_start, '-infinity')
                AND created_at < coalesce(p_end, 'infinity')
            ORDER BY created_at DESC LIMIT p_limit
        ) AS t
    ));
END $$;
