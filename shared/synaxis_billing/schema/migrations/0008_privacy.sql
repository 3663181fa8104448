-- Erasure and export over the API.
ALTER TABLE billing.erasures ADD COLUMN holds bigint NOT NULL DEFAULT 0;
CREATE INDEX holds_newest ON billing.holds (organization_id, created_at);
GRANT SELECT ON billing.organizations, billing.erasures TO synaxis_eraser;
GRANT SELECT ON billing.erasures TO synaxis_ledger;
