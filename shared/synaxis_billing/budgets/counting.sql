-- Counting in budgets: what the calls of the ledger do to the budgets of their subjects. Callers hold the
-- organization's row lock and save its clock, so no two count at once and none counts before another.

-- The subjects of a call, as budgets name theirs.
-- api helper
CREATE OR REPLACE FUNCTION billing.subjects(
    p_team_id text, p_virtual_key_id text, p_end_user text, p_model text, p_provider text
) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY['organization', 'team ' || p_team_id, 'virtual_key ' || p_virtual_key_id,
        'end_user ' || p_end_user, 'model ' || p_model, 'provider ' || p_provider]
$$;

CREATE OR REPLACE FUNCTION billing.subjects_of(u billing.usage_request) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT billing.subjects(u.team_id, u.virtual_key_id, u.end_user, u.model, u.provider)
$$;

-- The calendar window of an instant in a time zone. A lifetime has no bounds, and a rate has no window.
-- api helper
CREATE OR REPLACE FUNCTION billing.window_start(
    p_window billing.budget_window, p_timezone text, p_at timestamptz
) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_window IN ('lifetime', 'rate') THEN '-infinity'
        ELSE billing.day_start(date_trunc(p_window::text, p_at AT TIME ZONE p_timezone)::date, p_timezone) END
$$;

-- api helper
CREATE OR REPLACE FUNCTION billing.window_end(
    p_window billing.budget_window, p_timezone text, p_at timestamptz
) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_window IN ('lifetime', 'rate') THEN 'infinity'
        ELSE billing.day_start((date_trunc(p_window::text, p_at AT TIME ZONE p_timezone)
            + ('1 ' || p_window)::interval)::date, p_timezone) END
$$;

-- What a budget has spent as of an instant: nothing when its window has ended; the level of a rate falls by
-- its limit each hour.
-- api helper
CREATE OR REPLACE FUNCTION billing.spent_at(b billing.budgets, p_at timestamptz) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN p_at >= b.window_end THEN 0 ELSE billing.level(b, p_at) END $$;

-- The same in a window that has not ended.
-- api helper
CREATE OR REPLACE FUNCTION billing.level(b billing.budgets, p_at timestamptz) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN b.burst_usd IS NULL THEN b.spent_usd
        ELSE billing.level_of_rate(b.spent_usd, b.limit_usd, b.counted_at, p_at) END
$$;

-- The level of a rate. It is not SQL, which would become a part of each statement about budgets, and be started with it.
-- api helper
CREATE OR REPLACE FUNCTION billing.level_of_rate(
    p_spent_usd numeric, p_limit_usd numeric, p_counted_at timestamptz, p_at timestamptz
) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN round(greatest(
        p_spent_usd - p_limit_usd * greatest(extract(epoch FROM p_at - p_counted_at), 0) / 3600, 0), 8);
END $$;

-- Whether a budget's window has ended before an instant. A rate's ends when its level is zero, which matters
-- only after an alert.
CREATE OR REPLACE FUNCTION billing.window_ended(b billing.budgets, p_at timestamptz) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT p_at >= b.window_end OR b.burst_usd IS NOT NULL
        AND (b.exceeded OR b.next_percent IS DISTINCT FROM b.alert_percents[1]) AND billing.level(b, p_at) = 0
$$;

-- Whether a hard budget refuses an amount. What costs nothing is not refused.
CREATE OR REPLACE FUNCTION billing.exceeds_limit(b billing.budgets, p_amount_usd numeric, p_at timestamptz)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_amount_usd > 0 AND b.mode = 'hard'
        AND billing.spent_at(b, p_at) + b.held_usd + p_amount_usd > coalesce(b.burst_usd, b.limit_usd)
$$;

-- Whether a budget may count an amount as it is: it does not refuse it, its window does not have to be rolled over
-- first, and no alert is due after it.
CREATE OR REPLACE FUNCTION billing.fits(b billing.budgets, p_amount_usd numeric, p_at timestamptz) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT NOT billing.window_ended(b, p_at)
        AND coalesce(billing.level(b, p_at) + p_amount_usd < least(
            CASE b.mode WHEN 'hard' THEN coalesce(b.burst_usd, b.limit_usd) - b.held_usd END,
            coalesce(b.burst_usd, b.limit_usd) * b.next_percent * 0.01), true)
$$;

-- Whether every budget of a call may count its amount as it is.
CREATE OR REPLACE FUNCTION billing.budgets_fit(
    p_organization_id uuid, u billing.usage_request, p_at timestamptz
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN NOT EXISTS (
        SELECT FROM billing.budgets AS b
        WHERE b.organization_id = p_organization_id AND b.subject = ANY (billing.subjects_of(u))
            AND NOT billing.fits(ROW(b.*)::billing.budgets, u.amount_usd, p_at));
END $$;

-- Count a new charge in the budgets of its subjects, and say whether it fits all of them; if not, count nothing.
CREATE OR REPLACE FUNCTION billing.count_charge(
    p_organization_id uuid, u billing.usage_request, p_at timestamptz
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE billing.budgets AS b SET counted_at = p_at,
        spent_usd = CASE WHEN billing.fits(ROW(b.*)::billing.budgets, u.amount_usd, p_at)
            THEN billing.level(ROW(b.*)::billing.budgets, p_at) + u.amount_usd
            ELSE billing.does_not_fit(b.id) END
    WHERE b.organization_id = p_organization_id AND b.subject = ANY (billing.subjects_of(u));
    RETURN true;
EXCEPTION WHEN SQLSTATE 'SB409' THEN
    RETURN false;
END $$;

-- End the statement in which a budget does not fit. PostgreSQL calls it for a row, not when it plans.
CREATE OR REPLACE FUNCTION billing.does_not_fit(p_budget_id uuid) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RAISE EXCEPTION 'the budget % does not fit', p_budget_id USING ERRCODE = 'SB409';
END $$;

-- Whether an amount is the next percentage that a budget alerts of.
CREATE OR REPLACE FUNCTION billing.reaches_percent(b billing.budgets, p_spent_usd numeric) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT p_spent_usd * 100 >= b.next_percent * coalesce(b.burst_usd, b.limit_usd)
$$;

-- Bring the budgets of some subjects to an instant: roll windows over that have ended, and let the levels of
-- rates fall.
CREATE OR REPLACE FUNCTION billing.roll_budgets(o billing.organizations, p_subjects text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    b billing.budgets;
    v_ended boolean;
BEGIN
    FOR b IN
        SELECT * FROM billing.budgets WHERE organization_id = o.id AND subject = ANY (p_subjects)
            AND (burst_usd IS NOT NULL OR window_end <= o.changed_at)
    LOOP
        v_ended := billing.window_ended(b, o.changed_at);
        b.spent_usd := billing.spent_at(b, o.changed_at);
        b.window_start := billing.window_start(b.window_length, o.timezone, o.changed_at);
        b.window_end := billing.window_end(b.window_length, o.timezone, o.changed_at);
        IF v_ended THEN
            b.ceiling_usd := b.held_usd;
            b.next_percent := b.alert_percents[1];
            b.exceeded := false;
        END IF;
        UPDATE billing.budgets SET spent_usd = b.spent_usd, counted_at = o.changed_at, ceiling_usd = b.ceiling_usd,
            window_start = b.window_start, window_end = b.window_end, next_percent = b.next_percent,
            exceeded = b.exceeded
        WHERE organization_id = o.id AND id = b.id;
    END LOOP;
END $$;

-- Whether a budget may refuse a request as long as expired holds count.
CREATE OR REPLACE FUNCTION billing.exceeds_budget(o billing.organizations, u billing.usage_request)
RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT o.budgeted AND NOT billing.budgets_fit(o.id, u, o.changed_at)
$$;

-- The refusal of a request by the first of its hard budgets that does not cover it, with its event when it is
-- the first of the window; NULL when all do. Expired holds are cleared.
CREATE OR REPLACE FUNCTION billing.budget_exceeded(o billing.organizations, u billing.usage_request)
RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    v_subjects text[];
    b billing.budgets;
BEGIN
    IF NOT o.budgeted THEN
        RETURN NULL;
    END IF;
    v_subjects := billing.subjects_of(u);
    PERFORM billing.roll_budgets(o, v_subjects);
    SELECT * INTO b FROM billing.budgets AS e
    WHERE e.organization_id = o.id AND e.subject = ANY (v_subjects)
        AND billing.exceeds_limit(ROW(e.*)::billing.budgets, u.amount_usd, o.changed_at)
    ORDER BY e.created_at LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF NOT b.exceeded THEN
        PERFORM billing.record_event(o.id, 'budget.exceeded', billing.budget_facts(b, o.changed_at)
            || jsonb_build_object('required_usd', u.amount_usd::text));
        UPDATE billing.budgets SET exceeded = true WHERE organization_id = o.id AND id = b.id;
    END IF;
    RETURN billing.outcome('budget_exceeded', json_build_object(
        'budget_id', b.id,
        'subject', split_part(b.subject, ' ', 1),
        'subject_id', billing.subject_id(b.subject),
        'limit_usd', coalesce(b.burst_usd, b.limit_usd)::text,
        'spent_usd', b.spent_usd::text,
        'held_usd', b.held_usd::text,
        'required_usd', u.amount_usd::text,
        'resets_at', billing.resets_at(b, o.changed_at)));
END $$;

-- Count a charge that no budget may refuse any more, and alert. What a capture, or usage that was charged later,
-- takes over a limit stays visible in the budget.
CREATE OR REPLACE FUNCTION billing.count_transaction(
    o billing.organizations, t billing.credit_transactions, p_over_limit boolean
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_subjects text[];
    v_due boolean;
BEGIN
    IF NOT o.budgeted THEN
        RETURN;
    END IF;
    v_subjects := billing.subjects(t.team_id, t.virtual_key_id, t.end_user, t.model, t.provider);
    PERFORM billing.roll_budgets(o, v_subjects);
    UPDATE billing.budgets AS b SET
        spent_usd = b.spent_usd - t.amount_usd, counted_at = o.changed_at,
        ceiling_usd = CASE WHEN p_over_limit
            THEN greatest(b.ceiling_usd, b.spent_usd - t.amount_usd + b.held_usd) ELSE b.ceiling_usd END
    WHERE b.organization_id = o.id AND b.subject = ANY (v_subjects);
    SELECT bool_or(billing.reaches_percent(ROW(b.*)::billing.budgets, b.spent_usd)) INTO v_due
    FROM billing.budgets AS b WHERE b.organization_id = o.id AND b.subject = ANY (v_subjects);
    IF v_due THEN
        PERFORM billing.alert_budgets(o.id, o.changed_at);
    END IF;
END $$;

-- Record an event for each percentage that a budget has spent, once in its window.
CREATE OR REPLACE FUNCTION billing.alert_budgets(p_organization_id uuid, p_at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    b billing.budgets;
    v_percent int;
BEGIN
    FOR b IN
        SELECT * FROM billing.budgets AS d
        WHERE d.organization_id = p_organization_id AND p_at < d.window_end
            AND billing.reaches_percent(ROW(d.*)::billing.budgets, d.spent_usd)
        ORDER BY d.created_at
    LOOP
        FOREACH v_percent IN ARRAY b.alert_percents LOOP
            CONTINUE WHEN v_percent < b.next_percent;
            EXIT WHEN b.spent_usd * 100 < v_percent * coalesce(b.burst_usd, b.limit_usd);
            PERFORM billing.record_event(p_organization_id, 'budget.alert',
                billing.budget_facts(b, p_at) || jsonb_build_object('percent', v_percent));
        END LOOP;
        b.next_percent := (
            SELECT min(p) FROM unnest(b.alert_percents) AS p
            WHERE b.spent_usd * 100 < p * coalesce(b.burst_usd, b.limit_usd) AND p >= b.next_percent);
        UPDATE billing.budgets SET next_percent = b.next_percent
        WHERE organization_id = p_organization_id AND id = b.id;
    END LOOP;
END $$;

-- What events tell of a budget. The id of a person would stay in an event after an erasure, so
-- there is none.
CREATE OR REPLACE FUNCTION billing.budget_facts(b billing.budgets, p_at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'budget_id', b.id,
        'subject', split_part(b.subject, ' ', 1),
        'window', b.window_length,
        'mode', b.mode,
        'limit_usd', coalesce(b.burst_usd, b.limit_usd)::text,
        'spent_usd', billing.spent_at(b, p_at)::numeric(28, 8)::text,
        'held_usd', b.held_usd::text,
        'resets_at', billing.resets_at(b, p_at))
$$;

-- The end of a budget's window; of a rate, when its level will be zero. NULL when there is none.
-- api helper
CREATE OR REPLACE FUNCTION billing.resets_at(b billing.budgets, p_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN b.burst_usd IS NULL THEN nullif(b.window_end, 'infinity')
        -- An interval ends somewhere: in a hundred years is never.
        WHEN billing.spent_at(b, p_at) < b.limit_usd * 876000
        THEN p_at + make_interval(secs => (nullif(billing.spent_at(b, p_at), 0) / b.limit_usd * 3600)::float8) END
$$;

-- The id of a budget's subject, NULL for the organization itself.
-- api helper
CREATE OR REPLACE FUNCTION billing.subject_id(p_subject text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT nullif(substr(p_subject, length(split_part(p_subject, ' ', 1)) + 2), '')
$$;

-- Hold an amount in the budgets of a request, and return their ids; NULL when there are none.
CREATE OR REPLACE FUNCTION billing.hold_in_budgets(o billing.organizations, u billing.usage_request)
RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    v_ids uuid[];
BEGIN
    IF o.budgeted THEN
        SELECT array_agg(id) INTO v_ids FROM billing.budgets
        WHERE organization_id = o.id AND subject = ANY (billing.subjects_of(u));
        PERFORM billing.change_held(o.id, v_ids, u.amount_usd);
    END IF;
    RETURN v_ids;
END $$;

-- Hold more or less in the budgets that count a hold.
CREATE OR REPLACE FUNCTION billing.change_held(p_organization_id uuid, p_budget_ids uuid[], p_change_usd numeric)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_budget_ids IS NOT NULL AND p_change_usd <> 0 THEN
        UPDATE billing.budgets SET held_usd = held_usd + p_change_usd
        WHERE organization_id = p_organization_id AND id = ANY (p_budget_ids);
    END IF;
END $$;

-- Take a refund back out of the budgets whose open window counts the charge. A rate has none.
CREATE OR REPLACE FUNCTION billing.refund_in_budgets(
    o billing.organizations, c billing.credit_transactions, p_amount_usd numeric
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF o.budgeted THEN
        UPDATE billing.budgets AS b SET spent_usd = b.spent_usd - p_amount_usd
        WHERE b.organization_id = o.id AND b.burst_usd IS NULL
            AND b.subject = ANY (billing.subjects(c.team_id, c.virtual_key_id, c.end_user, c.model, c.provider))
            AND c.created_at >= b.window_start AND o.changed_at < b.window_end;
    END IF;
END $$;
