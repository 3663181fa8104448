-- The spending reports: spend of a period by any mix of dimensions, of an organization or of all of them.

-- Spend of all organizations in the half-open period, as billing.spend_between() has it of one. Local days are
-- told, and buckets cut at them, only when they are asked for.
-- api helper
CREATE OR REPLACE FUNCTION billing.platform_spend(p_start timestamptz, p_end timestamptz, p_days boolean)
RETURNS TABLE (
    organization_id uuid, local_day date, model text, provider text, team_id text, virtual_key_id text,
    region text, charged boolean, amount_usd numeric, tokens bigint, requests bigint, input_tokens bigint,
    cached_tokens bigint, output_tokens bigint, cost_usd numeric, margin_usd numeric
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT o.id, CASE WHEN p_days THEN (r.bucket_start AT TIME ZONE o.timezone)::date END, r.model,
        r.provider, r.team_id, r.virtual_key_id, r.region, r.charged, r.amount_usd::numeric, r.tokens,
        r.requests, r.input_tokens, r.cached_tokens, r.output_tokens, r.cost_usd::numeric,
        r.margin_usd::numeric
    FROM billing.organizations AS o
    JOIN billing.spend_rollups AS r ON r.organization_id = o.id AND r.bucket_start >= p_start
        AND r.bucket_start < p_end
    WHERE r.bucket_end <= p_end AND NOT (p_days AND billing.spans_days(r.bucket_start, r.bucket_end, o.timezone))
    UNION ALL
    SELECT cut.id, (s.created_at AT TIME ZONE cut.timezone)::date, s.model, s.provider, s.team_id,
        s.virtual_key_id, s.region, s.transaction_id IS NOT NULL, s.amount_usd, coalesce(s.tokens, 0), 1,
        coalesce(billing.tokens_of(s.usage, 'input'), 0), coalesce(billing.tokens_of(s.usage, 'cached'), 0),
        coalesce(billing.tokens_of(s.usage, 'output'), 0), coalesce(s.cost_usd, 0),
        coalesce(s.amount_usd - s.cost_usd, 0)
    FROM (
        SELECT DISTINCT o.id, o.timezone, r.bucket_start, r.bucket_end
        FROM billing.organizations AS o
        JOIN billing.spend_rollups AS r ON r.organization_id = o.id AND r.bucket_start < p_end
            -- No bucket is longer than a local day of 25 hours.
            AND r.bucket_start > p_start - interval '26 hours'
        WHERE r.bucket_end > p_start AND (r.bucket_start < p_start OR r.bucket_end > p_end
            OR p_days AND billing.spans_days(r.bucket_start, r.bucket_end, o.timezone))
    ) AS cut
    CROSS JOIN LATERAL (
        SELECT * FROM billing.spend_logs
        WHERE organization_id = cut.id AND bucket_start = cut.bucket_start
            AND created_at >= greatest(cut.bucket_start, p_start)
            AND created_at < least(cut.bucket_end, p_end)
        -- The logs of one bucket after the other: not merged into a join that reads all of them.
        OFFSET 0
    ) AS s;
END $$;

-- Whether a bucket of an earlier time zone lies in two days of another.
-- api helper
CREATE OR REPLACE FUNCTION billing.spans_days(p_start timestamptz, p_end timestamptz, p_timezone text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT (p_start AT TIME ZONE p_timezone)::date
        < ((p_end - interval '1 microsecond') AT TIME ZONE p_timezone)::date
$$;

-- Spend of an organization, or of all (NULL), in the half-open period.
-- api helper
CREATE OR REPLACE FUNCTION billing.spend_of(
    p_organization_id uuid, p_start timestamptz, p_end timestamptz, p_days boolean
) RETURNS TABLE (
    organization_id uuid, local_day date, model text, provider text, team_id text, virtual_key_id text,
    region text, charged boolean, amount_usd numeric, tokens bigint, requests bigint, input_tokens bigint,
    cached_tokens bigint, output_tokens bigint, cost_usd numeric, margin_usd numeric
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_timezone text;
BEGIN
    IF p_organization_id IS NULL THEN
        RETURN QUERY SELECT * FROM billing.platform_spend(p_start, p_end, p_days);
    ELSE
        SELECT o.timezone INTO v_timezone FROM billing.organizations AS o WHERE o.id = p_organization_id;
        RETURN QUERY SELECT p_organization_id, s.*
            FROM billing.spend_between(p_organization_id, v_timezone, p_start, p_end) AS s;
    END IF;
END $$;

-- Spend of an organization, or of all (NULL), in the half-open period by any mix of dimensions, days and months
-- being each organization's local ones. More groups than p_limit are only counted.
-- api helper
CREATE OR REPLACE FUNCTION billing.sum_spend(
    p_organization_id uuid, p_start timestamptz, p_end timestamptz, p_group_by text[], p_limit int
) RETURNS json LANGUAGE sql STABLE AS $$
    WITH spend AS (
        SELECT * FROM billing.spend_of(
            p_organization_id, p_start, p_end, p_group_by && ARRAY['day', 'month'])
    ), groups AS (
        SELECT
            CASE WHEN 'day' = ANY (p_group_by) THEN to_char(local_day, 'YYYY-MM-DD') END AS day,
            CASE WHEN 'month' = ANY (p_group_by) THEN to_char(local_day, 'YYYY-MM') END AS month,
            CASE WHEN 'organization_id' = ANY (p_group_by) THEN organization_id END AS organization_id,
            CASE WHEN 'model' = ANY (p_group_by) THEN model END AS model,
            CASE WHEN 'provider' = ANY (p_group_by) THEN provider END AS provider,
            CASE WHEN 'team_id' = ANY (p_group_by) THEN team_id END AS team_id,
            CASE WHEN 'virtual_key_id' = ANY (p_group_by) THEN virtual_key_id END AS virtual_key_id,
            CASE WHEN 'region' = ANY (p_group_by) THEN region END AS region,
            sum(amount_usd) AS amount_usd, sum(tokens) AS tokens, sum(requests) AS requests,
            sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens,
            sum(output_tokens) AS output_tokens, sum(cost_usd) AS cost_usd, sum(margin_usd) AS margin_usd
        FROM spend GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ), counted AS (
        SELECT count(*) AS groups, sum(amount_usd) AS amount_usd, sum(tokens) AS tokens,
            sum(requests) AS requests, sum(input_tokens) AS input_tokens,
            sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
            sum(cost_usd) AS cost_usd, sum(margin_usd) AS margin_usd
        FROM groups
    )
    SELECT json_build_object(
        'groups', c.groups,
        'items', CASE WHEN c.groups <= p_limit THEN (
            SELECT coalesce(json_agg(jsonb_build_object('day', day, 'month', month,
                    'organization_id', organization_id, 'model', model, 'provider', provider,
                    'team_id', team_id, 'virtual_key_id', virtual_key_id, 'region', region)
                || billing.sums_json(amount_usd, tokens, requests, input_tokens, cached_tokens,
                    output_tokens, cost_usd, margin_usd)
                ORDER BY month, day, amount_usd DESC, organization_id, model, provider, team_id,
                    virtual_key_id, region), '[]') FROM groups) END,
        'total', billing.sums_json(c.amount_usd, c.tokens, c.requests, c.input_tokens, c.cached_tokens,
            c.output_tokens, c.cost_usd, c.margin_usd))
    FROM counted AS c
$$;

-- The sums of a group; NULL is nothing.
-- api helper
CREATE OR REPLACE FUNCTION billing.sums_json(
    p_amount_usd numeric, p_tokens numeric, p_requests numeric, p_input_tokens numeric,
    p_cached_tokens numeric, p_output_tokens numeric, p_cost_usd numeric, p_margin_usd numeric
) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'amount_usd', coalesce(p_amount_usd, 0)::text,
        'tokens', coalesce(p_tokens, 0),
        'requests', coalesce(p_requests, 0),
        'input_tokens', coalesce(p_input_tokens, 0),
        'cached_tokens', coalesce(p_cached_tokens, 0),
        'output_tokens', coalesce(p_output_tokens, 0),
        'cost_usd', coalesce(p_cost_usd, 0)::text,
        'margin_usd', coalesce(p_margin_usd, 0)::text)
$$;

-- Spend of an organization; without a period, of its current month.
-- api
CREATE OR REPLACE FUNCTION billing.spending(
    p_tenant text, p_organization_id uuid, p_start timestamptz, p_end timestamptz, p_group_by text[],
    p_limit int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
    v_month text;
    v_start timestamptz;
    v_end timestamptz;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    v_month := to_char(billing.now() AT TIME ZONE o.timezone, 'YYYY-MM');
    v_start := coalesce(p_start, billing.day_start(to_date(v_month, 'YYYY-MM'), o.timezone));
    v_end := coalesce(p_end, billing.day_start(
        (to_date(v_month, 'YYYY-MM') + interval '1 month')::date, o.timezone));
    RETURN billing.outcome('found', json_build_object(
        'from', v_start,
        'to', v_end,
        'timezone', o.timezone,
        'version', billing.version_of(o.changed_at),
        'sums', billing.sum_spend(o.id, v_start, v_end, p_group_by, p_limit)));
END $$;

-- Spend of all organizations; without a period, of the current month in UTC.
-- api
CREATE OR REPLACE FUNCTION billing.platform_spending(
    p_tenant text, p_start timestamptz, p_end timestamptz, p_group_by text[], p_limit int
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    v_month timestamp := date_trunc('month', billing.now() AT TIME ZONE 'UTC');
    v_start timestamptz := coalesce(p_start, v_month AT TIME ZONE 'UTC');
    v_end timestamptz := coalesce(p_end, (v_month + interval '1 month') AT TIME ZONE 'UTC');
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM billing.set_tenant(p_tenant);
    RETURN billing.outcome('found', json_build_object(
        'from', v_start,
        'to', v_end,
        'sums', billing.sum_spend(NULL, v_start, v_end, p_group_by, p_limit)));
END $$;
