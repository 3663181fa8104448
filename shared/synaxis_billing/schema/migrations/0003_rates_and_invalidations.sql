-- Exchange rates, and what became stale in caches.

-- Units of the currency per US dollar, one row per fetch. A held one jumped too far from its
-- predecessor to be believed; it is not used until somebody accepts it.
CREATE TABLE billing.exchange_rates (
    fetch_id uuid NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    rate numeric(24, 12) NOT NULL CHECK (rate > 0),
    source text NOT NULL CHECK (source <> ''),
    as_of timestamptz NOT NULL,
    fetched_at timestamptz NOT NULL,
    held boolean NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (fetch_id, currency)
);
CREATE INDEX exchange_rates_latest ON billing.exchange_rates (currency, fetched_at DESC, fetch_id)
    WHERE NOT held;
-- The history of rates is what invoices refer to.
CREATE TRIGGER immutable_delete BEFORE DELETE ON billing.exchange_rates
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.exchange_rates
    EXECUTE FUNCTION billing.refuse_change();

-- What caches must forget, written by the change itself, deleted when every region has been told.
-- A value's version is the microsecond of the change; what is older must not be cached any more.
CREATE TABLE billing.invalidations (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    tenant uuid NOT NULL,
    keys text[] NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    families text[] NOT NULL DEFAULT '{}',
    everything boolean NOT NULL DEFAULT false,
    version bigint NOT NULL DEFAULT 0 CHECK (version >= 0),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

GRANT SELECT ON billing.exchange_rates TO synaxis_app;
GRANT SELECT, INSERT, UPDATE (held, stored_at) ON billing.exchange_rates TO synaxis_ledger;
GRANT SELECT, INSERT, DELETE ON billing.invalidations TO synaxis_ledger;

-- Rates are nobody's own.
ALTER TABLE billing.exchange_rates ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON billing.exchange_rates TO synaxis_app, synaxis_ledger USING (true);
