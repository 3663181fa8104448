-- Organizations that another region holds: their ids and that region's name, and nothing else of them.
CREATE TABLE billing.organization_homes (
    organization_id uuid PRIMARY KEY,
    region text NOT NULL CHECK (region <> '')
);

GRANT SELECT ON billing.organization_homes TO synaxis_app;
GRANT SELECT, INSERT, UPDATE ON billing.organization_homes TO synaxis_ledger;
ALTER TABLE billing.organization_homes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON billing.organization_homes TO synaxis_app, synaxis_ledger
    USING (current_setting('billing.tenant', true) IN (organization_id::text, '*'));
