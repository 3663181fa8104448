-- Invoices: what an organization has used in a period, in its own currency, and what was given back.

ALTER TABLE billing.organizations
    ADD COLUMN address text,
    -- BCP 47: how money and dates are written on documents.
    ADD COLUMN locale text NOT NULL DEFAULT 'en',
    ADD COLUMN payment_terms_days int NOT NULL DEFAULT 30 CHECK (payment_terms_days BETWEEN 0 AND 365);

CREATE TYPE billing.invoice_status AS ENUM ('draft', 'issued', 'paid', 'overdue', 'cancelled');

-- Amounts in the billing currency have its minor units; every one of them follows from the one rate.
CREATE TABLE billing.invoices (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    invoice_number text UNIQUE,
    status billing.invoice_status NOT NULL DEFAULT 'draft',
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    timezone text NOT NULL,
    billing_currency text NOT NULL CHECK (billing_currency ~ '^[A-Z]{3}$'),
    minor_units int NOT NULL CHECK (minor_units BETWEEN 0 AND 4),
    exchange_rate numeric(24, 12) NOT NULL CHECK (exchange_rate > 0),
    rate_source text NOT NULL,
    rate_as_of timestamptz NOT NULL,
    line_items jsonb NOT NULL,
    subtotal_usd numeric(28, 8) NOT NULL CHECK (subtotal_usd >= 0),
    tax_usd numeric(28, 8) NOT NULL CHECK (tax_usd >= 0),
    total_amount_usd numeric(28, 8) NOT NULL,
    subtotal_billing_currency numeric(28, 4) NOT NULL,
    tax_billing_currency numeric(28, 4) NOT NULL,
    total_amount_billing_currency numeric(28, 4) NOT NULL,
    tax jsonb,
    seller jsonb NOT NULL,
    customer jsonb NOT NULL,
    locale text NOT NULL,
    payment_terms_days int NOT NULL,
    issued_at timestamptz,
    due_date date,
    paid_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT period_is_not_empty CHECK (period_start < period_end),
    CONSTRAINT totals_add_up CHECK (
        total_amount_usd = subtotal_usd + tax_usd
        AND total_amount_billing_currency = subtotal_billing_currency + tax_billing_currency
    ),
    CONSTRAINT number_is_taken_at_issue CHECK (
        (invoice_number IS NULL) = (issued_at IS NULL) AND (invoice_number IS NULL) = (due_date IS NULL)
        AND CASE status WHEN 'draft' THEN invoice_number IS NULL WHEN 'cancelled' THEN true
            ELSE invoice_number IS NOT NULL END
    ),
    CONSTRAINT paid_when_paid CHECK (
        CASE status WHEN 'paid' THEN paid_at IS NOT NULL WHEN 'cancelled' THEN true ELSE paid_at IS NULL END
    )
);
CREATE UNIQUE INDEX invoices_period ON billing.invoices (organization_id, period_start, period_end)
    WHERE status <> 'cancelled';
CREATE UNIQUE INDEX invoices_newest ON billing.invoices (organization_id, created_at);
CREATE INDEX invoices_due ON billing.invoices (due_date) WHERE status = 'issued';

-- What of an issued invoice was taken back; several may, up to all of it.
CREATE TABLE billing.credit_notes (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    invoice_id uuid NOT NULL REFERENCES billing.invoices,
    credit_note_number text NOT NULL UNIQUE,
    reason text NOT NULL CHECK (reason <> ''),
    subtotal_usd numeric(28, 8) NOT NULL CHECK (subtotal_usd > 0),
    tax_usd numeric(28, 8) NOT NULL CHECK (tax_usd >= 0),
    total_amount_usd numeric(28, 8) NOT NULL,
    subtotal_billing_currency numeric(28, 4) NOT NULL,
    tax_billing_currency numeric(28, 4) NOT NULL,
    total_amount_billing_currency numeric(28, 4) NOT NULL,
    -- The adjustment that gave the credit back, when it was asked for.
    transaction_id uuid,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (organization_id, idempotency_key),
    CONSTRAINT totals_add_up CHECK (
        total_amount_usd = subtotal_usd + tax_usd
        AND total_amount_billing_currency = subtotal_billing_currency + tax_billing_currency
    )
);
CREATE UNIQUE INDEX credit_notes_newest ON billing.credit_notes (organization_id, created_at);
CREATE INDEX credit_notes_of_invoice ON billing.credit_notes (invoice_id);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON billing.credit_notes
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.credit_notes
    EXECUTE FUNCTION billing.refuse_change();

-- The last number of each series and year: taken in the transaction that uses it, so that a number
-- that is rolled back is the next one's.
CREATE TABLE billing.document_counters (
    series text NOT NULL,
    year int NOT NULL,
    last bigint NOT NULL CHECK (last > 0),
    PRIMARY KEY (series, year)
);

-- A draft may be computed again. Of an issued invoice the state alone goes on, in its order.
CREATE FUNCTION billing.guard_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.status = 'draft' AND NEW.status IN ('draft', 'issued', 'cancelled')
            AND (NEW.id, NEW.organization_id, NEW.period_start, NEW.period_end, NEW.created_at)
              = (OLD.id, OLD.organization_id, OLD.period_start, OLD.period_end, OLD.created_at)
        THEN
            RETURN NEW;
        END IF;
        IF (OLD.status, NEW.status) IN (('issued', 'paid'), ('issued', 'overdue'), ('overdue', 'paid'),
                ('issued', 'cancelled'), ('overdue', 'cancelled'), ('paid', 'cancelled'))
            AND (NEW.status = 'paid' OR NEW.paid_at IS NOT DISTINCT FROM OLD.paid_at)
            AND to_jsonb(NEW) - ARRAY['status', 'paid_at', 'updated_at']
              = to_jsonb(OLD) - ARRAY['status', 'paid_at', 'updated_at']
            AND (NEW.status <> 'cancelled' OR NEW.total_amount_usd = (
                SELECT coalesce(sum(total_amount_usd), 0) FROM billing.credit_notes
                WHERE invoice_id = NEW.id))
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% of an invoice that is %', TG_OP, OLD.status USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON billing.invoices
    FOR EACH ROW EXECUTE FUNCTION billing.guard_invoice();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.invoices
    EXECUTE FUNCTION billing.refuse_change();

GRANT SELECT ON billing.invoices, billing.credit_notes TO synaxis_app;
GRANT SELECT, INSERT, UPDATE ON billing.invoices, billing.document_counters TO synaxis_ledger;
GRANT SELECT, INSERT ON billing.credit_notes TO synaxis_ledger;

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['invoices', 'credit_notes'] LOOP
        EXECUTE format('ALTER TABLE billing.%I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format($sql$CREATE POLICY tenant ON billing.%I TO synaxis_app, synaxis_ledger
            USING (current_setting('billing.tenant', true) IN (organization_id::text, '*'))$sql$, v_table);
    END LOOP;
END $$;
