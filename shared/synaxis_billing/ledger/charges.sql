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
    IF u.amount_usd <= o.balance_usd - o.held_usd THEN
        v_answer := billing.store_charge(o, u);
    END IF;
    RETURN coalesce(v_answer, (billing.charge_batch(p_tenant, jsonb_build_array(p_charge)))[1]);
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

-- Charge for usage: an array of billing.usage_request in, an array of outcomes out, in the same
-- order; an item that is refused is refused alone. Each organization is locked once, in the order
-- of the ids, so that two batches never wait for each other in a circle.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.charge_batch(p_tenant text, p_charges jsonb) RETURNS json[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp
-- A plan made for one batch's size serves them all.
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_requests billing.usage_request[];
    v_results json[];
    -- What is accepted, side by side.
    v_accepted int := 0;
    v_transactions billing.credit_transactions[];
    v_usages billing.usage_request[];
    v_day_starts timestamptz[];
    v_day_ends timestamptz[];
    v_dirty boolean := false;
    -- By key and by LLM request, the item of this batch that was accepted; kept if any repeats.
    v_repeats boolean;
    v_seen jsonb := '{}';
    v_first int;
    v_item record;
    v_result json;
    u billing.usage_request;
    o billing.organizations;
    t billing.credit_transactions;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    v_requests := ARRAY(SELECT r FROM jsonb_populate_recordset(NULL::billing.usage_request, p_charges) AS r);
    v_results := array_fill(NULL::json, ARRAY[cardinality(v_requests)]);
    PERFORM FROM billing.organizations
    WHERE id = ANY (ARRAY(SELECT organization_id FROM unnest(v_requests)))
    ORDER BY id FOR NO KEY UPDATE;
    v_repeats := cardinality(v_requests) > 1 AND EXISTS (
        SELECT FROM unnest(v_requests) GROUP BY organization_id, idempotency_key HAVING count(*) > 1
        UNION ALL
        SELECT FROM unnest(v_requests) WHERE request_id IS NOT NULL
        GROUP BY organization_id, request_id HAVING count(*) > 1);

    FOR v_item IN
        SELECT r.organization_id, r.ordinality::int AS ordinal, (
                SELECT k FROM billing.idempotency AS k
                WHERE k.organization_id = r.organization_id AND k.kind = 'key' AND k.key = r.idempotency_key
            ) AS past, (
                SELECT k.key FROM billing.idempotency AS k
                WHERE k.organization_id = r.organization_id AND k.kind = 'request' AND k.key = r.request_id
            ) AS counted
        FROM unnest(v_requests) WITH ORDINALITY AS r
        ORDER BY r.organization_id, r.ordinality
    LOOP
        u := v_requests[v_item.ordinal];
        IF o.id IS DISTINCT FROM u.organization_id THEN
            IF v_dirty THEN
                PERFORM billing.save_organization(o);
                v_dirty := false;
            END IF;
            SELECT * INTO o FROM billing.organizations WHERE id = u.organization_id;
        END IF;

        v_result := CASE
            WHEN o.id IS NULL THEN billing.outcome('organization_not_found')
            WHEN (v_item.past).key IS NOT NULL THEN billing.replay_of(v_item.past, u.fingerprint)
        END;
        v_first := v_seen -> ('key ' || o.id || ' ' || u.idempotency_key);
        IF v_result IS NULL AND v_first IS NOT NULL THEN
            v_result := CASE WHEN v_requests[v_first].fingerprint = u.fingerprint
                THEN billing.outcome('replayed', v_results[v_first] -> 'value')
                ELSE billing.outcome('idempotency_key_reused') END;
        END IF;
        IF v_result IS NULL AND v_item.counted IS NOT NULL THEN
            v_result := billing.request_already_counted(o.id, v_item.counted);
        END IF;
        v_first := v_seen -> ('request ' || o.id || ' ' || u.request_id);
        IF v_result IS NULL AND v_first IS NOT NULL THEN
            v_result := billing.invalid_state(format(
                'request_id %s was already counted by transaction %s',
                to_json(u.request_id), v_results[v_first] -> 'value' ->> 'id'));
        END IF;
        IF v_result IS NULL AND u.amount_usd > o.balance_usd - o.held_usd THEN
            IF o.held_usd > 0 THEN
                o := billing.expire_holds(billing.advance_clock(o));
                v_dirty := true;
            END IF;
            IF u.amount_usd > o.balance_usd - o.held_usd THEN
                v_result := billing.insufficient_credits(o, u.amount_usd);
            END IF;
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
            v_transactions[v_accepted] := t;
            v_usages[v_accepted] := u;
            v_day_starts[v_accepted] := o.day_start;
            v_day_ends[v_accepted] := o.day_end;
            IF v_repeats THEN
                v_seen := v_seen
                    || jsonb_build_object('key ' || o.id || ' ' || u.idempotency_key, v_item.ordinal);
                IF u.request_id IS NOT NULL THEN
                    v_seen := v_seen
                        || jsonb_build_object('request ' || o.id || ' ' || u.request_id, v_item.ordinal);
                END IF;
            END IF;
            v_result := billing.outcome('created', billing.transaction_json(t));
        END IF;
        v_results[v_item.ordinal] := v_result;
    END LOOP;

    IF v_dirty THEN
        PERFORM billing.save_organization(o);
    END IF;
    IF v_accepted > 0 THEN
        PERFORM billing.store_batch(v_transactions, v_usages, v_day_starts, v_day_ends);
    END IF;
    RETURN v_results;
END $$;

-- Store what a batch came to: transactions, and beside each the usage that it charges and the local
-- day that counts it. All is stored, or nothing.
CREATE OR REPLACE FUNCTION billing.store_batch(
    p_transactions billing.credit_transactions[],
    p_usages billing.usage_request[],
    p_day_starts timestamptz[],
    p_day_ends timestamptz[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing.credit_transactions SELECT * FROM unnest(p_transactions);
    WITH charged AS MATERIALIZED (
        SELECT t.organization_id, t.id, t.created_at, d.day_start, d.day_end, u.idempotency_key,
            u.fingerprint, u.amount_usd, u.request_id, u.team_id, u.virtual_key_id, u.model, u.provider,
            coalesce(u.tokens, 0) AS tokens, u.region
        FROM unnest(p_transactions) WITH ORDINALITY AS t
        JOIN unnest(p_usages) WITH ORDINALITY AS u USING (ordinality)
        JOIN unnest(p_day_starts, p_day_ends) WITH ORDINALITY AS d (day_start, day_end, ordinality)
            USING (ordinality)
    ), once AS (
        INSERT INTO billing.idempotency
        SELECT organization_id, 'key'::billing.once_per, idempotency_key, fingerprint,
            'transaction'::billing.result_type, id, created_at
        FROM charged
        UNION ALL
        SELECT organization_id, 'request', request_id, fingerprint, 'transaction', id, created_at
        FROM charged WHERE request_id IS NOT NULL
    ), log AS (
        INSERT INTO billing.spend_logs
        SELECT uuidv7(), organization_id, id, team_id, virtual_key_id, request_id, amount_usd, model,
            provider, tokens, region, day_start, created_at
        FROM charged
    )
    INSERT INTO billing.spend_rollups AS r
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
