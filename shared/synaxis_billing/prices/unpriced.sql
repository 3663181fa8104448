-- Usage whose model has no price: the call was made, so it is kept with its key and charged when the price
-- comes, in order and once.

CREATE OR REPLACE FUNCTION billing.unpriced_json(n billing.unpriced_usage) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'status', CASE WHEN n.transaction_id IS NULL THEN 'unpriced' ELSE 'charged' END,
        'id', n.id,
        'organization_id', n.organization_id,
        'provider', (n.request).provider,
        'model', (n.request).model,
        'service_tier', (n.request).service_tier,
        'usage', (n.request).usage,
        'request_id', (n.request).request_id,
        'reference_id', (n.request).reference_id,
        'idempotency_key', (n.request).idempotency_key,
        'created_at', n.created_at)
$$;

-- Keep a charge that has no price, with its key; NULL when it has one. Callers hold the organization's row lock
-- and have found that neither the key nor the LLM request was used before.
CREATE OR REPLACE FUNCTION billing.keep_unpriced(o billing.organizations, u billing.usage_request)
RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    n billing.unpriced_usage;
BEGIN
    IF u.amount_usd IS NOT NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO billing.unpriced_usage (organization_id, id, request, created_at)
    VALUES (o.id, billing.new_id(billing.now()), u, billing.now()) RETURNING * INTO n;
    INSERT INTO billing.idempotency
        (organization_id, key, request_id, fingerprint, result_type, result_id, created_at)
    VALUES (o.id, u.idempotency_key, u.request_id, u.fingerprint, 'unpriced', n.id, n.created_at);
    RETURN billing.outcome('unpriced', billing.unpriced_json(n));
END $$;

-- The answer to a retry: the charge, when there is one by now.
CREATE OR REPLACE FUNCTION billing.replay_unpriced(p_past billing.idempotency) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    n billing.unpriced_usage;
BEGIN
    SELECT * INTO STRICT n FROM billing.unpriced_usage
    WHERE organization_id = p_past.organization_id AND id = p_past.result_id;
    IF n.transaction_id IS NULL THEN
        RETURN billing.outcome('unpriced', billing.unpriced_json(n));
    END IF;
    RETURN billing.outcome('replayed', billing.transaction_json(
        billing.transaction_by_id(n.organization_id, n.transaction_id)));
END $$;

-- The organizations after p_after with usage that waits and whose provider has got a price since.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.organizations_with_unpriced(p_tenant text, p_after uuid, p_limit int)
RETURNS uuid[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN ARRAY(
        SELECT DISTINCT w.organization_id FROM billing.unpriced_usage AS w
        JOIN billing.prices AS p ON p.provider = (w.request).provider AND p.effective_from <= v_now
            AND greatest(p.recorded_at, p.effective_from) > w.created_at
            AND (p.organization_id IS NULL OR p.organization_id = w.organization_id)
        WHERE w.organization_id > p_after AND w.transaction_id IS NULL
        ORDER BY 1 LIMIT p_limit);
END $$;

-- Charge usage of an organization that has a price by now, in the order in which it came; what the credit does
-- not cover waits, and what came after it. The charge has a key of its own, since the client's key answers as
-- the unpriced usage.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.charge_unpriced(p_tenant text, p_organization_id uuid, p_limit int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    n billing.unpriced_usage;
    u billing.usage_request;
    t billing.credit_transactions;
    v_charged int := 0;
BEGIN
    FOR n IN
        SELECT * FROM billing.unpriced_usage AS w
        WHERE organization_id = p_organization_id AND transaction_id IS NULL AND EXISTS (
            SELECT FROM billing.prices AS p WHERE p.provider = (w.request).provider
                AND greatest(p.recorded_at, p.effective_from) > w.created_at)
        -- An erasure that has begun ends before its texts are copied.
        ORDER BY id FOR NO KEY UPDATE OF w
    LOOP
        EXIT WHEN v_charged = p_limit;
        u := billing.price_request(o.id, n.request, billing.now());
        CONTINUE WHEN u.amount_usd IS NULL;
        EXIT WHEN billing.exceeds_credit(o, u.amount_usd);
        o := billing.advance_clock(o);
        -- It is counted already, by the usage.
        u.request_id := NULL;
        t := billing.charge_of(o, u);
        PERFORM billing.store_transaction(o, t, billing.own_key('unpriced', n.id), u.fingerprint);
        PERFORM billing.add_to_rollup(o.id, o.day_start, o.day_end, u, true);
        PERFORM billing.count_transaction(o, t, true);
        -- The charge has the personal fields now.
        n.request.description := NULL;
        n.request.initiated_by := NULL;
        n.request.end_user := NULL;
        n.request.metadata := NULL;
        UPDATE billing.unpriced_usage SET transaction_id = t.id, request = n.request
        WHERE organization_id = o.id AND id = n.id;
        SELECT * INTO o FROM billing.organizations WHERE id = o.id;
        v_charged := v_charged + 1;
    END LOOP;
    RETURN v_charged;
END $$;

-- Empty the personal fields of usage that waits, of all or of one initiator.
CREATE OR REPLACE FUNCTION billing.erase_unpriced(p_organization_id uuid, p_initiated_by text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    n billing.unpriced_usage;
BEGIN
    FOR n IN
        SELECT * FROM billing.unpriced_usage
        WHERE organization_id = p_organization_id AND transaction_id IS NULL
            AND (p_initiated_by IS NULL OR (request).initiated_by = p_initiated_by)
        ORDER BY id FOR NO KEY UPDATE
    LOOP
        n.request.description := NULL;
        n.request.initiated_by := NULL;
        n.request.end_user := NULL;
        n.request.metadata := NULL;
        UPDATE billing.unpriced_usage SET request = n.request WHERE organization_id = p_organization_id AND id = n.id;
    END LOOP;
END $$;

-- Usage that waits for a price or for credit, newest first, before the id (exclusive) that a page ended at.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.unpriced(p_tenant text, p_before uuid, p_since uuid, p_limit int) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN (
        SELECT coalesce(json_agg(billing.unpriced_json(ROW(n.*)::billing.unpriced_usage) ORDER BY n.id DESC), '[]')
        FROM (
            SELECT * FROM billing.unpriced_usage
            WHERE transaction_id IS NULL
                AND (p_before IS NULL OR id < p_before) AND (p_since IS NULL OR id >= p_since)
            ORDER BY CASE WHEN p_since IS NULL THEN id END DESC, id LIMIT p_limit
        ) AS n);
END $$;
