-- Webhook events: the transaction that makes a change records the event and a delivery for each endpoint
-- that wants it.

-- Record an event of an organization and its deliveries, as part of the change.
CREATE OR REPLACE FUNCTION billing.record_event(p_organization_id uuid, p_type text, p_data jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_id uuid;
    v_at timestamptz := billing.now();
BEGIN
    -- Each event of an organization has an instant of its own, by which pages are cut, also where the clock stands.
    WHILE v_id IS NULL LOOP
        INSERT INTO billing.webhook_events (organization_id, type, data, created_at)
        VALUES (p_organization_id, p_type,
            jsonb_build_object('organization_id', p_organization_id) || p_data, v_at)
        ON CONFLICT (organization_id, created_at) DO NOTHING
        RETURNING id INTO v_id;
        v_at := greatest(billing.now(), v_at + interval '1 microsecond');
    END LOOP;
    INSERT INTO billing.webhook_deliveries (endpoint_id, event_id, organization_id)
    SELECT id, v_id, organization_id FROM billing.webhook_endpoints
    WHERE organization_id = p_organization_id AND disabled_at IS NULL
        AND (types = '{}' OR p_type = ANY (types));
END $$;

CREATE OR REPLACE FUNCTION billing.invoice_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR OLD.status <> NEW.status THEN
        PERFORM billing.record_event(NEW.organization_id, 'invoice.' || CASE
            -- A statement or a top-up's invoice is paid when it is issued.
            WHEN TG_OP = 'INSERT' OR OLD.status = 'draft' THEN 'issued' ELSE NEW.status::text END, jsonb_build_object(
            'invoice_id', NEW.id,
            'invoice_number', NEW.invoice_number,
            'kind', NEW.kind,
            'status', NEW.status,
            'period_start', NEW.period_start,
            'period_end', NEW.period_end,
            'total_amount_usd', NEW.total_amount_usd::text,
            'billing_currency', NEW.billing_currency,
            'total_amount_billing_currency',
                round(NEW.total_amount_billing_currency, NEW.minor_units)::text,
            'amount_due_usd', NEW.amount_due_usd::text,
            'amount_due_billing_currency', round(NEW.amount_due_billing_currency, NEW.minor_units)::text,
            'due_date', NEW.due_date,
            'paid_at', NEW.paid_at));
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing.credit_note_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    i billing.invoices;
BEGIN
    SELECT * INTO STRICT i FROM billing.invoices
    WHERE organization_id = NEW.organization_id AND id = NEW.invoice_id;
    PERFORM billing.record_event(NEW.organization_id, 'credit_note.issued', jsonb_build_object(
        'credit_note_id', NEW.id,
        'credit_note_number', NEW.credit_note_number,
        'invoice_id', i.id,
        'invoice_number', i.invoice_number,
        'total_amount_usd', NEW.total_amount_usd::text,
        'billing_currency', i.billing_currency,
        'total_amount_billing_currency',
            round(NEW.total_amount_billing_currency, i.minor_units)::text,
        'transaction_id', NEW.transaction_id));
    RETURN NULL;
END $$;

-- Record that the balance fell below the threshold: once, not while it stays so.
CREATE OR REPLACE FUNCTION billing.balance_low(
    p_organization_id uuid, p_balance_usd numeric, p_threshold_usd numeric, p_version bigint
) RETURNS void LANGUAGE sql AS $$
    SELECT billing.record_event(p_organization_id, 'balance.low', jsonb_build_object(
        'balance_usd', p_balance_usd::text,
        'low_balance_threshold_usd', p_threshold_usd::text,
        'version', p_version))
$$;

CREATE OR REPLACE FUNCTION billing.webhook_event_json(e billing.webhook_events) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', e.id, 'type', e.type, 'data', e.data, 'created_at', e.created_at)
$$;

-- List events, newest first, before the instant (exclusive) at which the earlier page ended, each with its
-- deliveries.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.webhook_events(
    p_tenant text, p_organization_id uuid, p_type text, p_before timestamptz, p_since timestamptz,
    p_limit int
) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(v ORDER BY v.created_at DESC), '[]') FROM (
            SELECT id, type, created_at, data, (
                SELECT coalesce(json_agg(d ORDER BY d.endpoint_id), '[]') FROM (
                    SELECT endpoint_id, status, attempts, attempted_at, status_code, error,
                        CASE status WHEN 'pending' THEN next_attempt_at END AS next_attempt_at
                    FROM billing.webhook_deliveries
                    WHERE organization_id = e.organization_id AND event_id = e.id
                ) AS d) AS deliveries
            FROM (
                (SELECT * FROM billing.webhook_events
                WHERE organization_id = p_organization_id AND (p_type IS NULL OR type = p_type)
                    AND p_since IS NULL AND created_at < coalesce(p_before, 'infinity')
                ORDER BY created_at DESC LIMIT p_limit)
                UNION ALL
                (SELECT * FROM billing.webhook_events
                WHERE organization_id = p_organization_id AND (p_type IS NULL OR type = p_type)
                    AND created_at >= p_since
                ORDER BY created_at LIMIT p_limit)
            ) AS e
        ) AS v));
END $$;
