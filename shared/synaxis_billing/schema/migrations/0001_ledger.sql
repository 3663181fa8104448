-- The ledger's tables. Money is US dollars in numeric(18,8); times are stored as instants.
-- A CHECK costs every statement that writes its table a few microseconds: those here guard money.

CREATE TYPE billing.transaction_type AS ENUM ('topup', 'charge', 'refund', 'adjustment');
CREATE TYPE billing.hold_status AS ENUM ('held', 'captured', 'released', 'expired');
-- What must not have its effect twice: a client's key, an LLM request, a payment.
CREATE TYPE billing.once_per AS ENUM ('key', 'request', 'payment');
CREATE TYPE billing.result_type AS ENUM ('transaction', 'hold', 'release', 'spend_log');

CREATE TABLE billing.organizations (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name text NOT NULL,
    billing_currency text NOT NULL,
    timezone text NOT NULL DEFAULT 'UTC',
    region text,
    low_balance_threshold_usd numeric(18, 8),
    tax jsonb,
    balance_usd numeric(18, 8) NOT NULL DEFAULT 0,
    -- Credit reserved by holds; may still count expired ones, until credit is short and they are cleared.
    held_usd numeric(18, 8) NOT NULL DEFAULT 0,
    -- How far below zero an explicit adjustment has let the available credit fall.
    floor_usd numeric(18, 8) NOT NULL DEFAULT 0,
    -- The number and the hash of the newest transaction.
    version bigint NOT NULL DEFAULT 0,
    head_hash bytea NOT NULL DEFAULT sha256(''),
    -- The time of the newest transaction or spend log: each next one is later.
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The local day that spend is being counted into.
    day_start timestamptz NOT NULL DEFAULT '-infinity',
    day_end timestamptz NOT NULL DEFAULT '-infinity',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT credit_is_not_overdrawn CHECK (balance_usd - held_usd >= floor_usd AND held_usd >= 0)
) WITH (fillfactor = 50);

CREATE TABLE billing.credit_transactions (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    version bigint NOT NULL,
    transaction_type billing.transaction_type NOT NULL,
    amount_usd numeric(18, 8) NOT NULL,
    balance_before_usd numeric(18, 8) NOT NULL,
    balance_after_usd numeric(18, 8) NOT NULL,
    description text,
    reference_id text,
    initiated_by text,
    -- The hold that a charge captured; the charge that a refund gives back.
    hold_id uuid,
    charge_id uuid,
    -- What can be personal enters the chain as this digest, so that it can be erased and the chain holds.
    personal_salt uuid,
    personal_digest bytea NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (id, created_at),
    UNIQUE (organization_id, created_at),
    CONSTRAINT balance_follows_amount CHECK (
        balance_after_usd = balance_before_usd + amount_usd
        AND (transaction_type <> 'charge' OR balance_after_usd >= 0)
    )
) PARTITION BY RANGE (created_at);

CREATE TABLE billing.spend_logs (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    -- The charge that this spend was paid by; none when it was logged for analytics alone.
    transaction_id uuid,
    team_id uuid,
    virtual_key_id uuid,
    request_id text,
    amount_usd numeric(18, 8) NOT NULL,
    model text,
    provider text,
    tokens bigint NOT NULL,
    region text,
    -- The rollup bucket that counts it.
    bucket_start timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, created_at)
) PARTITION BY RANGE (created_at);

-- Spend per local day of the organization and mix of dimensions. Buckets of one organization never
-- overlap: a change of its time zone cuts the open one.
CREATE TABLE billing.spend_rollups (
    organization_id uuid NOT NULL,
    bucket_start timestamptz NOT NULL,
    bucket_end timestamptz NOT NULL,
    model text,
    provider text,
    team_id uuid,
    virtual_key_id uuid,
    region text,
    charged boolean NOT NULL,
    amount_usd numeric(28, 8) NOT NULL,
    tokens bigint NOT NULL,
    requests bigint NOT NULL,
    UNIQUE NULLS NOT DISTINCT
        (organization_id, bucket_start, model, provider, team_id, virtual_key_id, region, charged)
) WITH (fillfactor = 70);

-- What has had its effect, and the fingerprint of the request that a key came with.
CREATE TABLE billing.idempotency (
    organization_id uuid NOT NULL,
    kind billing.once_per NOT NULL,
    key text NOT NULL,
    fingerprint bytea,
    -- The transaction, hold or spend log that came of it, and when, which finds its partition.
    result_type billing.result_type NOT NULL,
    result_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, kind, key)
);

CREATE TABLE billing.holds (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    amount_usd numeric(18, 8) NOT NULL CHECK (amount_usd > 0),
    status billing.hold_status NOT NULL DEFAULT 'held',
    expires_at timestamptz NOT NULL,
    description text,
    reference_id text,
    initiated_by text,
    team_id uuid,
    virtual_key_id uuid,
    request_id text,
    model text,
    provider text,
    tokens bigint CHECK (tokens >= 0),
    region text,
    captured_usd numeric(18, 8) CHECK (captured_usd > 0 AND captured_usd <= amount_usd),
    transaction_id uuid,
    created_at timestamptz NOT NULL,
    CONSTRAINT captured_by_charge CHECK (
        (status = 'captured') = (transaction_id IS NOT NULL AND captured_usd IS NOT NULL)
    )
);
CREATE INDEX holds_open ON billing.holds (organization_id, expires_at) WHERE status = 'held';

-- How much of a charge has been given back.
CREATE TABLE billing.charge_refunds (
    charge_id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    charged_usd numeric(18, 8) NOT NULL,
    refunded_usd numeric(18, 8) NOT NULL CHECK (refunded_usd > 0),
    CONSTRAINT refund_within_charge CHECK (refunded_usd <= charged_usd)
);

-- The record that personal fields were erased, kept for as long as the ledger.
CREATE TABLE billing.erasures (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    initiated_by_digest bytea,
    reason text NOT NULL CHECK (reason <> ''),
    transactions bigint NOT NULL,
    erased_by text NOT NULL DEFAULT session_user,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION billing.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of %: rows of the ledger are never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

-- An erasure may empty the personal fields of a transaction; nothing may change anything else.
CREATE FUNCTION billing.refuse_change_but_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = 'synaxis_eraser'
        AND NEW.description IS NULL AND NEW.initiated_by IS NULL AND NEW.personal_salt IS NULL
        AND to_jsonb(NEW) - ARRAY['description', 'initiated_by', 'personal_salt']
          = to_jsonb(OLD) - ARRAY['description', 'initiated_by', 'personal_salt']
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% of %: rows of the ledger are never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER immutable_update BEFORE UPDATE ON billing.credit_transactions
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change_but_erasure();
CREATE TRIGGER immutable_delete BEFORE DELETE ON billing.credit_transactions
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE TRIGGER immutable_rows BEFORE UPDATE OR DELETE ON billing.spend_logs
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE TRIGGER immutable_rows BEFORE UPDATE OR DELETE ON billing.idempotency
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE TRIGGER immutable_rows BEFORE UPDATE OR DELETE ON billing.erasures
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.credit_transactions
    EXECUTE FUNCTION billing.refuse_change();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.spend_logs
    EXECUTE FUNCTION billing.refuse_change();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.idempotency
    EXECUTE FUNCTION billing.refuse_change();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.erasures
    EXECUTE FUNCTION billing.refuse_change();

-- Rows of a month that has no partition yet land here, so that a missing one is never an outage.
CREATE TABLE billing.credit_transactions_default PARTITION OF billing.credit_transactions DEFAULT;
CREATE TABLE billing.spend_logs_default PARTITION OF billing.spend_logs DEFAULT;
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.credit_transactions_default
    EXECUTE FUNCTION billing.refuse_change();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.spend_logs_default
    EXECUTE FUNCTION billing.refuse_change();

-- What a request to charge, capture, hold or log spend can say; absent fields are NULL.
CREATE TYPE billing.usage_request AS (
    organization_id uuid,
    idempotency_key text,
    fingerprint bytea,
    amount_usd numeric(18, 8),
    description text,
    reference_id text,
    initiated_by text,
    request_id text,
    team_id uuid,
    virtual_key_id uuid,
    model text,
    provider text,
    tokens bigint,
    region text
);
