-- Month end: which organizations a month is to be billed for, and what became of each.
CREATE TABLE billing.month_end_items (
    month text NOT NULL CHECK (month ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'issued', 'empty', 'failed')),
    -- The period that was billed, also when nothing was used in it: the next one begins at its end.
    period_start timestamptz,
    period_end timestamptz,
    invoice_id uuid REFERENCES billing.invoices,
    error text,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (month, organization_id),
    CONSTRAINT done_has_a_period CHECK (
        (status IN ('issued', 'empty')) = (period_end IS NOT NULL)
        AND (period_start IS NULL) = (period_end IS NULL)
        AND (status = 'issued') = (invoice_id IS NOT NULL) AND (status = 'failed') = (error IS NOT NULL)
    )
);
CREATE INDEX month_end_items_of ON billing.month_end_items (organization_id);

-- Its statements are short: compiling one costs more than it saves.
ALTER ROLE synaxis_app SET jit = off;

GRANT SELECT ON billing.month_end_items TO synaxis_app;
GRANT SELECT, INSERT, UPDATE ON billing.month_end_items TO synaxis_ledger;
ALTER TABLE billing.month_end_items ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON billing.month_end_items TO synaxis_app, synaxis_ledger
    USING (current_setting('billing.tenant', true) IN (organization_id::text, '*'));
