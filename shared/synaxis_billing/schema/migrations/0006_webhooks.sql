-- Webhooks: what happened to an organization, recorded by the change itself, told to its endpoints.

-- Where an organization wants to be told. A rotated secret signs along until it ends.
CREATE TABLE billing.webhook_endpoints (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    url text NOT NULL CHECK (url ~ '^https?://'),
    -- Empty for all types.
    types text[] NOT NULL DEFAULT '{}',
    secret bytea NOT NULL,
    old_secret bytea,
    old_secret_ends_at timestamptz,
    -- Since when nothing but failure is known of it.
    failing_since timestamptz,
    disabled_at timestamptz,
    disabled_because text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (organization_id, url),
    CONSTRAINT disabled_has_a_reason CHECK ((disabled_at IS NULL) = (disabled_because IS NULL)),
    CONSTRAINT old_secret_ends CHECK ((old_secret IS NULL) = (old_secret_ends_at IS NULL))
);

CREATE TABLE billing.webhook_events (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    type text NOT NULL,
    data jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (organization_id, created_at)
);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON billing.webhook_events
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

-- One event to one endpoint. While an attempt is under way its lease is known to nobody else, and
-- next_attempt_at is when it is given up for lost.
CREATE TABLE billing.webhook_deliveries (
    endpoint_id uuid NOT NULL REFERENCES billing.webhook_endpoints ON DELETE CASCADE,
    event_id uuid NOT NULL REFERENCES billing.webhook_events,
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts int NOT NULL DEFAULT 0,
    lease uuid,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempted_at timestamptz,
    -- What the endpoint answered to the last attempt, or why there was no answer.
    status_code int,
    error text,
    PRIMARY KEY (event_id, endpoint_id)
);
CREATE INDEX webhook_deliveries_due ON billing.webhook_deliveries (endpoint_id, next_attempt_at)
    WHERE status = 'pending';

CREATE FUNCTION billing.invoice_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR OLD.status <> NEW.status THEN
        PERFORM billing.record_event(NEW.organization_id, 'invoice.' || NEW.status, jsonb_build_object(
            'invoice_id', NEW.id,
            'invoice_number', NEW.invoice_number,
            'status', NEW.status,
            'period_start', NEW.period_start,
            'period_end', NEW.period_end,
            'total_amount_usd', NEW.total_amount_usd::text,
            'billing_currency', NEW.billing_currency,
            'total_amount_billing_currency',
                round(NEW.total_amount_billing_currency, NEW.minor_units)::text,
            'due_date', NEW.due_date,
            'paid_at', NEW.paid_at));
    END IF;
    RETURN NULL;
END $$;
-- What was never issued is nobody's news.
CREATE TRIGGER event AFTER INSERT OR UPDATE OF status ON billing.invoices
    FOR EACH ROW WHEN (NEW.invoice_number IS NOT NULL) EXECUTE FUNCTION billing.invoice_event();

CREATE FUNCTION billing.credit_note_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    i billing.invoices;
BEGIN
    SELECT * INTO STRICT i FROM billing.invoices WHERE id = NEW.invoice_id;
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
CREATE TRIGGER event AFTER INSERT ON billing.credit_notes
    FOR EACH ROW EXECUTE FUNCTION billing.credit_note_event();

CREATE FUNCTION billing.balance_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing.record_event(NEW.id, 'balance.low', jsonb_build_object(
        'balance_usd', NEW.balance_usd::text,
        'low_balance_threshold_usd', NEW.low_balance_threshold_usd::text,
        'version', NEW.version));
    RETURN NULL;
END $$;
-- Where the balance becomes less than the threshold, whichever of them moved, and not while it is.
CREATE TRIGGER event AFTER UPDATE OF balance_usd, low_balance_threshold_usd ON billing.organizations
    FOR EACH ROW WHEN (NEW.balance_usd < NEW.low_balance_threshold_usd
        AND (OLD.balance_usd < OLD.low_balance_threshold_usd) IS NOT TRUE)
    EXECUTE FUNCTION billing.balance_event();

GRANT SELECT, INSERT, UPDATE, DELETE ON billing.webhook_endpoints TO synaxis_ledger;
GRANT SELECT, INSERT ON billing.webhook_events TO synaxis_ledger;
GRANT SELECT, INSERT, UPDATE ON billing.webhook_deliveries TO synaxis_ledger;

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['webhook_endpoints', 'webhook_events', 'webhook_deliveries'] LOOP
        EXECUTE format('ALTER TABLE billing.%I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format($sql$CREATE POLICY tenant ON billing.%I TO synaxis_ledger
            USING (current_setting('billing.tenant', true) IN (organization_id::text, '*'))$sql$, v_table);
    END LOOP;
END $$;
