-- What every change of the ledger is made of. Callers hold the organization's row lock.

-- The instant at which a local day begins. Where midnight comes twice, it is the first one.
CREATE OR REPLACE FUNCTION billing.day_start(p_day date, p_timezone text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN (midnight - interval '1 hour') AT TIME ZONE p_timezone >= p_day
        THEN midnight - interval '1 hour' ELSE midnight END
    FROM (SELECT p_day::timestamp AT TIME ZONE p_timezone) AS days (midnight)
$$;

-- The organization, locked for this transaction, its clock advanced to now; NULL when the tenant
-- has none of that id.
CREATE OR REPLACE FUNCTION billing.lock_organization(p_tenant text, p_organization_id uuid)
RETURNS billing.organizations LANGUAGE plpgsql AS $$
DECLARE
    v_tenant text := set_config('billing.tenant', p_tenant, true);
    o billing.organizations;
BEGIN
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id FOR NO KEY UPDATE;
    IF FOUND THEN
        o := billing.advance_clock(o);
    END IF;
    RETURN o;
END $$;

-- The organization with changed_at at the next instant, and the day that the instant is in.
CREATE OR REPLACE FUNCTION billing.advance_clock(o billing.organizations)
RETURNS billing.organizations LANGUAGE plpgsql AS $$
BEGIN
    o.changed_at := greatest(clock_timestamp(), o.changed_at + interval '1 microsecond');
    IF o.changed_at >= o.day_end THEN
        o.day_start := billing.day_start((o.changed_at AT TIME ZONE o.timezone)::date, o.timezone);
        o.day_end := billing.day_start((o.changed_at AT TIME ZONE o.timezone)::date + 1, o.timezone);
    END IF;
    RETURN o;
END $$;

-- Write the locked organization back.
CREATE OR REPLACE FUNCTION billing.save_organization(o billing.organizations) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE billing.organizations SET
        balance_usd = o.balance_usd,
        held_usd = o.held_usd,
        -- Credit that comes in raises the floor again, never above zero.
        floor_usd = least(0, greatest(o.floor_usd, o.balance_usd - o.held_usd)),
        version = o.version,
        head_hash = o.head_hash,
        changed_at = o.changed_at,
        day_start = o.day_start,
        day_end = o.day_end
    WHERE id = o.id;
END $$;

-- The organization after its expired holds have let go of their credit.
CREATE OR REPLACE FUNCTION billing.expire_holds(o billing.organizations)
RETURNS billing.organizations LANGUAGE plpgsql AS $$
DECLARE
    v_freed_usd numeric;
BEGIN
    WITH expired AS (
        UPDATE billing.holds SET status = 'expired'
        WHERE organization_id = o.id AND status = 'held' AND expires_at <= o.changed_at
        RETURNING amount_usd
    )
    SELECT coalesce(sum(amount_usd), 0) INTO v_freed_usd FROM expired;
    o.held_usd := o.held_usd - v_freed_usd;
    RETURN o;
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

CREATE OR REPLACE FUNCTION billing.hold_json(h billing.holds) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', h.id,
        'organization_id', h.organization_id,
        'amount_usd', h.amount_usd::text,
        'status', h.status,
        'expires_at', h.expires_at,
        'captured_usd', h.captured_usd::text,
        'transaction_id', h.transaction_id,
        'description', h.description,
        'reference_id', h.reference_id,
        'initiated_by', h.initiated_by,
        'request_id', h.request_id,
        'team_id', h.team_id,
        'virtual_key_id', h.virtual_key_id,
        'model', h.model,
        'provider', h.provider,
        'tokens', h.tokens,
        'region', h.region,
        'created_at', h.created_at
    )
$$;

CREATE OR REPLACE FUNCTION billing.spend_log_json(s billing.spend_logs) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', s.id,
        'organization_id', s.organization_id,
        'transaction_id', s.transaction_id,
        'request_id', s.request_id,
        'amount_usd', s.amount_usd::text,
        'team_id', s.team_id,
        'virtual_key_id', s.virtual_key_id,
        'model', s.model,
        'provider', s.provider,
        'tokens', s.tokens,
        'region', s.region,
        'created_at', s.created_at
    )
$$;

-- The version of a row that was written at this instant: its microseconds since 1970.
CREATE OR REPLACE FUNCTION billing.version_of(p_instant timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT (extract(epoch FROM p_instant) * 1000000)::bigint $$;

-- An instant as a person is told it.
CREATE OR REPLACE FUNCTION billing.instant(p_instant timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT to_char(p_instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
$$;

-- How a change ended: 'created' or 'replayed' with its value, or the code of the refusal with what
-- the refusal tells.
CREATE OR REPLACE FUNCTION billing.outcome(p_code text, p_value json DEFAULT NULL) RETURNS json
LANGUAGE sql STABLE AS $$ SELECT json_build_object('outcome', p_code, 'value', p_value) $$;

CREATE OR REPLACE FUNCTION billing.insufficient_credits(o billing.organizations, p_required_usd numeric)
RETURNS json LANGUAGE sql STABLE AS $$
    SELECT billing.outcome('insufficient_credits', json_build_object(
        'available_usd', (o.balance_usd - o.held_usd)::text,
        'required_usd', p_required_usd::text,
        'deficit_usd', (p_required_usd - (o.balance_usd - o.held_usd))::text))
$$;

CREATE OR REPLACE FUNCTION billing.invalid_state(p_detail text) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT billing.outcome('invalid_state', json_build_object('detail', p_detail))
$$;

-- The answer that changes nothing: there is no such organization, or the key has had its effect. NULL
-- when the change is to be made.
CREATE OR REPLACE FUNCTION billing.settled(o billing.organizations, p_key text, p_fingerprint bytea)
RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    v_past billing.idempotency;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    SELECT * INTO v_past FROM billing.idempotency
    WHERE organization_id = o.id AND kind = 'key' AND key = p_key;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN billing.replay_of(v_past, p_fingerprint);
END $$;

-- The first answer again, built from what can no longer change.
CREATE OR REPLACE FUNCTION billing.replay_of(p_past billing.idempotency, p_fingerprint bytea)
RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    h billing.holds;
BEGIN
    IF p_past.fingerprint <> p_fingerprint THEN
        RETURN billing.outcome('idempotency_key_reused');
    END IF;
    IF p_past.result_type = 'transaction' THEN
        RETURN billing.outcome('replayed', (
            SELECT billing.transaction_json(t) FROM billing.credit_transactions AS t
            WHERE t.id = p_past.result_id AND t.created_at = p_past.created_at));
    ELSIF p_past.result_type = 'spend_log' THEN
        RETURN billing.outcome('replayed', (
            SELECT billing.spend_log_json(s) FROM billing.spend_logs AS s
            WHERE s.organization_id = p_past.organization_id AND s.created_at = p_past.created_at));
    END IF;
    SELECT * INTO STRICT h FROM billing.holds WHERE id = p_past.result_id;
    h.status := CASE p_past.result_type WHEN 'hold' THEN 'held' ELSE 'released' END;
    h.captured_usd := NULL;
    h.transaction_id := NULL;
    RETURN billing.outcome('replayed', billing.hold_json(h));
END $$;

-- The refusal when an LLM request was already paid for or logged, or NULL when it was not.
CREATE OR REPLACE FUNCTION billing.request_already_counted(p_organization_id uuid, p_request_id text)
RETURNS json LANGUAGE sql STABLE AS $$
    SELECT billing.invalid_state(format('request_id %s was already counted by %s %s',
        to_json(p_request_id), replace(result_type::text, '_', ' '), result_id))
    FROM billing.idempotency
    WHERE organization_id = p_organization_id AND kind = 'request' AND key = p_request_id
$$;

-- Store a change of credit that is not spend, whole, under the key it came with.
CREATE OR REPLACE FUNCTION billing.store_credit(
    o billing.organizations, t billing.credit_transactions, p_key text, p_fingerprint bytea
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing.idempotency
    VALUES (o.id, 'key', p_key, p_fingerprint, 'transaction', t.id, o.changed_at);
    INSERT INTO billing.credit_transactions SELECT t.*;
    o.balance_usd := t.balance_after_usd;
    o.version := t.version;
    o.head_hash := t.hash;
    PERFORM billing.save_organization(o);
END $$;

-- Charge for usage that the caller has found credit for, whole; NULL when the key is used already,
-- and nothing is done. An LLM request that is counted already is a unique violation. One statement,
-- for speed: it is the part of a charge that others of the organization wait for.
CREATE OR REPLACE FUNCTION billing.store_charge(
    o billing.organizations, u billing.usage_request, p_hold_id uuid DEFAULT NULL
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    t billing.credit_transactions := billing.next_transaction(
        o, 'charge', -u.amount_usd, u.description, u.reference_id, u.initiated_by, p_hold_id);
BEGIN
    WITH once AS (
        INSERT INTO billing.idempotency
        VALUES (o.id, 'key', u.idempotency_key, u.fingerprint, 'transaction', t.id, t.created_at)
        ON CONFLICT (organization_id, kind, key) DO NOTHING
        RETURNING 1
    ), request AS (
        INSERT INTO billing.idempotency
        SELECT o.id, 'request', u.request_id, u.fingerprint, 'transaction', t.id, t.created_at
        FROM once WHERE u.request_id IS NOT NULL
    ), entry AS (
        INSERT INTO billing.credit_transactions SELECT t.* FROM once
    ), log AS (
        INSERT INTO billing.spend_logs
        SELECT uuidv7(), o.id, t.id, u.team_id, u.virtual_key_id, u.request_id, u.amount_usd, u.model,
            u.provider, coalesce(u.tokens, 0), u.region, o.day_start, t.created_at
        FROM once
    ), head AS (
        UPDATE billing.organizations SET balance_usd = t.balance_after_usd, held_usd = o.held_usd,
            floor_usd = 0, version = t.version, head_hash = t.hash, changed_at = t.created_at,
            day_start = o.day_start, day_end = o.day_end
        FROM once WHERE id = o.id
    )
    INSERT INTO billing.spend_rollups AS r
    SELECT o.id, o.day_start, o.day_end, u.model, u.provider, u.team_id, u.virtual_key_id, u.region,
        true, u.amount_usd, coalesce(u.tokens, 0), 1
    FROM once
    ON CONFLICT (organization_id, bucket_start, model, provider, team_id, virtual_key_id, region, charged)
    DO UPDATE SET
        amount_usd = r.amount_usd + excluded.amount_usd,
        tokens = r.tokens + excluded.tokens,
        requests = r.requests + excluded.requests;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN billing.outcome('created', billing.transaction_json(t));
END $$;
