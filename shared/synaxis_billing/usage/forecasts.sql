-- Forecasts: the charged spend by local day that a forecast is made of, and the newest forecast of each
-- organization with the record of how its forecasts of one day came true.

-- The charged spend of each local day from the first one of at most p_days to yesterday, as text.
-- api helper
CREATE OR REPLACE FUNCTION billing.daily_spend(o billing.organizations, p_today date, p_days int) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        WITH days AS MATERIALIZED (
            SELECT (bucket_start AT TIME ZONE o.timezone)::date AS day, sum(amount_usd) AS amount_usd
            FROM billing.spend_rollups
            WHERE organization_id = o.id AND charged
                AND bucket_start >= billing.day_start(p_today - p_days, o.timezone)
                AND bucket_start < billing.day_start(p_today, o.timezone)
            GROUP BY 1
        )
        SELECT coalesce(json_agg(coalesce(amount_usd, 0)::text ORDER BY day), '[]')
        FROM (
            SELECT first + n AS day
            FROM (SELECT min(day) AS first FROM days) AS began
            CROSS JOIN LATERAL generate_series(0, p_today - 1 - first) AS n
        ) AS every
        LEFT JOIN days USING (day));
END $$;

-- The charged spend of all organizations on each of at most p_days days that have ended in every time zone, by day;
-- those of each organization are local.
-- api
CREATE OR REPLACE FUNCTION billing.platform_daily_spend(p_tenant text, p_days int) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := billing.now();
    -- Of the zones that are in use, the last to begin a day is twelve hours behind UTC.
    v_today date := (v_now - interval '12 hours') AT TIME ZONE 'UTC';
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM billing.set_tenant(p_tenant);
    RETURN billing.outcome('found', json_build_object('now', v_now, 'today', v_today, 'spent', (
        SELECT coalesce(json_object_agg(day, amount_usd::text), '{}')
        FROM (
            SELECT (r.bucket_start AT TIME ZONE o.timezone)::date AS day, sum(r.amount_usd) AS amount_usd
            FROM billing.organizations AS o JOIN billing.spend_rollups AS r ON r.organization_id = o.id
            WHERE r.charged AND r.bucket_start > v_today - p_days - 2 AND r.bucket_start < v_today + 1
            GROUP BY 1
        ) AS daily
        WHERE day >= v_today - p_days AND day < v_today)));
END $$;

-- The credit grants that can be spent until an instant, in burn-down order, with what is left of each: the open
-- ones, and those that follow in their schedules.
-- api helper
CREATE OR REPLACE FUNCTION billing.grants_ahead(
    o billing.organizations, p_now timestamptz, p_until timestamptz
) RETURNS billing.credit_grants[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_grants billing.credit_grants[] := '{}';
    g billing.credit_grants;
BEGIN
    FOREACH g IN ARRAY coalesce((billing.settled_credit(o, p_now)).grants, '{}') LOOP
        CONTINUE WHEN g.remaining_usd = 0 OR g.voided_at IS NOT NULL OR g.expires_at <= p_now;
        v_grants := v_grants || g;
        WHILE g.schedule_id IS NOT NULL AND NOT g.started AND g.effective_at <= p_until LOOP
            g := billing.next_grant(g, o.timezone);
            v_grants := v_grants || g;
        END LOOP;
    END LOOP;
    RETURN billing.in_burn_down_order(v_grants);
END $$;

-- What a forecast is made of and compared with: today in the time zone of the organization, the credit now
-- and the grants of the p_horizon days to come, the newest forecast, and, when that is not today's, the spend before today.
-- api
CREATE OR REPLACE FUNCTION billing.forecast_basis(
    p_tenant text, p_organization_id uuid, p_days int, p_horizon int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
    f billing.forecasts;
    v_now timestamptz := billing.now();
    v_today date;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    SELECT * INTO f FROM billing.forecasts WHERE organization_id = o.id;
    v_today := (v_now AT TIME ZONE o.timezone)::date;
    RETURN billing.outcome('found', json_build_object(
        'now', v_now,
        'today', v_today,
        'available_usd', billing.credit_of(o, v_now) ->> 'available_usd',
        'spent_today_usd', (
            SELECT coalesce(sum(amount_usd), 0)::text FROM billing.spend_rollups
            WHERE organization_id = o.id AND charged
                AND bucket_start >= billing.day_start(v_today, o.timezone)),
        'grants', (
            SELECT coalesce(json_agg(json_build_object(
                'grant_id', g.id,
                'amount_usd', g.remaining_usd::text,
                'starts', CASE WHEN NOT g.started THEN (g.effective_at AT TIME ZONE o.timezone)::date END,
                'ends', CASE WHEN g.expires_at < 'infinity'
                    THEN (g.expires_at AT TIME ZONE o.timezone)::date END,
                'expires_at', nullif(g.expires_at, 'infinity')) ORDER BY ordinality), '[]')
            FROM unnest(billing.grants_ahead(o, v_now, v_now + p_horizon * interval '1 day'))
                WITH ORDINALITY AS g),
        'alert_days', o.runs_out_alert_days,
        'stored', CASE WHEN f.organization_id IS NOT NULL THEN row_to_json(f) END,
        'history', CASE WHEN f.first_day IS DISTINCT FROM v_today
            THEN billing.daily_spend(o, v_today, p_days) END));
END $$;

-- Of the page of organizations after p_after, those whose newest forecast is not of their local day; and the
-- last id of the page, NULL for the last page. What never charged has nothing to forecast.
-- api
CREATE OR REPLACE FUNCTION billing.plan_forecasts(p_tenant text, p_after uuid, p_limit int) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := billing.now();
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM billing.set_tenant(p_tenant);
    RETURN billing.outcome('found', (
        SELECT json_build_object(
            'organization_ids', coalesce(json_agg(page.id ORDER BY page.id) FILTER (
                WHERE page.status <> 'closed' AND page.day_start > '-infinity'
                    AND page.first_day IS DISTINCT FROM (v_now AT TIME ZONE page.timezone)::date), '[]'),
            'last', CASE WHEN count(*) = p_limit THEN (array_agg(page.id ORDER BY page.id DESC))[1] END)
        FROM (
            SELECT o.id, o.status, o.day_start, o.timezone, f.first_day
            FROM billing.organizations AS o LEFT JOIN billing.forecasts AS f ON f.organization_id = o.id
            WHERE o.id > coalesce(p_after, '00000000-0000-0000-0000-000000000000') ORDER BY o.id LIMIT p_limit
        ) AS page));
END $$;

-- Store a forecast in place of one of an earlier day, and record when its run-out came near; a second run of
-- one day changes nothing. p_forecast has the columns of billing.forecasts, and p_runs_out the event.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.store_forecast(
    p_tenant text, p_organization_id uuid, p_forecast jsonb, p_runs_out jsonb
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    f billing.forecasts := jsonb_populate_record(NULL::billing.forecasts, p_forecast);
    v_came_near boolean;
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM set_config('billing.tenant', p_organization_id::text, true);
    INSERT INTO billing.forecasts AS stored
        (organization_id, first_day, made_at, history_days, runs_out, daily, totals, naive_error_usd, miss_rates,
        scaled_errors, covered, is_near)
    VALUES (p_organization_id, f.first_day, f.made_at, f.history_days, f.runs_out, f.daily, f.totals, f.naive_error_usd,
        f.miss_rates, f.scaled_errors, f.covered, f.is_near)
    ON CONFLICT (organization_id) DO UPDATE SET
        first_day = excluded.first_day,
        made_at = excluded.made_at,
        history_days = excluded.history_days,
        runs_out = excluded.runs_out,
        daily = excluded.daily,
        totals = excluded.totals,
        naive_error_usd = excluded.naive_error_usd,
        miss_rates = excluded.miss_rates,
        scaled_errors = excluded.scaled_errors,
        covered = excluded.covered,
        is_near = excluded.is_near
    WHERE stored.first_day <> excluded.first_day
    RETURNING new.is_near AND old.is_near IS NOT TRUE INTO v_came_near;
    IF v_came_near THEN
        PERFORM billing.record_event(p_organization_id, 'balance.runs_out', p_runs_out);
    END IF;
    RETURN billing.outcome('created', json_build_object('stored', v_came_near IS NOT NULL));
END $$;
