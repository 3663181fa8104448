-- The entries of the ledger: the next transaction of an organization, its hash, and the guards that keep
-- stored rows unchanged. Callers hold the organization's row lock.

CREATE OR REPLACE FUNCTION billing.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of %: rows of the ledger are never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

-- An erasure may empty the personal fields of a transaction; nothing may change anything else.
CREATE OR REPLACE FUNCTION billing.refuse_change_but_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
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

-- The digest that stands for the personal fields in the hash chain.
CREATE OR REPLACE FUNCTION billing.personal_digest(p_salt uuid, p_description text, p_initiated_by text)
RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(json_build_array(p_salt, p_description, p_initiated_by)::text, 'UTF8'))
$$;

-- SHA-256 of the previous row's hash and of this row's content as a JSON array of text: decimals
-- with eight places, times as microseconds since 1970-01-01 UTC, bytes as lower-case hexadecimal.
CREATE OR REPLACE FUNCTION billing.transaction_hash(t billing.credit_transactions)
RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(t.previous_hash || convert_to(json_build_array(
        t.id, t.organization_id, t.version::text, t.transaction_type, t.amount_usd::text,
        t.balance_before_usd::text, t.balance_after_usd::text, t.reference_id, t.hold_id, t.charge_id,
        encode(t.personal_digest, 'hex'), (extract(epoch FROM t.created_at) * 1000000)::bigint::text
    )::text, 'UTF8'))
$$;

-- The transaction that follows the organization's newest one, not yet stored.
CREATE OR REPLACE FUNCTION billing.next_transaction(
    o billing.organizations, p_type billing.transaction_type, p_amount_usd numeric, p_description text,
    p_reference_id text, p_initiated_by text, p_hold_id uuid DEFAULT NULL, p_charge_id uuid DEFAULT NULL
) RETURNS billing.credit_transactions LANGUAGE plpgsql AS $$
DECLARE
    t billing.credit_transactions;
BEGIN
    t.id := uuidv7();
    t.organization_id := o.id;
    t.version := o.version + 1;
    t.transaction_type := p_type;
    t.amount_usd := p_amount_usd;
    t.balance_before_usd := o.balance_usd;
    t.balance_after_usd := o.balance_usd + p_amount_usd;
    t.description := p_description;
    t.reference_id := p_reference_id;
    t.initiated_by := p_initiated_by;
    t.hold_id := p_hold_id;
    t.charge_id := p_charge_id;
    t.personal_salt := gen_random_uuid();
    t.personal_digest := billing.personal_digest(t.personal_salt, p_description, p_initiated_by);
    t.previous_hash := o.head_hash;
    t.created_at := o.changed_at;
    t.hash := billing.transaction_hash(t);
    RETURN t;
END $$;

-- api helper
CREATE OR REPLACE FUNCTION billing.transaction_json(t billing.credit_transactions) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', t.id,
        'organization_id', t.organization_id,
        'transaction_type', t.transaction_type,
        'amount_usd', t.amount_usd::text,
        'balance_before_usd', t.balance_before_usd::text,
        'balance_after_usd', t.balance_after_usd::text,
        'version', t.version,
        'description', t.description,
        'reference_id', t.reference_id,
        'initiated_by', t.initiated_by,
        'hold_id', t.hold_id,
        'refunded_transaction_id', t.charge_id,
        'hash', encode(t.hash, 'hex'),
        'created_at', t.created_at
    )
$$;

CREATE OR REPLACE FUNCTION billing.insufficient_credits(o billing.organizations, p_required_usd numeric)
RETURNS json LANGUAGE sql STABLE AS $$
    SELECT billing.outcome('insufficient_credits', json_build_object(
        'available_usd', (o.balance_usd - o.held_usd)::text,
        'required_usd', p_required_usd::text,
        'deficit_usd', (p_required_usd - (o.balance_usd - o.held_usd))::text))
$$;
