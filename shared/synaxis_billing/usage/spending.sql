-- The spending report: spend of a period by any mix of dimensions.

-- Spend of the half-open period, by any mix of dimensions, days and months being the organization's
-- local ones.
-- api
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
    v_month := date_trunc('month', billing.now() AT TIME ZONE o.timezone);
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
