-- Month end: bill each organization's local month once. Months leave no gap where a time zone changed; a
-- failure of one organization does not affect the others.

-- Plan a month for the page of organizations after p_after: those that failed before are pending again.
-- Return the ids that are not billed yet, and the last id of the page, NULL for the last page.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.plan_month_end(
    p_tenant text, p_month text, p_after uuid, p_limit int
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
    v_ids uuid[];
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM billing.set_tenant(p_tenant);
    SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO v_ids FROM (
        SELECT id FROM billing.organizations
        WHERE id > coalesce(p_after, '00000000-0000-0000-0000-000000000000')
        ORDER BY id LIMIT p_limit
    ) AS page;
    INSERT INTO billing.month_end_items (month, organization_id)
    SELECT p_month, o.id FROM billing.organizations AS o
    WHERE o.id = ANY (v_ids)
        AND o.created_at < billing.month_start(billing.next_month(p_month), o.timezone)
    ON CONFLICT (organization_id, month) DO NOTHING;
    UPDATE billing.month_end_items SET status = 'pending', error = NULL, updated_at = v_now
    WHERE month = p_month AND organization_id = ANY (v_ids) AND status = 'failed';
    RETURN billing.outcome('found', json_build_object(
        'organization_ids', (
            SELECT coalesce(json_agg(organization_id ORDER BY organization_id), '[]')
            FROM billing.month_end_items
            WHERE month = p_month AND organization_id = ANY (v_ids) AND status = 'pending'),
        'last', CASE WHEN cardinality(v_ids) = p_limit THEN v_ids[p_limit] END));
END $$;

-- Issue the invoice of an organization's local month, or record that nothing was charged; a repeated call
-- changes nothing. A month begins at the end of the one before: a change of time zone leaves no gap.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.bill_month(
    p_tenant text, p_organization_id uuid, p_month text, p_terms jsonb
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    m billing.month_end_items;
    i billing.invoices;
    v_issued json;
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    ELSIF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    INSERT INTO billing.month_end_items (month, organization_id) VALUES (p_month, o.id)
    ON CONFLICT (organization_id, month) DO NOTHING;
    SELECT * INTO m FROM billing.month_end_items WHERE month = p_month AND organization_id = o.id;
    IF m.status IN ('issued', 'empty') THEN
        RETURN billing.outcome('replayed', to_json(m));
    END IF;
    SELECT * INTO m.period_start, m.period_end FROM billing.month_period(o, p_month);
    IF o.changed_at < m.period_end THEN
        RETURN billing.invalid_state(format('The period ends at %s.', billing.instant(m.period_end)));
    END IF;
    m.status := 'empty';
    IF billing.is_used(o, m.period_start, m.period_end) THEN
        i := billing.invoice_of_period(o, m.period_start, m.period_end);
        IF NOT p_terms -> 'rates' ? o.billing_currency THEN
            RETURN billing.outcome('unsupported_currency');
        ELSIF (i.period_start, i.period_end) <> (m.period_start, m.period_end) THEN
            RETURN billing.overlapping(i);
        ELSIF i.status = 'draft' THEN
            v_issued := billing.issue(i, o, p_terms, 'created');
            IF v_issued ->> 'outcome' <> 'created' THEN
                RETURN v_issued;
            END IF;
        END IF;
        m.status := 'issued';
        m.invoice_id := i.id;
    ELSE
        -- Every later charge is after the period, as after an invoice.
        PERFORM billing.save_organization(o);
    END IF;
    UPDATE billing.month_end_items
    SET status = m.status, period_start = m.period_start, period_end = m.period_end,
        invoice_id = m.invoice_id, error = NULL, updated_at = o.changed_at
    WHERE month = m.month AND organization_id = m.organization_id
    RETURNING * INTO m;
    RETURN billing.outcome('created', to_json(m));
END $$;

-- The period of an organization's local month, which adjoins the periods that are billed already.
CREATE OR REPLACE FUNCTION billing.month_period(
    o billing.organizations, p_month text, OUT period_start timestamptz, OUT period_end timestamptz
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_starts timestamptz[];
    v_ends timestamptz[];
BEGIN
    SELECT array_agg(known.period_start), array_agg(known.period_end) INTO v_starts, v_ends FROM (
        SELECT i.period_start, i.period_end FROM billing.invoices AS i
        WHERE i.organization_id = o.id AND i.status <> 'cancelled' AND i.kind = 'usage'
        UNION ALL
        SELECT m.period_start, m.period_end FROM billing.month_end_items AS m
        WHERE m.organization_id = o.id AND m.status = 'empty'
    ) AS known;
    period_start := billing.adjoining(billing.month_start(p_month, o.timezone), v_ends);
    period_end := billing.adjoining(billing.month_start(billing.next_month(p_month), o.timezone), v_starts);
END $$;

-- The instant of p_instants nearest to p_instant within a change of time zone, or p_instant itself.
CREATE OR REPLACE FUNCTION billing.adjoining(p_instant timestamptz, p_instants timestamptz[])
RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT found FROM unnest(p_instants) AS found
        WHERE found BETWEEN p_instant - interval '26 hours' AND p_instant + interval '26 hours'
        ORDER BY greatest(found, p_instant) - least(found, p_instant) LIMIT 1), p_instant)
$$;

-- Record why an organization could not be billed; the next run bills it.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.month_failed(
    p_tenant text, p_organization_id uuid, p_month text, p_error text
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    UPDATE billing.month_end_items
    SET status = 'failed', error = p_error, updated_at = v_now
    WHERE month = p_month AND organization_id = p_organization_id AND status IN ('pending', 'failed');
END $$;

-- How many organizations wait to be billed for a month, for how many seconds the oldest, and how many failed.
-- api
CREATE OR REPLACE FUNCTION billing.waiting_months(p_tenant text) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN (
        SELECT json_build_object(
            'waiting', count(*) FILTER (WHERE status = 'pending'),
            'oldest_seconds', coalesce(extract(epoch FROM billing.now()
                - min(updated_at) FILTER (WHERE status = 'pending')), 0),
            'set_aside', count(*) FILTER (WHERE status = 'failed'))
        FROM billing.month_end_items WHERE status IN ('pending', 'failed'));
END $$;

-- The progress of a month, and the first p_limit failures.
-- api
CREATE OR REPLACE FUNCTION billing.month_end(p_tenant text, p_month text, p_limit int) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_failures json;
    v_progress json;
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM billing.set_tenant(p_tenant);
    SELECT coalesce(json_agg(f), '[]') INTO v_failures FROM (
        SELECT organization_id, error FROM billing.month_end_items
        WHERE month = p_month AND status = 'failed' ORDER BY organization_id LIMIT p_limit
    ) AS f;
    SELECT json_build_object(
            'month', p_month,
            'organizations', count(*),
            'pending', count(*) FILTER (WHERE status = 'pending'),
            'issued', count(*) FILTER (WHERE status = 'issued'),
            'empty', count(*) FILTER (WHERE status = 'empty'),
            'failed', count(*) FILTER (WHERE status = 'failed'),
            'failures', v_failures)
    INTO v_progress FROM billing.month_end_items WHERE month = p_month;
    RETURN billing.outcome('found', v_progress);
END $$;
