-- Budgets: how much an organization, or a team, key, person, model or provider of it, may spend in a window. A
-- budget shows what its window contains now, also when nothing was counted since the one before ended.

-- A budget as it is now. An expired hold does not count, also when no statement has marked it yet.
-- api helper
CREATE OR REPLACE FUNCTION billing.budget_json(b billing.budgets) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT json_build_object(
            'id', b.id,
            'organization_id', b.organization_id,
            'subject', split_part(b.subject, ' ', 1),
            'subject_id', billing.subject_id(b.subject),
            'subject_name', CASE WHEN split_part(b.subject, ' ', 1) IN ('team', 'virtual_key') THEN billing.label_of(
                b.organization_id, split_part(b.subject, ' ', 1), billing.subject_id(b.subject)) END,
            'window', b.window_length,
            'limit_usd', b.limit_usd::text,
            'burst_usd', b.burst_usd::text,
            'mode', b.mode,
            'alert_percents', b.alert_percents,
            'spent_usd', spent_usd::text,
            'held_usd', live_usd::text,
            'remaining_usd', (coalesce(b.burst_usd, b.limit_usd) - spent_usd - live_usd)::text,
            'window_start', nullif(billing.window_start(b.window_length, o.timezone, n.at), '-infinity'),
            'resets_at', CASE WHEN n.at < b.window_end THEN billing.resets_at(b, n.at)
                ELSE billing.window_end(b.window_length, o.timezone, n.at) END,
            'created_at', b.created_at)
        FROM billing.now() AS n (at)
        CROSS JOIN billing.spent_at(b, n.at) AS s (spent_usd)
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(h.amount_usd), 0) AS live_usd FROM billing.holds AS h
            WHERE h.organization_id = b.organization_id AND h.status = 'held' AND h.expires_at > n.at
                AND b.id = ANY (h.budget_ids)
        ) AS held
        JOIN billing.organizations AS o ON o.id = b.organization_id);
END $$;

-- What a subject was charged from an instant on, less refunds. The rollups tell it of any subject but a person.
CREATE OR REPLACE FUNCTION billing.charged_since(
    o billing.organizations, p_subject text, p_start timestamptz
) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_charged_usd numeric;
BEGIN
    IF starts_with(p_subject, 'end_user ') THEN
        SELECT sum(-amount_usd) INTO v_charged_usd FROM billing.credit_transactions
        WHERE organization_id = o.id AND created_at >= p_start AND transaction_type = 'charge'
            AND end_user = billing.subject_id(p_subject);
    ELSE
        SELECT sum(s.amount_usd) INTO v_charged_usd
        FROM billing.spend_between(o.id, o.timezone, p_start, 'infinity') AS s
        WHERE s.charged
            AND p_subject = ANY (billing.subjects(s.team_id, s.virtual_key_id, NULL, s.model, s.provider));
    END IF;
    RETURN coalesce(v_charged_usd, 0) - coalesce((
        SELECT sum(r.refunded_usd) FROM billing.charge_refunds AS r
        CROSS JOIN LATERAL billing.transaction_by_id(r.organization_id, r.charge_id) AS c
        WHERE r.organization_id = o.id AND uuid_extract_timestamp(r.charge_id) >= p_start - interval '11 seconds'
            AND c.created_at >= p_start AND p_subject = ANY (
                billing.subjects(c.team_id, c.virtual_key_id, c.end_user, c.model, c.provider))), 0);
END $$;

-- Count a budget's window anew, at the organization's instant: it spans the present window of the
-- organization's time zone, and what the subject was charged in it. A rate counts from now on.
CREATE OR REPLACE FUNCTION billing.recounted(o billing.organizations, b billing.budgets)
RETURNS billing.budgets LANGUAGE plpgsql AS $$
BEGIN
    IF b.burst_usd IS NULL THEN
        b.window_start := billing.window_start(b.window_length, o.timezone, o.changed_at);
        b.window_end := billing.window_end(b.window_length, o.timezone, o.changed_at);
        b.spent_usd := billing.charged_since(o, b.subject, b.window_start);
        b.counted_at := o.changed_at;
    END IF;
    RETURN b;
END $$;

-- Write a budget back. What it has spent and holds may be more than its limit.
CREATE OR REPLACE FUNCTION billing.save_budget(b billing.budgets) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE billing.budgets SET limit_usd = b.limit_usd, burst_usd = b.burst_usd, mode = b.mode,
        alert_percents = b.alert_percents, next_percent = b.next_percent, window_start = b.window_start,
        window_end = b.window_end, spent_usd = b.spent_usd, counted_at = b.counted_at,
        ceiling_usd = b.spent_usd + b.held_usd
    WHERE organization_id = b.organization_id AND id = b.id;
END $$;

-- Create a budget. It counts what its window contains already, and the open holds.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.create_budget(p_tenant text, p_organization_id uuid, p_budget jsonb)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    b billing.budgets := jsonb_populate_record(NULL::billing.budgets, p_budget);
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    ELSIF EXISTS (SELECT FROM billing.budgets WHERE organization_id = o.id AND subject = b.subject
            AND window_length = b.window_length AND mode = b.mode) THEN
        RETURN billing.outcome('budget_exists');
    END IF;
    o := billing.expire_holds(o);
    b.id := billing.new_id(o.changed_at);
    b.organization_id := o.id;
    b.next_percent := b.alert_percents[1];
    b := billing.recounted(o, b);
    WITH open AS (
        UPDATE billing.holds AS h SET budget_ids = h.budget_ids || b.id
        WHERE h.organization_id = o.id AND h.status = 'held'
            AND b.subject = ANY (billing.subjects(h.team_id, h.virtual_key_id, h.end_user, h.model, h.provider))
        RETURNING h.amount_usd
    )
    SELECT coalesce(sum(amount_usd), 0) INTO b.held_usd FROM open;
    INSERT INTO billing.budgets (organization_id, id, subject, window_length, mode, limit_usd, burst_usd,
        alert_percents, next_percent, window_start, window_end, spent_usd, held_usd, ceiling_usd, counted_at,
        created_at)
    VALUES (o.id, b.id, b.subject, b.window_length, b.mode, b.limit_usd, b.burst_usd, b.alert_percents,
        b.next_percent, coalesce(b.window_start, '-infinity'), coalesce(b.window_end, 'infinity'),
        coalesce(b.spent_usd, 0), b.held_usd, coalesce(b.spent_usd, 0) + b.held_usd, o.changed_at, o.changed_at)
    RETURNING * INTO b;
    PERFORM billing.save_budget(b);
    o.budgeted := true;
    PERFORM billing.save_organization(o);
    RETURN billing.outcome('created', billing.budget_json(b));
END $$;

-- The refusal of a request about a budget that is not there.
-- api helper
CREATE OR REPLACE FUNCTION billing.no_budget(o billing.organizations) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT billing.outcome(CASE WHEN o.id IS NULL THEN 'organization_not_found' ELSE 'budget_not_found' END)
$$;

-- Change the fields of a budget that p_change contains. A percentage alerts once in a window, whatever the
-- limit becomes.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.update_budget(
    p_tenant text, p_organization_id uuid, p_budget_id uuid, p_change jsonb
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    b billing.budgets;
    v_alerted int;
BEGIN
    SELECT * INTO b FROM billing.budgets WHERE organization_id = o.id AND id = p_budget_id;
    IF NOT FOUND THEN
        RETURN billing.no_budget(o);
    END IF;
    o := billing.expire_holds(o);
    PERFORM billing.roll_budgets(o, ARRAY[b.subject]);
    SELECT * INTO b FROM billing.budgets WHERE organization_id = o.id AND id = p_budget_id;
    IF b.burst_usd IS NULL AND p_change -> 'burst_usd' IS NOT NULL THEN
        RETURN billing.invalid_state('Only a budget whose window is a rate has burst_usd.');
    ELSIF b.burst_usd IS NOT NULL AND (p_change ->> 'limit_usd')::numeric = 0 THEN
        RETURN billing.invalid_state('The limit_usd of a rate must be greater than zero.');
    ELSIF p_change ->> 'mode' <> b.mode::text AND EXISTS (
        SELECT FROM billing.budgets WHERE organization_id = o.id AND subject = b.subject
            AND window_length = b.window_length AND id <> b.id) THEN
        RETURN billing.outcome('budget_exists');
    END IF;
    v_alerted := (SELECT max(p) FROM unnest(b.alert_percents) AS p WHERE (p < b.next_percent) IS NOT FALSE);
    b := jsonb_populate_record(b, p_change);
    b.next_percent := (SELECT min(p) FROM unnest(b.alert_percents) AS p WHERE (p <= v_alerted) IS NOT TRUE);
    PERFORM billing.save_budget(b);
    PERFORM billing.save_organization(o);
    RETURN billing.outcome('found', billing.budget_json(b));
END $$;

-- Delete a budget, and return it as it was.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.delete_budget(p_tenant text, p_organization_id uuid, p_budget_id uuid)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    b billing.budgets;
BEGIN
    DELETE FROM billing.budgets WHERE organization_id = o.id AND id = p_budget_id RETURNING * INTO b;
    IF NOT FOUND THEN
        RETURN billing.no_budget(o);
    END IF;
    o := billing.expire_holds(o);
    o.budgeted := EXISTS (SELECT FROM billing.budgets WHERE organization_id = o.id);
    PERFORM billing.save_organization(o);
    RETURN billing.outcome('found', billing.budget_json(b));
END $$;

-- api
CREATE OR REPLACE FUNCTION billing.budget(p_tenant text, p_organization_id uuid, p_budget_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
    b billing.budgets;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    SELECT * INTO b FROM billing.budgets WHERE organization_id = o.id AND id = p_budget_id;
    IF NOT FOUND THEN
        RETURN billing.no_budget(o);
    END IF;
    RETURN billing.outcome('found', billing.budget_json(b));
END $$;

-- List budgets, newest first, before an instant (exclusive) at which an earlier page ended.
-- api
CREATE OR REPLACE FUNCTION billing.budgets(
    p_tenant text, p_organization_id uuid, p_before timestamptz, p_since timestamptz, p_limit int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(billing.budget_json(ROW(b.*)::billing.budgets) ORDER BY b.created_at DESC), '[]')
        FROM (
            SELECT * FROM billing.budgets
            WHERE organization_id = p_organization_id
                AND created_at < coalesce(p_before, 'infinity') AND created_at >= coalesce(p_since, '-infinity')
            ORDER BY CASE WHEN p_since IS NULL THEN created_at END DESC, created_at LIMIT p_limit
        ) AS b));
END $$;

-- Count every calendar window of an organization anew, after its time zone has changed.
CREATE OR REPLACE FUNCTION billing.recount_budgets(o billing.organizations) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    b billing.budgets;
BEGIN
    IF o.budgeted THEN
        FOR b IN SELECT * FROM billing.budgets WHERE organization_id = o.id
            AND window_length IN ('day', 'week', 'month') LOOP
            PERFORM billing.save_budget(billing.recounted(o, b));
        END LOOP;
    END IF;
END $$;

-- The budgets of persons, of all or of one; NULL when there are none.
CREATE OR REPLACE FUNCTION billing.personal_budgets(p_organization_id uuid, p_end_user text) RETURNS uuid[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT array_agg(id) FROM billing.budgets
        WHERE organization_id = p_organization_id AND starts_with(subject, 'end_user ')
            AND (p_end_user IS NULL OR subject = 'end_user ' || p_end_user));
END $$;

CREATE OR REPLACE FUNCTION billing.erase_budgets(o billing.organizations, p_end_user text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM billing.budgets
    WHERE organization_id = o.id AND id = ANY (billing.personal_budgets(o.id, p_end_user));
    o.budgeted := EXISTS (SELECT FROM billing.budgets WHERE organization_id = o.id);
    PERFORM billing.save_organization(o);
END $$;
