-- The platform's list of its organizations, each with its credit, its spend and its run-out.

-- What an organization was charged in its last seven local days, today included.
-- api helper
CREATE OR REPLACE FUNCTION billing.charged_lately(o billing.organizations, p_now timestamptz) RETURNS numeric
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(sum(r.amount_usd), 0) FROM billing.spend_rollups AS r
        WHERE r.organization_id = o.id AND r.bucket_start > p_now - interval '9 days' AND r.charged
            AND (r.bucket_start AT TIME ZONE o.timezone)::date > (p_now AT TIME ZONE o.timezone)::date - 7);
END $$;

-- An organization in the platform's lists.
-- api helper
CREATE OR REPLACE FUNCTION billing.listed_organization(o billing.organizations, p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN billing.organization_json(o)::jsonb || billing.credit_of(o, p_now)::jsonb || jsonb_build_object(
        'spent_7_days_usd', billing.charged_lately(o, p_now)::text,
        'runs_out', (SELECT f.runs_out FROM billing.forecasts AS f WHERE f.organization_id = o.id));
END $$;

-- Whether an organization has the status, and a name that contains p_name.
-- api helper
CREATE OR REPLACE FUNCTION billing.is_listed(o billing.organizations, p_name text, p_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT (p_name IS NULL OR strpos(lower(o.name), lower(p_name)) > 0)
        AND (p_status IS NULL OR o.status = p_status::billing.organization_status)
$$;

-- List the platform's organizations by p_sort: those that run out first, that have the least balance, or that
-- spent the most in seven days; after p_after of them. With the first page come the totals of all.
-- api
CREATE OR REPLACE FUNCTION billing.organizations_by(
    p_tenant text, p_sort text, p_name text, p_status text, p_after int, p_limit int
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := billing.now();
    v_value json;
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM billing.set_tenant(p_tenant);
    WITH listed AS MATERIALIZED (
        SELECT ROW(r.*)::billing.organizations AS o, spent.usd AS spent_usd, f.runs_out
        FROM billing.organizations AS r
        LEFT JOIN billing.forecasts AS f ON f.organization_id = r.id
        -- As billing.charged_lately() has it, of the newest rollups of each: all of them are many.
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount_usd), 0) AS usd FROM billing.spend_rollups
            WHERE organization_id = r.id AND bucket_start > v_now - interval '9 days' AND charged
                AND (bucket_start AT TIME ZONE r.timezone)::date > (v_now AT TIME ZONE r.timezone)::date - 7
        ) AS spent
        WHERE billing.is_listed(ROW(r.*)::billing.organizations, p_name, p_status)
    ), page AS (
        SELECT o, row_number() OVER () AS place FROM (
            SELECT o FROM listed
            ORDER BY CASE WHEN p_sort = 'runs_out' THEN runs_out END,
                CASE p_sort WHEN 'balance' THEN (o).balance_usd WHEN 'spent' THEN -spent_usd END, (o).id
            OFFSET p_after LIMIT p_limit) AS sorted
    )
    SELECT json_build_object(
        'items', (SELECT coalesce(json_agg(billing.listed_organization(o, v_now) ORDER BY place), '[]') FROM page),
        'totals', CASE WHEN p_after = 0 THEN (
            SELECT json_build_object('organizations', count(*),
                'balance_usd', coalesce(sum((o).balance_usd), 0)::text,
                'debt_usd', coalesce(-sum((o).balance_usd) FILTER (WHERE (o).balance_usd < 0), 0)::text,
                'spent_7_days_usd', coalesce(sum(spent_usd), 0)::text)
            FROM listed) END)
    INTO v_value;
    RETURN billing.outcome('found', v_value);
END $$;

-- List the platform's organizations, newest first, before an instant (exclusive), each with its balance: the
-- first p_limit with this external id, or with p_status and a name that contains p_name, among the newest p_scan, and the time
-- that the page reached, NULL at the end. Those of one instant come on one page.
-- api
CREATE OR REPLACE FUNCTION billing.organizations_page(
    p_tenant text, p_external_id text, p_name text, p_status text, p_before timestamptz, p_since timestamptz,
    p_limit int, p_scan int
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := billing.now();
    v_value json;
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM billing.set_tenant(p_tenant);
    WITH scanned AS MATERIALIZED (
        SELECT ROW(r.*)::billing.organizations AS o FROM billing.organizations AS r
        WHERE created_at < coalesce(p_before, 'infinity') AND created_at >= coalesce(p_since, '-infinity')
            AND (p_external_id IS NULL OR id = ANY (ARRAY(
            SELECT organization_id FROM billing.external_ids WHERE external_id = p_external_id)))
        ORDER BY CASE WHEN p_since IS NULL THEN created_at END DESC, created_at FETCH FIRST p_scan ROWS WITH TIES
    ), found AS (
        SELECT o FROM scanned WHERE billing.is_listed(o, p_name, p_status)
        ORDER BY CASE WHEN p_since IS NULL THEN (o).created_at END DESC, (o).created_at
        FETCH FIRST p_limit ROWS WITH TIES
    )
    SELECT json_build_object(
        'items', (SELECT coalesce(json_agg(billing.listed_organization(o, v_now) ORDER BY (o).created_at DESC, (o).id DESC), '[]') FROM found),
        'reached', coalesce(
            (SELECT CASE WHEN p_since IS NULL THEN min((o).created_at) ELSE max((o).created_at) END FROM found
                HAVING count(*) >= p_limit AND CASE WHEN p_since IS NULL
                    THEN min((o).created_at) > (SELECT min((o).created_at) FROM scanned)
                    ELSE max((o).created_at) < (SELECT max((o).created_at) FROM scanned) END),
            (SELECT CASE WHEN p_since IS NULL THEN min((o).created_at) ELSE max((o).created_at) END FROM scanned
                HAVING count(*) >= p_scan)))
    INTO v_value;
    RETURN billing.outcome('found', v_value);
END $$;
