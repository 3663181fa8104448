-- The entries of the ledger: the next transaction of an organization, its hash, and the guards that keep
-- stored rows unchanged. Callers hold the organization's row lock.

CREATE OR REPLACE FUNCTION billing.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of %: rows of the ledger are never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

-- An erasure may empty the personal fields of a row; nothing may change anything else.
CREATE OR REPLACE FUNCTION billing.refuse_change_but_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_personal text[] := ARRAY['description', 'initiated_by', 'end_user', 'metadata', 'personal_salt'];
BEGIN
    IF current_user = 'synaxis_eraser' AND to_jsonb(NEW) - v_personal = to_jsonb(OLD) - v_personal
        AND NOT EXISTS (
            SELECT FROM jsonb_each(to_jsonb(NEW)) AS field
            WHERE field.key = ANY (v_personal) AND field.value <> 'null')
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% of %: rows of the ledger are never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

-- A time-ordered id of a row written at p_instant (UUIDv7, RFC 9562 section 5.7): rows are found again by the
-- time in their id. uuidv7() takes the server's clock, which may have been ahead of p_instant before.
CREATE OR REPLACE FUNCTION billing.new_id(p_instant timestamptz) RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid())
        PLACING substring(int8send(floor(extract(epoch FROM p_instant) * 1000)::bigint) FROM 3) FROM 1
    ), 52, 1), 53, 1), 'hex')::uuid
$$;

-- The personal fields as a JSON array, behind a salt.
-- api helper
CREATE OR REPLACE FUNCTION billing.personal_text(
    p_salt uuid, p_description text, p_initiated_by text, p_end_user text, p_metadata jsonb
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_build_array(p_salt, p_description, p_initiated_by, p_end_user, p_metadata)::text
$$;

-- The digest that stands for the personal fields in the hash chain.
CREATE OR REPLACE FUNCTION billing.personal_digest(
    p_salt uuid, p_description text, p_initiated_by text, p_end_user text, p_metadata jsonb
) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(billing.personal_text(
        p_salt, p_description, p_initiated_by, p_end_user, p_metadata), 'UTF8'))
$$;

-- SHA-256 of the previous row's hash and of this row's content.
CREATE OR REPLACE FUNCTION billing.transaction_hash(t billing.credit_transactions)
RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(t.previous_hash || convert_to(billing.hashed_text(t), 'UTF8'))
$$;

-- The content of a row as a JSON array of text: decimals with eight places, times as microseconds since
-- 1970-01-01 UTC, bytes as lower-case hexadecimal.
-- api helper
CREATE OR REPLACE FUNCTION billing.hashed_text(t billing.credit_transactions) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT json_build_array(
        t.id, t.organization_id, t.version::text, t.transaction_type, t.amount_usd::text,
        t.balance_before_usd::text, t.balance_after_usd::text, t.reference_id, t.hold_id, t.charge_id,
        encode(t.personal_digest, 'hex'), (extract(epoch FROM t.created_at) * 1000000)::bigint::text,
        t.drawn_usd::text, t.grant_id, t.grants
    )::text
$$;

-- The transaction, which says what it is for, as the one that follows the organization's newest: numbered,
-- chained, not yet stored.
CREATE OR REPLACE FUNCTION billing.chained(o billing.organizations, t billing.credit_transactions)
RETURNS billing.credit_transactions LANGUAGE plpgsql AS $$
BEGIN
    t.id := billing.new_id(o.changed_at);
    t.organization_id := o.id;
    t.version := o.version + 1;
    t.balance_before_usd := o.balance_usd;
    t.balance_after_usd := o.balance_usd + t.amount_usd;
    t.drawn_usd := o.drawn_usd;
    t.personal_salt := gen_random_uuid();
    t.personal_digest := billing.personal_digest(
        t.personal_salt, t.description, t.initiated_by, t.end_user, t.metadata);
    t.previous_hash := o.head_hash;
    t.created_at := o.changed_at;
    t.hash := billing.transaction_hash(t);
    RETURN t;
END $$;

-- The transaction that changes the organization's credit, and is not spend, not yet stored.
CREATE OR REPLACE FUNCTION billing.next_transaction(
    o billing.organizations, p_type billing.transaction_type, p_amount_usd numeric, p_description text,
    p_reference_id text, p_initiated_by text, p_charge_id uuid DEFAULT NULL, p_grant_id uuid DEFAULT NULL,
    p_grants jsonb DEFAULT NULL
) RETURNS billing.credit_transactions LANGUAGE plpgsql AS $$
DECLARE
    t billing.credit_transactions;
BEGIN
    t.transaction_type := p_type;
    t.amount_usd := p_amount_usd;
    t.description := p_description;
    t.reference_id := p_reference_id;
    t.initiated_by := p_initiated_by;
    t.charge_id := p_charge_id;
    t.grant_id := p_grant_id;
    t.grants := p_grants;
    RETURN billing.chained(o, t);
END $$;

-- The transaction that charges usage, not yet stored.
CREATE OR REPLACE FUNCTION billing.charge_of(
    o billing.organizations, u billing.usage_request, p_hold_id uuid DEFAULT NULL
) RETURNS billing.credit_transactions LANGUAGE plpgsql AS $$
DECLARE
    t billing.credit_transactions;
BEGIN
    t.transaction_type := 'charge';
    t.amount_usd := -u.amount_usd;
    t.description := u.description;
    t.reference_id := u.reference_id;
    t.initiated_by := u.initiated_by;
    t.hold_id := p_hold_id;
    t.request_id := u.request_id;
    t.team_id := u.team_id;
    t.virtual_key_id := u.virtual_key_id;
    t.end_user := u.end_user;
    t.model := u.model;
    t.provider := u.provider;
    t.tokens := u.tokens;
    t.region := u.region;
    t.metadata := u.metadata;
    t.usage := u.usage;
    t.service_tier := u.service_tier;
    t.price_id := u.price_id;
    t.price_multiplier := u.price_multiplier;
    t.cost_usd := u.cost_usd;
    t.occurred_at := u.occurred_at;
    t.bucket_start := o.day_start;
    RETURN billing.chained(o, t);
END $$;

-- Store transactions as they are.
CREATE OR REPLACE FUNCTION billing.store_transactions(p_transactions billing.credit_transactions[]) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO billing.credit_transactions
        (id, organization_id, version, transaction_type, amount_usd, balance_before_usd,
        balance_after_usd, drawn_usd, description, reference_id, initiated_by, hold_id, charge_id, grant_id,
        grants, request_id, team_id, virtual_key_id, end_user, model, provider, tokens, region, metadata, usage,
        service_tier, price_id, price_multiplier, cost_usd, occurred_at, bucket_start, personal_salt,
        personal_digest, previous_hash, hash, created_at)
    SELECT t.id, t.organization_id, t.version, t.transaction_type, t.amount_usd, t.balance_before_usd,
        t.balance_after_usd, t.drawn_usd, t.description, t.reference_id, t.initiated_by, t.hold_id, t.charge_id,
        t.grant_id, t.grants, t.request_id, t.team_id, t.virtual_key_id, t.end_user, t.model, t.provider,
        t.tokens, t.region, t.metadata, t.usage, t.service_tier, t.price_id, t.price_multiplier, t.cost_usd,
        t.occurred_at, t.bucket_start, t.personal_salt, t.personal_digest, t.previous_hash, t.hash, t.created_at
    FROM unnest(p_transactions) AS t
$$;

-- Store a transaction with its key, and write the organization back.
CREATE OR REPLACE FUNCTION billing.store_transaction(
    o billing.organizations, t billing.credit_transactions, p_key text, p_fingerprint bytea
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing.idempotency
        (organization_id, key, request_id, fingerprint, result_type, result_id, created_at)
    VALUES (o.id, p_key, t.request_id, p_fingerprint, 'transaction', t.id, t.created_at);
    PERFORM billing.store_transactions(ARRAY[t]);
    PERFORM billing.save_organization(billing.after(o, t));
END $$;

-- The organization as a transaction leaves it.
CREATE OR REPLACE FUNCTION billing.after(o billing.organizations, t billing.credit_transactions)
RETURNS billing.organizations LANGUAGE plpgsql AS $$
BEGIN
    o.balance_usd := t.balance_after_usd;
    o.drawn_usd := t.drawn_usd + billing.drawn_by(t);
    o.version := t.version;
    o.head_hash := t.hash;
    RETURN o;
END $$;

-- How far a transaction moves the odometer.
-- api helper
CREATE OR REPLACE FUNCTION billing.drawn_by(t billing.credit_transactions) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN t.transaction_type IN ('charge', 'adjustment') THEN greatest(-t.amount_usd, 0) ELSE 0 END
$$;

-- The organization's transaction with this id, which is found by the time in it: a charge that waits for the
-- lock is at most ten seconds later than its id.
-- api helper
CREATE OR REPLACE FUNCTION billing.transaction_by_id(p_organization_id uuid, p_id uuid)
RETURNS billing.credit_transactions LANGUAGE plpgsql STABLE AS $$
DECLARE
    t billing.credit_transactions;
BEGIN
    SELECT * INTO t FROM billing.credit_transactions
    WHERE organization_id = p_organization_id AND id = p_id
        AND created_at >= uuid_extract_timestamp(p_id) - interval '1 second'
        AND created_at < uuid_extract_timestamp(p_id) + interval '11 seconds'
    ORDER BY created_at LIMIT 1;
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
        'drawn_usd', t.drawn_usd::text,
        'description', t.description,
        'reference_id', t.reference_id,
        'initiated_by', t.initiated_by,
        'hold_id', t.hold_id,
        'refunded_transaction_id', t.charge_id,
        'grant_id', t.grant_id,
        'request_id', t.request_id,
        'team_id', t.team_id,
        'virtual_key_id', t.virtual_key_id,
        'end_user', t.end_user,
        'model', t.model,
        'provider', t.provider,
        'tokens', t.tokens,
        'region', t.region,
        'metadata', t.metadata,
        'usage', t.usage,
        'service_tier', t.service_tier,
        'price_id', t.price_id,
        'price_multiplier', t.price_multiplier::text,
        'occurred_at', t.occurred_at,
        'hash', encode(t.hash, 'hex'),
        'created_at', t.created_at
    )
$$;

-- The credit that a new charge or hold may take.
CREATE OR REPLACE FUNCTION billing.available(o billing.organizations) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$ SELECT o.balance_usd + o.credit_limit_usd - o.held_usd $$;

-- Whether the credit does not cover an amount. What costs nothing needs no credit.
CREATE OR REPLACE FUNCTION billing.exceeds_credit(o billing.organizations, p_amount_usd numeric)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT p_amount_usd > greatest(billing.available(o), 0) $$;

-- Whether credit or a budget may not cover a request, as long as expired holds count.
CREATE OR REPLACE FUNCTION billing.exceeds(o billing.organizations, u billing.usage_request) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    SELECT billing.exceeds_credit(o, u.amount_usd) OR billing.exceeds_budget(o, u)
$$;

-- The refusal of a request that credit or a budget does not cover, once expired holds are cleared; NULL when
-- both do.
CREATE OR REPLACE FUNCTION billing.not_covered(o billing.organizations, u billing.usage_request) RETURNS json
LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN billing.exceeds_credit(o, u.amount_usd) THEN billing.insufficient_credits(o, u.amount_usd)
        WHEN o.budgeted THEN billing.budget_exceeded(o, u) END
$$;

-- The refusal of what the credit does not cover. The first one since credit came is an event.
CREATE OR REPLACE FUNCTION billing.insufficient_credits(o billing.organizations, p_required_usd numeric)
RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := billing.now();
BEGIN
    UPDATE billing.organizations SET exhausted_at = v_now
    WHERE id = o.id AND exhausted_at IS NULL AND o.exhausted_at IS NULL;
    IF FOUND THEN
        PERFORM billing.record_event(o.id, 'balance.exhausted', jsonb_build_object(
            'available_usd', billing.available(o)::text,
            'required_usd', p_required_usd::text));
    END IF;
    RETURN billing.outcome('insufficient_credits', json_build_object(
        'available_usd', billing.available(o)::text,
        'required_usd', p_required_usd::text,
        'deficit_usd', (p_required_usd - billing.available(o))::text));
END $$;
