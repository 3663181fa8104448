-- Charges for usage, one or a batch. A charge is one transaction, one spend log, its rollup and its
-- idempotency rows, all stored by one statement; no charge takes more than the available credit.

-- Charge for usage. Nearly every charge is new and paid for, which is decided here; what is refused
-- or repeated, the batch of one tells why.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.charge(p_tenant text, p_charge jsonb) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    u billing.usage_request := jsonb_populate_record(NULL::billing.usage_request, p_charge);
    o billing.organizations := billing.lock_organization(p_tenant, u.organization_id);
    v_answer json;
BEGIN
    IF u.usage IS NOT NULL AND o.id IS NOT NULL THEN
        u := billing.price_request(o, u);
    END IF;
    IF u.amount_usd <= o.balance_usd - o.held_usd THEN
        v_answer := billing.store_charge(o, u);
    END IF;
    RETURN coalesce(v_answer, (billing.charge_batch(p_tenant, jsonb_build_array(to_jsonb(u))))[1]);
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
            (organization_id, kind, key, fingerprint, result_type, result_id, created_at)
        VALUES (o.id, 'key', u.idempotency_key, u.fingerprint, 'transaction', t.id, t.created_at)
        ON CONFLICT (organization_id, kind, key) DO NOTHING
        RETURNING 1
    ), request AS (
        INSERT INTO billing.idempotency
            (organization_id, kind, key, fingerprint, result_type, result_id, created_at)
        SELECT o.id, 'request', u.request_id, u.fingerprint, 'transaction', t.id, t.created_at
        FROM once WHERE u.request_id IS NOT NULL
    ), entry AS (
        INSERT INTO billing.credit_transactions
            (id, organization_id, version, transaction_type, amount_usd, balance_before_usd,
            balance_after_usd, description, reference_id, initiated_by, hold_id, charge_id, personal_salt,
            personal_digest, previous_hash, hash, created_at)
        SELECT t.id, t.organization_id, t.version, t.transaction_type, t.amount_usd, t.balance_before_usd,
            t.balance_after_usd, t.description, t.reference_id, t.initiated_by, t.hold_id, t.charge_id,
            t.personal_salt, t.personal_digest, t.previous_hash, t.hash, t.created_at
        FROM once
    ), log AS (
        INSERT INTO billing.spend_logs
            (id, organization_id, transaction_id, team_id, virtual_key_id, request_id, amount_usd, model,
            provider, tokens, region, usage, service_tier, price_id, price_multiplier, bucket_start,
            created_at)
        SELECT uuidv7(), o.id, t.id, u.team_id, u.virtual_key_id, u.request_id, u.amount_usd, u.model,
            u.provider, coalesce(u.tokens, 0), u.region, u.usage, u.service_tier, u.price_id,
            u.price_multiplier, o.day_start, t.created_at
        FROM once
    ), head AS (
        UPDATE billing.organizations SET balance_usd = t.balance_after_usd, held_usd = o.held_usd,
            floor_usd = 0, version = t.version, head_hash = t.hash, changed_at = t.created_at,
            day_start = o.day_start, day_end = o.day_end
        FROM once WHERE id = o.id
    )
    INSERT INTO billing.spend_rollups AS r
        (organization_id, bucket_start, bucket_end, model, provider, team_id, virtual_key_id, region,
        charged, amount_usd, tokens, requests)
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

-- Charge for usage: an array of billing.usage_request in, an array of outcomes out, in the same
-- order; a refused item does not affect the others. Each organization is locked once, in the order
-- of the ids, so that two batches never wait for each other in a circle.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.charge_batch(p_tenant text, p_charges jsonb) RETURNS json[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp
-- A plan made for one batch's size serves them all.
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_requests billing.usage_request[];
    b record;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    v_requests := ARRAY(SELECT r FROM jsonb_populate_recordset(NULL::billing.usage_request, p_charges) AS r);
    PERFORM FROM billing.organizations
    WHERE id = ANY (ARRAY(SELECT organization_id FROM unnest(v_requests)))
    ORDER BY id FOR NO KEY UPDATE;
    b := billing.decide_batch(v_requests);
    IF b.transactions IS NOT NULL THEN
        PERFORM billing.store_batch(b.transactions, b.usages, b.day_starts, b.day_ends);
    END IF;
    RETURN b.results;
END $$;

-- Decide the items of a batch one after the other, and write their organizations back: each item's
-- outcome, and side by side the transactions to store, their usages and the local days that count them.
CREATE OR REPLACE FUNCTION billing.decide_batch(
    p_requests billing.usage_request[], OUT results json[], OUT transactions billing.credit_transactions[],
    OUT usages billing.usage_request[], OUT day_starts timestamptz[], OUT day_ends timestamptz[]
) LANGUAGE plpgsql AS $$
DECLARE
    v_repeats boolean := billing.repeats(p_requests);
    -- The accepted item of this batch by key and by LLM request; filled if any of them repeats.
    v_seen jsonb := '{}';
    v_accepted int := 0;
    v_dirty boolean := false;
    v_item record;
    v_result json;
    u billing.usage_request;
    o billing.organizations;
    t billing.credit_transactions;
BEGIN
    results := array_fill(NULL::json, ARRAY[cardinality(p_requests)]);
    FOR v_item IN SELECT * FROM billing.batch_items(p_requests) LOOP
        u := p_requests[v_item.ordinal];
        IF o.id IS DISTINCT FROM u.organization_id THEN
            PERFORM billing.save_organization(o) WHERE v_dirty;
            v_dirty := false;
            SELECT * INTO o FROM billing.organizations WHERE id = u.organization_id;
        END IF;
        v_result := CASE
            WHEN o.id IS NULL OR (v_item.past).key IS NOT NULL OR v_item.counted IS NOT NULL OR v_repeats
            THEN billing.settled_item(o, u, v_item.past, v_item.counted, p_requests, results, v_seen) END;
        IF v_result IS NULL AND u.amount_usd IS NULL THEN
            u := billing.price_request(o, u);
            v_result := billing.keep_unpriced(o, u);
        END IF;
        IF v_result IS NULL AND u.amount_usd > o.balance_usd - o.held_usd AND o.held_usd > 0 THEN
            o := billing.expire_holds(billing.advance_clock(o));
            v_dirty := true;
        END IF;
        IF v_result IS NULL AND u.amount_usd > o.balance_usd - o.held_usd THEN
            v_result := billing.insufficient_credits(o, u.amount_usd);
        END IF;
        IF v_result IS NULL THEN
            o := billing.advance_clock(o);
            t := billing.next_transaction(
                o, 'charge', -u.amount_usd, u.description, u.reference_id, u.initiated_by);
            o.balance_usd := t.balance_after_usd;
            o.version := t.version;
            o.head_hash := t.hash;
            v_dirty := true;
            v_accepted := v_accepted + 1;
            transactions[v_accepted] := t;
            usages[v_accepted] := u;
            day_starts[v_accepted] := o.day_start;
            day_ends[v_accepted] := o.day_end;
            v_result := billing.outcome('created', billing.transaction_json(t));
        END IF;
        IF v_repeats AND v_result ->> 'outcome' IN ('created', 'unpriced') THEN
            v_seen := v_seen || billing.seen_item(u, v_item.ordinal);
        END IF;
        results[v_item.ordinal] := v_result;
    END LOOP;
    PERFORM billing.save_organization(o) WHERE v_dirty;
END $$;

-- Whether a key or an LLM request occurs more than once in a batch.
CREATE OR REPLACE FUNCTION billing.repeats(p_requests billing.usage_request[]) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT cardinality(p_requests) > 1 AND EXISTS (
        SELECT FROM unnest(p_requests) GROUP BY organization_id, idempotency_key HAVING count(*) > 1
        UNION ALL
        SELECT FROM unnest(p_requests) WHERE request_id IS NOT NULL
        GROUP BY organization_id, request_id HAVING count(*) > 1)
$$;

-- The items of a batch in the order of their organizations, each with the earlier use of its key and the
-- LLM request of it that is counted already.
CREATE OR REPLACE FUNCTION billing.batch_items(p_requests billing.usage_request[])
RETURNS TABLE (ordinal int, past billing.idempotency, counted text) LANGUAGE sql STABLE AS $$
    SELECT r.ordinality::int, (
            SELECT k FROM billing.idempotency AS k
            WHERE k.organization_id = r.organization_id AND k.kind = 'key' AND k.key = r.idempotency_key
        ), (
            SELECT k.key FROM billing.idempotency AS k
            WHERE k.organization_id = r.organization_id AND k.kind = 'request' AND k.key = r.request_id
        )
    FROM unnest(p_requests) WITH ORDINALITY AS r
    ORDER BY r.organization_id, r.ordinality
$$;

-- The keys by which decide_batch() finds an accepted item again.
CREATE OR REPLACE FUNCTION billing.seen_item(u billing.usage_request, p_ordinal int) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('key ' || u.organization_id || ' ' || u.idempotency_key, p_ordinal)
        || CASE WHEN u.request_id IS NULL THEN '{}'
            ELSE jsonb_build_object('request ' || u.organization_id || ' ' || u.request_id, p_ordinal) END
$$;

-- The answer to an item of a batch that changes nothing: there is no such organization, or its key or its
-- LLM request was used before the batch or by an item before it. NULL when the item is to be charged.
CREATE OR REPLACE FUNCTION billing.settled_item(
    o billing.organizations, u billing.usage_request, p_past billing.idempotency, p_counted text,
    p_requests billing.usage_request[], p_results json[], p_seen jsonb
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    v_first int;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    ELSIF p_past.key IS NOT NULL THEN
        RETURN billing.replay_of(p_past, u.fingerprint);
    END IF;
    v_first := p_seen -> ('key ' || o.id || ' ' || u.idempotency_key);
    IF v_first IS NOT NULL THEN
        RETURN CASE WHEN p_requests[v_first].fingerprint <> u.fingerprint
            THEN billing.outcome('idempotency_key_reused')
            WHEN p_results[v_first] ->> 'outcome' = 'unpriced' THEN p_results[v_first]
            ELSE billing.outcome('replayed', p_results[v_first] -> 'value') END;
    ELSIF p_counted IS NOT NULL THEN
        RETURN billing.request_already_counted(o.id, p_counted);
    END IF;
    v_first := p_seen -> ('request ' || o.id || ' ' || u.request_id);
    IF v_first IS NOT NULL THEN
        RETURN billing.invalid_state(format('request_id %s was already counted by %s %s',
            to_json(u.request_id),
            CASE p_results[v_first] ->> 'outcome' WHEN 'unpriced' THEN 'unpriced usage' ELSE 'transaction' END,
            p_results[v_first] -> 'value' ->> 'id'));
    END IF;
    RETURN NULL;
END $$;

-- Store the transactions of a batch, each with the usage that it charges and the local day that counts it.
CREATE OR REPLACE FUNCTION billing.store_batch(
    p_transactions billing.credit_transactions[],
    p_usages billing.usage_request[],
    p_day_starts timestamptz[],
    p_day_ends timestamptz[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing.credit_transactions
        (id, organization_id, version, transaction_type, amount_usd, balance_before_usd,
        balance_after_usd, description, reference_id, initiated_by, hold_id, charge_id, personal_salt,
        personal_digest, previous_hash, hash, created_at)
    SELECT t.id, t.organization_id, t.version, t.transaction_type, t.amount_usd, t.balance_before_usd,
        t.balance_after_usd, t.description, t.reference_id, t.initiated_by, t.hold_id, t.charge_id,
        t.personal_salt, t.personal_digest, t.previous_hash, t.hash, t.created_at
    FROM unnest(p_transactions) AS t;
    WITH charged AS MATERIALIZED (
        SELECT t.organization_id, t.id, t.created_at, d.day_start, d.day_end, u.idempotency_key,
            u.fingerprint, u.amount_usd, u.request_id, u.team_id, u.virtual_key_id, u.model, u.provider,
            coalesce(u.tokens, 0) AS tokens, u.region, u.usage, u.service_tier, u.price_id,
            u.price_multiplier
        FROM unnest(p_transactions) WITH ORDINALITY AS t
        JOIN unnest(p_usages) WITH ORDINALITY AS u USING (ordinality)
        JOIN unnest(p_day_starts, p_day_ends) WITH ORDINALITY AS d (day_start, day_end, ordinality)
            USING (ordinality)
    ), once AS (
        INSERT INTO billing.idempotency
            (organization_id, kind, key, fingerprint, result_type, result_id, created_at)
        SELECT organization_id, 'key'::billing.once_per, idempotency_key, fingerprint,
            'transaction'::billing.result_type, id, created_at
        FROM charged
        UNION ALL
        SELECT organization_id, 'request', request_id, fingerprint, 'transaction', id, created_at
        FROM charged WHERE request_id IS NOT NULL
    ), log AS (
        INSERT INTO billing.spend_logs
            (id, organization_id, transaction_id, team_id, virtual_key_id, request_id, amount_usd, model,
            provider, tokens, region, usage, service_tier, price_id, price_multiplier, bucket_start,
            created_at)
        SELECT uuidv7(), organization_id, id, team_id, virtual_key_id, request_id, amount_usd, model,
            provider, tokens, region, usage, service_tier, price_id, price_multiplier, day_start, created_at
        FROM charged
    )
    INSERT INTO billing.spend_rollups AS r
        (organization_id, bucket_start, bucket_end, model, provider, team_id, virtual_key_id, region,
        charged, amount_usd, tokens, requests)
    SELECT organization_id, day_start, day_end, model, provider, team_id, virtual_key_id, region, true,
        sum(amount_usd), sum(tokens), count(*)
    FROM charged
    GROUP BY organization_id, day_start, day_end, model, provider, team_id, virtual_key_id, region
    ON CONFLICT (organization_id, bucket_start, model, provider, team_id, virtual_key_id, region, charged)
    DO UPDATE SET
        amount_usd = r.amount_usd + excluded.amount_usd,
        tokens = r.tokens + excluded.tokens,
        requests = r.requests + excluded.requests;
END $$;
