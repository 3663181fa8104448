-- Charges for usage, one or a batch. A charge is one transaction, which is its spend log too, its rollup and
-- its idempotency row, all stored by one statement; no charge takes more than the available credit.

-- Charge for usage. Nearly every charge is new and paid for: one UPDATE locks the organization, sees that the
-- credit is there, numbers the transaction and hashes it as transaction_hash() does. What that UPDATE does not
-- find, the batch of one decides; also what a budget does not simply count, on the organization as it was. The clock is
-- read before the lock, so each writer of the organization's row moves changed_at forward under the lock. A key or an
-- LLM request that another call used at the same moment is a unique violation. After the clock was set back, the id takes its time from changed_at, in the batch of one.
-- Tokens are priced before the lock; without a price there is no amount, and no credit that covers it. The
-- answer has what the caller does not know.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.charge(p_tenant text, p_organization_id uuid, p_request jsonb) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_tenant text := set_config('billing.tenant', CASE p_tenant WHEN '*' THEN p_organization_id::text ELSE p_tenant END, true);
    u billing.usage_request := jsonb_populate_record(NULL::billing.usage_request, p_request);
    v_now timestamptz := billing.now();
    v_id uuid := billing.new_id(v_now);
    v_salt uuid := gen_random_uuid();
    v_digest bytea := billing.personal_digest(v_salt, u.description, u.initiated_by, u.end_user, u.metadata);
    v_priced text;
    t record;
BEGIN
    IF u.usage IS NOT NULL THEN
        u := billing.price_request(p_organization_id, u, v_now);
        v_priced := billing.priced_members(u);
    END IF;
    UPDATE billing.organizations AS o SET
        balance_usd = o.balance_usd - u.amount_usd, drawn_usd = o.drawn_usd + u.amount_usd, version = o.version + 1,
        floor_usd = 0, changed_at = billing.next_instant(o.changed_at, v_now),
        head_hash = billing.charge_hash(o.head_hash, v_id, o.id, o.version + 1, u.amount_usd, o.balance_usd,
            u.reference_id, v_digest, billing.next_instant(o.changed_at, v_now), o.drawn_usd)
    WHERE o.id = p_organization_id AND o.balance_usd + o.credit_limit_usd - o.held_usd >= u.amount_usd
        AND billing.next_instant(o.changed_at, v_now) < o.fast_until AND o.changed_at < v_now + interval '10 seconds'
        AND NOT EXISTS (SELECT FROM billing.idempotency WHERE organization_id = p_organization_id AND key = u.idempotency_key)
    RETURNING old.balance_usd AS before, new.balance_usd AS after, old.drawn_usd AS drawn, new.version,
        old.head_hash AS previous_hash, new.head_hash AS hash, new.changed_at, new.day_start, new.day_end, new.budgeted,
        new.low_balance_threshold_usd AS low, old.floor_usd AS floor INTO t;
    IF t.budgeted AND NOT billing.count_charge(p_organization_id, u, t.changed_at) THEN
        UPDATE billing.organizations SET balance_usd = t.before, drawn_usd = t.drawn, version = t.version - 1,
            floor_usd = t.floor, head_hash = t.previous_hash WHERE id = p_organization_id;
        t.version := NULL;
    END IF;
    IF t.version IS NULL THEN
        RETURN (billing.charge_batch(p_tenant, jsonb_build_array(
            p_request || jsonb_build_object('organization_id', p_organization_id))))[1];
    END IF;
    IF t.after < t.low AND t.before >= t.low THEN
        PERFORM billing.balance_low(p_organization_id, t.after, t.low, t.version);
    END IF;
    UPDATE billing.spend_rollups AS r SET amount_usd = r.amount_usd + u.amount_usd, requests = r.requests + 1,
        tokens = r.tokens + coalesce(u.tokens, 0), input_tokens = r.input_tokens + coalesce(u.input_tokens, 0),
        cached_tokens = r.cached_tokens + coalesce(u.cached_tokens, 0), output_tokens = r.output_tokens + coalesce(u.output_tokens, 0),
        cost_usd = r.cost_usd + coalesce(u.cost_usd, 0), margin_usd = r.margin_usd + coalesce(u.amount_usd - u.cost_usd, 0)
    WHERE organization_id = p_organization_id AND bucket_start = t.day_start AND dimensions =
        billing.dimensions(u.model, u.provider, u.team_id, u.virtual_key_id, u.region, true);
    IF NOT FOUND THEN
        PERFORM billing.add_to_rollup(p_organization_id, t.day_start, t.day_end, u, true);
    END IF;
    INSERT INTO billing.idempotency (organization_id, key, request_id, fingerprint, result_type, result_id, created_at)
    VALUES (p_organization_id, u.idempotency_key, u.request_id, u.fingerprint, 'transaction', v_id, t.changed_at);
    INSERT INTO billing.credit_transactions (id, organization_id, version, transaction_type, amount_usd,
        balance_before_usd, balance_after_usd, drawn_usd, description, reference_id, initiated_by, request_id, team_id,
        virtual_key_id, end_user, model, provider, tokens, region, metadata, usage, service_tier, price_id,
        price_multiplier, cost_usd, bucket_start, personal_salt, personal_digest, previous_hash, hash, created_at)
    VALUES (v_id, p_organization_id, t.version, 'charge', -u.amount_usd, t.before, t.after, t.drawn, u.description,
        u.reference_id, u.initiated_by, u.request_id, u.team_id, u.virtual_key_id, u.end_user, u.model, u.provider, u.tokens,
        u.region, u.metadata, u.usage, u.service_tier, u.price_id, u.price_multiplier, u.cost_usd, t.day_start, v_salt,
        v_digest, t.previous_hash, t.hash, t.changed_at);
    RETURN billing.created_charge(v_id, t.before, t.after, t.drawn, t.version, t.hash, t.changed_at, v_priced);
END $$;

-- The answer to a new charge: what its caller does not know.
CREATE OR REPLACE FUNCTION billing.created_charge(
    p_id uuid, p_before_usd numeric, p_after_usd numeric, p_drawn_usd numeric, p_version bigint, p_hash bytea,
    p_created_at timestamptz, p_priced text
) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT concat('{"outcome": "created", "value": {"id": "', p_id, '", "balance_before_usd": "', p_before_usd,
        '", "balance_after_usd": "', p_after_usd, '", "drawn_usd": "', p_drawn_usd, '", "version": ', p_version, ', "hash": "',
        encode(p_hash, 'hex'), '", "created_at": ', to_json(p_created_at), p_priced, '}}')::json
$$;

-- The hash of a charge that no hold precedes, as transaction_hash() makes it. A cluster takes only IMMUTABLE
-- functions of a row in an UPDATE: this one and next_instant() do not depend on settings.
CREATE OR REPLACE FUNCTION billing.charge_hash(
    p_previous_hash bytea, p_id uuid, p_organization_id uuid, p_version bigint, p_amount_usd numeric,
    p_balance_before_usd numeric, p_reference_id text, p_digest bytea, p_created_at timestamptz,
    p_drawn_usd numeric
) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN sha256(p_previous_hash || convert_to(concat('["', p_id, '", "', p_organization_id, '", "', p_version,
        '", "charge", "', -p_amount_usd, '", "', p_balance_before_usd, '", "',
        p_balance_before_usd - p_amount_usd, '", ', coalesce(to_json(p_reference_id)::text, 'null'),
        ', null, null, "', encode(p_digest, 'hex'), '", "', (date_part('epoch', p_created_at) * 1000000)::bigint, '", "', p_drawn_usd, '", null, null]'),
        'UTF8'));
END $$;

-- Charge for usage: an array of billing.usage_request in, an array of outcomes out, in the same
-- order, which have what the caller does not know; a refused item does not affect the others. A batch of one
-- organization waits for it. One of many waits for none, so that it holds none while it waits: items of an
-- organization that somebody else has are too_many_requests.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.charge_batch(p_tenant text, p_charges jsonb) RETURNS json[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp
-- A plan made for one batch's size serves them all.
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_requests billing.usage_request[];
    v_organizations uuid[];
    v_locked uuid[];
    b record;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    v_requests := ARRAY(SELECT r FROM jsonb_populate_recordset(NULL::billing.usage_request, p_charges) AS r);
    v_organizations := ARRAY(SELECT DISTINCT organization_id FROM unnest(v_requests));
    IF cardinality(v_organizations) = 1 THEN
        PERFORM FROM billing.organizations WHERE id = v_organizations[1] FOR NO KEY UPDATE;
    ELSE
        v_locked := ARRAY(SELECT id FROM billing.organizations
            WHERE id = ANY (v_organizations) FOR NO KEY UPDATE SKIP LOCKED);
        IF cardinality(v_locked) < cardinality(v_organizations) THEN
            v_requests := billing.without_busy(v_requests, v_organizations, v_locked);
        END IF;
    END IF;
    b := billing.decide_batch(
        v_requests, CASE WHEN cardinality(v_organizations) = 1 THEN v_organizations[1] END);
    IF b.transactions IS NOT NULL THEN
        PERFORM billing.store_transactions(b.transactions);
        PERFORM billing.store_keys(b.transactions, b.usages);
        PERFORM billing.add_to_rollups(b.transactions, b.usages, b.day_ends);
    END IF;
    RETURN b.results;
END $$;

-- The requests of a batch, with NULL in the place of those of organizations that could not be locked. One that does
-- not exist stays, to be answered so.
CREATE OR REPLACE FUNCTION billing.without_busy(
    p_requests billing.usage_request[], p_organizations uuid[], p_locked uuid[]
) RETURNS billing.usage_request[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_busy uuid[] := ARRAY(SELECT id FROM billing.organizations
        WHERE id = ANY (p_organizations) AND id <> ALL (p_locked));
BEGIN
    FOR n IN 1..cardinality(p_requests) LOOP
        IF p_requests[n].organization_id = ANY (v_busy) THEN
            p_requests[n] := NULL;
        END IF;
    END LOOP;
    RETURN p_requests;
END $$;

-- Decide the items of a batch one after the other, and write their organizations back: each item's
-- outcome, and side by side the transactions to store, their usages and the ends of the local days that
-- count them. p_organization_id is that of all items, if they have one. NULL is an item of a busy organization.
CREATE OR REPLACE FUNCTION billing.decide_batch(
    p_requests billing.usage_request[], p_organization_id uuid, OUT results json[],
    OUT transactions billing.credit_transactions[], OUT usages billing.usage_request[], OUT day_ends timestamptz[]
) LANGUAGE plpgsql AS $$
DECLARE
    v_repeats boolean := billing.repeats(p_requests);
    -- The accepted item of this batch by key and by LLM request; filled if any of them repeats.
    v_seen jsonb := '{}';
    v_dirty boolean := false;
    v_item record;
    v_result json;
    u billing.usage_request;
    o billing.organizations;
    t billing.credit_transactions;
BEGIN
    results := array_fill(billing.outcome('too_many_requests'), ARRAY[cardinality(p_requests)]);
    FOR v_item IN SELECT * FROM billing.batch_items(p_requests, p_organization_id) LOOP
        u := p_requests[v_item.ordinal];
        IF o.id IS DISTINCT FROM u.organization_id THEN
            PERFORM billing.save_organization(o) WHERE v_dirty;
            v_dirty := false;
            SELECT * INTO o FROM billing.organizations WHERE id = u.organization_id;
        END IF;
        v_result := CASE
            WHEN o.id IS NULL OR (v_item.past).key IS NOT NULL OR v_item.counted IS NOT NULL OR v_repeats
            THEN billing.settled_item(o, u, v_item.past, v_item.counted, p_requests, results, v_seen) END;
        v_result := coalesce(v_result,
            CASE WHEN o.status <> 'active' THEN billing.outcome('organization_suspended') END);
        IF v_result IS NULL AND u.amount_usd IS NULL THEN
            u := billing.price_request(o.id, u, billing.now());
            v_result := billing.keep_unpriced(o, u);
        END IF;
        IF v_result IS NULL THEN
            o := billing.advance_clock(o);
            v_dirty := v_dirty OR o.budgeted OR o.held_usd > 0;
            IF o.held_usd > 0 AND billing.exceeds(o, u) THEN
                o := billing.expire_holds(o);
            END IF;
            v_result := billing.not_covered(o, u);
        END IF;
        IF v_result IS NULL THEN
            t := billing.charge_of(o, u);
            o := billing.after(o, t);
            IF o.budgeted THEN
                PERFORM billing.count_transaction(o, t, false);
            END IF;
            v_dirty := true;
            transactions := transactions || t;
            usages := usages || u;
            day_ends := day_ends || o.day_end;
            v_result := billing.created_charge(t.id, t.balance_before_usd, t.balance_after_usd, t.drawn_usd,
                t.version, t.hash, t.created_at, CASE WHEN u.usage IS NOT NULL THEN billing.priced_members(u) END);
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
-- LLM request of it that is counted already. In a cluster the rows are found by p_organization_id.
CREATE OR REPLACE FUNCTION billing.batch_items(p_requests billing.usage_request[], p_organization_id uuid)
RETURNS TABLE (ordinal int, past billing.idempotency, counted text) LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_organization_id IS NOT NULL THEN
        RETURN QUERY SELECT r.ordinality::int, (
                SELECT ROW(k.*)::billing.idempotency FROM billing.idempotency AS k
                WHERE k.organization_id = p_organization_id AND k.key = r.idempotency_key
            ), (
                SELECT k.request_id FROM billing.idempotency AS k
                WHERE k.organization_id = p_organization_id AND k.request_id = r.request_id
            )
        FROM unnest(p_requests) WITH ORDINALITY AS r ORDER BY r.ordinality;
        RETURN;
    END IF;
    RETURN QUERY SELECT r.ordinality::int, (
            SELECT k FROM billing.idempotency AS k
            WHERE k.organization_id = r.organization_id AND k.key = r.idempotency_key
        ), (
            SELECT k.request_id FROM billing.idempotency AS k
            WHERE k.organization_id = r.organization_id AND k.request_id = r.request_id
        )
    FROM unnest(p_requests) WITH ORDINALITY AS r WHERE r.organization_id IS NOT NULL
    ORDER BY r.organization_id, r.ordinality;
END $$;

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
        RETURN billing.invalid_state(format('The request_id %s was already counted by %s %s.',
            to_json(u.request_id),
            CASE p_results[v_first] ->> 'outcome' WHEN 'unpriced' THEN 'unpriced usage' ELSE 'transaction' END,
            p_results[v_first] -> 'value' ->> 'id'));
    END IF;
    RETURN NULL;
END $$;

-- Store the keys of a batch's transactions, which lie side by side with their usages.
CREATE OR REPLACE FUNCTION billing.store_keys(
    p_transactions billing.credit_transactions[], p_usages billing.usage_request[]
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO billing.idempotency
        (organization_id, key, request_id, fingerprint, result_type, result_id, created_at)
    SELECT t.organization_id, u.idempotency_key, u.request_id, u.fingerprint,
        'transaction'::billing.result_type, t.id, t.created_at
    FROM unnest(p_transactions) WITH ORDINALITY AS t
    JOIN unnest(p_usages) WITH ORDINALITY AS u USING (ordinality)
$$;
