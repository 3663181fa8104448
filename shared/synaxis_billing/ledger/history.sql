-- The balance of an organization at the end of its days.

-- The closing balance of each local day from p_from until p_to (exclusive), no later than today, by default of the
-- last 30, with the number of the newest transaction; more days than p_most are not listed (NULL).
-- api
CREATE OR REPLACE FUNCTION billing.balance_history(
    p_tenant text, p_organization_id uuid, p_from date, p_to date, p_most int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
    v_tomorrow date;
    v_to date;
    v_from date;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    v_tomorrow := (billing.now() AT TIME ZONE o.timezone)::date + 1;
    v_to := least(p_to, v_tomorrow);
    v_from := coalesce(p_from, v_to - 30);
    RETURN billing.outcome('found', json_build_object(
        'timezone', o.timezone,
        'items', CASE WHEN v_to - v_from <= p_most THEN (
            SELECT coalesce(json_agg(json_build_object(
                'day', day,
                'balance_usd', coalesce(t.balance_after_usd, 0)::text,
                'version', coalesce(t.version, 0)) ORDER BY day), '[]')
            FROM generate_series(0, v_to - v_from - 1) AS number
            CROSS JOIN LATERAL (SELECT v_from + number) AS days (day)
            LEFT JOIN LATERAL (
                SELECT balance_after_usd, version FROM billing.credit_transactions
                WHERE organization_id = o.id AND created_at < billing.day_start(day + 1, o.timezone)
                ORDER BY created_at DESC LIMIT 1
            ) AS t ON true) END));
END $$;
