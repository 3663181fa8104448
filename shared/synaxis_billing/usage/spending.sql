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

-- Spend of an organization in the half-open period with its hours, which no rollup has.
-- api helper
CREATE OR REPLACE FUNCTION billing.hourly_spend(
    p_organization_id uuid, p_timezone text, p_start timestamptz, p_end timestamptz
) RETURNS TABLE (
    hour timestamptz, local_day date, model text, provider text, team_id text, virtual_key_id text, region text,
    charged boolean, amount_usd numeric, tokens bigint, requests bigint, input_tokens bigint,
    cached_tokens bigint, output_tokens bigint, cost_usd numeric, margin_usd numeric
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT date_trunc('hour', s.created_at, p_timezone), (s.created_at AT TIME ZONE p_timezone)::date, s.model,
        s.provider, s.team_id, s.virtual_key_id, s.region, s.transaction_id IS NOT NULL, s.amount_usd,
        coalesce(s.tokens, 0), 1::bigint, coalesce(billing.tokens_of(s.usage, 'input'), 0),
        coalesce(billing.tokens_of(s.usage, 'cached'), 0), coalesce(billing.tokens_of(s.usage, 'output'), 0),
        coalesce(s.cost_usd, 0), coalesce(s.amount_usd - s.cost_usd, 0)
    FROM billing.spend_logs AS s
    WHERE organization_id = p_organization_id AND created_at >= p_start AND created_at < p_end;
END $$;

-- Spend of an organization, or of all (NULL), in the half-open period, by what p_group_by asks of time.
-- api helper
CREATE OR REPLACE FUNCTION billing.spend_of(
    p_organization_id uuid, p_start timestamptz, p_end timestamptz, p_group_by text[]
) RETURNS TABLE (
    organization_id uuid, hour timestamptz, local_day date, model text, provider text, team_id text,
    virtual_key_id text, region text, charged boolean, amount_usd numeric, tokens bigint, requests bigint,
    input_tokens bigint, cached_tokens bigint, output_tokens bigint, cost_usd numeric, margin_usd numeric
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_timezone text;
BEGIN
    IF p_organization_id IS NULL THEN
        RETURN QUERY SELECT s.organization_id, NULL::timestamptz, s.local_day, s.model, s.provider, s.team_id,
            s.virtual_key_id, s.region, s.charged, s.amount_usd, s.tokens, s.requests, s.input_tokens,
            s.cached_tokens, s.output_tokens, s.cost_usd, s.margin_usd
        FROM billing.platform_spend(p_start, p_end, p_group_by && ARRAY['day', 'month']) AS s;
        RETURN;
    END IF;
    SELECT o.timezone INTO v_timezone FROM billing.organizations AS o WHERE o.id = p_organization_id;
    IF 'hour' = ANY (p_group_by) THEN
        RETURN QUERY SELECT p_organization_id, s.*
            FROM billing.hourly_spend(p_organization_id, v_timezone, p_start, p_end) AS s;
    ELSE
        RETURN QUERY SELECT p_organization_id, NULL::timestamptz, s.*
            FROM billing.spend_between(p_organization_id, v_timezone, p_start, p_end) AS s;
    END IF;
END $$;

-- Spend by any mix of dimensions, of the calls that have every field of p_filter. Of the mixes without their
-- times, the p_top with the most spend over the whole period (NULL: all) are groups; the rest are others,
-- summed by their times.
-- api helper
CREATE OR REPLACE FUNCTION billing.grouped_spend(
    p_organization_id uuid, p_start timestamptz, p_end timestamptz, p_group_by text[], p_filter jsonb, p_top int
) RETURNS TABLE (
    other boolean, month text, day text, hour timestamptz, organization_id uuid, model text, provider text,
    team_id text, virtual_key_id text, region text, amount_usd numeric, tokens numeric, requests numeric,
    input_tokens numeric, cached_tokens numeric, output_tokens numeric, cost_usd numeric, margin_usd numeric
) LANGUAGE sql STABLE AS $$
    WITH groups AS (
        SELECT
            CASE WHEN 'month' = ANY (p_group_by) THEN to_char(s.local_day, 'YYYY-MM') END AS month,
            CASE WHEN 'day' = ANY (p_group_by) THEN to_char(s.local_day, 'YYYY-MM-DD') END AS day,
            s.hour,
            CASE WHEN 'organization_id' = ANY (p_group_by) THEN s.organization_id END AS organization_id,
            CASE WHEN 'model' = ANY (p_group_by) THEN s.model END AS model,
            CASE WHEN 'provider' = ANY (p_group_by) THEN s.provider END AS provider,
            CASE WHEN 'team_id' = ANY (p_group_by) THEN s.team_id END AS team_id,
            CASE WHEN 'virtual_key_id' = ANY (p_group_by) THEN s.virtual_key_id END AS virtual_key_id,
            CASE WHEN 'region' = ANY (p_group_by) THEN s.region END AS region,
            sum(s.amount_usd) AS amount_usd, sum(s.tokens) AS tokens, sum(s.requests) AS requests,
            sum(s.input_tokens) AS input_tokens, sum(s.cached_tokens) AS cached_tokens,
            sum(s.output_tokens) AS output_tokens, sum(s.cost_usd) AS cost_usd, sum(s.margin_usd) AS margin_usd
        FROM billing.spend_of(p_organization_id, p_start, p_end, p_group_by) AS s
        WHERE p_filter = '{}' OR p_filter <@ jsonb_build_object('model', s.model, 'provider', s.provider,
            'team_id', s.team_id, 'virtual_key_id', s.virtual_key_id)
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ), weighed AS (
        SELECT g.*, sum(g.amount_usd) OVER (PARTITION BY g.organization_id, g.model, g.provider, g.team_id,
            g.virtual_key_id, g.region) AS weight
        FROM groups AS g WHERE p_top IS NOT NULL
    ), ranked AS (
        SELECT w.*, dense_rank() OVER (ORDER BY w.weight DESC, w.organization_id, w.model, w.provider,
            w.team_id, w.virtual_key_id, w.region) AS place
        FROM weighed AS w
    )
    SELECT false, g.* FROM groups AS g WHERE p_top IS NULL
    UNION ALL
    SELECT false, month, day, hour, organization_id, model, provider, team_id, virtual_key_id, region, amount_usd,
        tokens, requests, input_tokens, cached_tokens, output_tokens, cost_usd, margin_usd
    FROM ranked WHERE place <= p_top
    UNION ALL
    SELECT true, month, day, hour, NULL, NULL, NULL, NULL, NULL, NULL, sum(amount_usd), sum(tokens),
        sum(requests), sum(input_tokens), sum(cached_tokens), sum(output_tokens), sum(cost_usd), sum(margin_usd)
    FROM ranked WHERE place > p_top GROUP BY 2, 3, 4
$$;

-- The report of billing.grouped_spend(). More groups than p_limit are only counted.
-- api helper
CREATE OR REPLACE FUNCTION billing.sum_spend(
    p_organization_id uuid, p_start timestamptz, p_end timestamptz, p_group_by text[], p_filter jsonb, p_top int,
    p_limit int
) RETURNS json LANGUAGE sql STABLE AS $$
    WITH groups AS MATERIALIZED (
        SELECT * FROM billing.grouped_spend(p_organization_id, p_start, p_end, p_group_by, p_filter, p_top)
    ), counted AS (
        SELECT count(*) AS groups, sum(amount_usd) AS amount_usd, sum(tokens) AS tokens,
            sum(requests) AS requests, sum(input_tokens) AS input_tokens,
            sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
            sum(cost_usd) AS cost_usd, sum(margin_usd) AS margin_usd
        FROM groups
    ), listed AS (
        SELECT g.other, json_agg(jsonb_build_object('day', g.day, 'month', g.month, 'hour', g.hour,
                'organization_id', g.organization_id, 'model', g.model, 'provider', g.provider,
                'team_id', g.team_id, 'virtual_key_id', g.virtual_key_id, 'region', g.region,
                'team_name', billing.label_of(coalesce(p_organization_id, g.organization_id), 'team', g.team_id),
                'virtual_key_name', billing.label_of(
                    coalesce(p_organization_id, g.organization_id), 'virtual_key', g.virtual_key_id))
            || billing.sums_json(g.amount_usd, g.tokens, g.requests, g.input_tokens, g.cached_tokens,
                g.output_tokens, g.cost_usd, g.margin_usd)
            ORDER BY g.month, g.day, g.hour, g.amount_usd DESC, g.organization_id, g.model, g.provider, g.team_id,
                g.virtual_key_id, g.region) AS items
        FROM groups AS g JOIN counted AS c ON c.groups <= p_limit GROUP BY g.other
    )
    SELECT json_build_object(
        'groups', c.groups,
        'items', coalesce((SELECT items FROM listed WHERE NOT other), '[]'),
        'others', coalesce((SELECT items FROM listed WHERE other), '[]'),
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
    p_filter jsonb, p_top int, p_limit int
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
        'sums', billing.sum_spend(o.id, v_start, v_end, p_group_by, p_filter, p_top, p_limit)));
END $$;

-- Spend of all organizations; without a period, of the current month in UTC.
-- api
CREATE OR REPLACE FUNCTION billing.platform_spending(
    p_tenant text, p_start timestamptz, p_end timestamptz, p_group_by text[], p_filter jsonb,
    p_top int, p_limit int
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
        'sums', billing.sum_spend(NULL, v_start, v_end, p_group_by, p_filter, p_top, p_limit)));
END $$;
