-- Holds reserve credit for a call whose cost is not known yet. An expired hold does not count, whether or
-- not a statement has marked it; a capture exceeds its hold only when it asks to charge the overrun.

-- api helper
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
        'end_user', h.end_user,
        'model', h.model,
        'provider', h.provider,
        'tokens', h.tokens,
        'region', h.region,
        'metadata', h.metadata,
        'created_at', h.created_at
    )
$$;

-- Expire the organization's holds that are due, and return it with their credit free again. The clock
-- decides, not changed_at, which stays ahead of a clock that was set back.
CREATE OR REPLACE FUNCTION billing.expire_holds(o billing.organizations)
RETURNS billing.organizations LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := billing.now();
    v_freed record;
BEGIN
    FOR v_freed IN
        WITH expired AS (
            UPDATE billing.holds SET status = 'expired'
            WHERE organization_id = o.id AND status = 'held' AND expires_at <= v_now
            RETURNING amount_usd, budget_ids
        )
        SELECT budget_ids, sum(amount_usd) AS amount_usd FROM expired GROUP BY budget_ids
    LOOP
        o.held_usd := o.held_usd - v_freed.amount_usd;
        PERFORM billing.change_held(o.id, v_freed.budget_ids, -v_freed.amount_usd);
    END LOOP;
    RETURN o;
END $$;

-- Reserve credit for a call whose cost is not known yet.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.hold(p_tenant text, p_organization_id uuid, p_request jsonb) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    u billing.usage_request := jsonb_populate_record(NULL::billing.usage_request, p_request);
    h billing.holds;
    v_settled json;
BEGIN
    v_settled := billing.settled(o, u.idempotency_key, u.fingerprint);
    IF v_settled IS NOT NULL THEN
        RETURN v_settled;
    ELSIF o.status <> 'active' THEN
        RETURN billing.outcome('organization_suspended');
    END IF;
    IF u.amount_usd IS NULL THEN
        u := billing.price_request(o.id, u, billing.now());
        IF u.amount_usd IS NULL THEN
            RETURN billing.price_unknown(u.provider, u.model);
        END IF;
    END IF;
    IF billing.exceeds(o, u) THEN
        o := billing.expire_holds(o);
    END IF;
    v_settled := billing.not_covered(o, u);
    IF v_settled IS NOT NULL THEN
        PERFORM billing.save_organization(o);
        RETURN v_settled;
    END IF;
    INSERT INTO billing.holds (
        id, organization_id, amount_usd, expires_at, description, reference_id, initiated_by, request_id,
        team_id, virtual_key_id, end_user, model, provider, tokens, region, metadata, budget_ids, created_at
    ) VALUES (
        billing.new_id(o.changed_at), o.id, u.amount_usd,
        billing.now() + make_interval(secs => u.expires_in_seconds), u.description, u.reference_id,
        u.initiated_by, u.request_id, u.team_id, u.virtual_key_id, u.end_user, u.model, u.provider, u.tokens,
        u.region, u.metadata, billing.hold_in_budgets(o, u), o.changed_at
    ) RETURNING * INTO h;
    o.held_usd := o.held_usd + h.amount_usd;
    PERFORM billing.save_organization(o);
    INSERT INTO billing.idempotency
        (organization_id, key, fingerprint, result_type, result_id, created_at)
    VALUES (o.id, u.idempotency_key, u.fingerprint, 'hold', h.id, o.changed_at);
    RETURN billing.outcome('created', billing.hold_json(h));
END $$;

-- The request, with fields that it leaves out taken from the hold.
CREATE OR REPLACE FUNCTION billing.with_hold_defaults(u billing.usage_request, h billing.holds)
RETURNS billing.usage_request LANGUAGE plpgsql AS $$
BEGIN
    u.description := coalesce(u.description, h.description);
    u.reference_id := coalesce(u.reference_id, h.reference_id);
    u.request_id := coalesce(u.request_id, h.request_id);
    u.team_id := coalesce(u.team_id, h.team_id);
    u.virtual_key_id := coalesce(u.virtual_key_id, h.virtual_key_id);
    u.end_user := coalesce(u.end_user, h.end_user);
    u.model := coalesce(u.model, h.model);
    u.provider := coalesce(u.provider, h.provider);
    u.tokens := coalesce(u.tokens, h.tokens);
    u.region := coalesce(u.region, h.region);
    u.metadata := coalesce(u.metadata, h.metadata);
    RETURN u;
END $$;

-- Charge a hold's real cost and free the rest. An expired hold is charged like any other usage: if the
-- credit is still available. A request that charges its overrun is charged whole, whatever there is: the call
-- was made.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.capture_hold(p_tenant text, p_organization_id uuid, p_request jsonb)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    u billing.usage_request := jsonb_populate_record(NULL::billing.usage_request, p_request);
    h billing.holds;
    t billing.credit_transactions;
    v_refusal json;
BEGIN
    v_refusal := billing.settled(o, u.idempotency_key, u.fingerprint);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- The charge copies fields of the hold, so an erasure of the hold comes before the charge or after it.
    SELECT * INTO h FROM billing.holds WHERE organization_id = o.id AND id = u.hold_id FOR NO KEY UPDATE;
    u := billing.with_hold_defaults(u, h);
    IF u.amount_usd IS NULL THEN
        u := billing.price_request(o.id, u, billing.now());
    END IF;
    v_refusal := coalesce(billing.capture_refused(h, u),
        billing.request_already_counted(o.id, u.request_id), billing.keep_unpriced(o, u));
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    o := billing.expire_holds(o);
    SELECT status INTO h.status FROM billing.holds WHERE organization_id = o.id AND id = h.id;
    o.held_usd := o.held_usd - CASE h.status WHEN 'held' THEN h.amount_usd ELSE 0 END;
    IF billing.exceeds_credit(o, u.amount_usd) THEN
        -- What a live hold promised is charged, also when a dispute or an adjustment has taken the credit since.
        IF u.overrun IS DISTINCT FROM 'charge' AND (h.status <> 'held' OR u.amount_usd > h.amount_usd) THEN
            o.held_usd := o.held_usd + CASE h.status WHEN 'held' THEN h.amount_usd ELSE 0 END;
            PERFORM billing.save_organization(o);
            RETURN billing.insufficient_credits(o, u.amount_usd);
        END IF;
        o.floor_usd := least(o.floor_usd, o.balance_usd - o.held_usd - u.amount_usd);
    END IF;
    PERFORM billing.change_held(o.id, h.budget_ids, -h.amount_usd) WHERE h.status = 'held';
    t := billing.charge_of(o, u, h.id);
    PERFORM billing.store_transaction(o, t, u.idempotency_key, u.fingerprint);
    PERFORM billing.count_transaction(o, t, true);
    PERFORM billing.add_to_rollup(o.id, o.day_start, o.day_end, u, true);
    UPDATE billing.holds SET status = 'captured', captured_usd = u.amount_usd, transaction_id = t.id
    WHERE organization_id = o.id AND id = h.id AND status IN ('held', 'expired');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'hold % changed under its organization''s lock', h.id;
    END IF;
    RETURN billing.outcome('created', billing.transaction_json(t));
END $$;

-- The refusal of a capture that its hold does not allow; NULL when it does.
CREATE OR REPLACE FUNCTION billing.capture_refused(h billing.holds, u billing.usage_request) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN h.id IS NULL THEN billing.outcome('hold_not_found')
        WHEN h.status IN ('captured', 'released') THEN
            billing.invalid_state(format('Hold %s is already %s.', h.id, h.status))
        WHEN u.amount_usd > h.amount_usd AND u.overrun IS DISTINCT FROM 'charge' THEN
            billing.outcome('capture_exceeds_hold', json_build_object(
                'held_usd', h.amount_usd::text, 'required_usd', u.amount_usd::text))
        END
$$;

-- Free all of a hold. An expired hold that was released can no longer be captured.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.release_hold(p_tenant text, p_organization_id uuid, p_request jsonb)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    u billing.usage_request := jsonb_populate_record(NULL::billing.usage_request, p_request);
    h billing.holds;
    v_settled json;
    v_was billing.hold_status;
BEGIN
    v_settled := billing.settled(o, u.idempotency_key, u.fingerprint);
    IF v_settled IS NOT NULL THEN
        RETURN v_settled;
    END IF;
    SELECT * INTO h FROM billing.holds WHERE organization_id = o.id AND id = u.hold_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('hold_not_found');
    END IF;
    v_was := h.status;
    UPDATE billing.holds SET status = 'released'
    WHERE organization_id = o.id AND id = h.id AND status IN ('held', 'expired') RETURNING * INTO h;
    IF NOT FOUND THEN
        RETURN billing.invalid_state(format('Hold %s is already %s.', u.hold_id, v_was));
    END IF;
    IF v_was = 'held' THEN
        o.held_usd := o.held_usd - h.amount_usd;
        PERFORM billing.change_held(o.id, h.budget_ids, -h.amount_usd);
    END IF;
    PERFORM billing.save_organization(o);
    INSERT INTO billing.idempotency
        (organization_id, key, fingerprint, result_type, result_id, created_at)
    VALUES (o.id, u.idempotency_key, u.fingerprint, 'release', h.id, o.changed_at);
    RETURN billing.outcome('created', billing.hold_json(h));
END $$;

-- Change how much an open hold reserves, and how long from now. More needs the credit.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.change_hold(p_tenant text, p_organization_id uuid, p_request jsonb)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    u billing.usage_request := jsonb_populate_record(NULL::billing.usage_request, p_request);
    h billing.holds;
    v_expires_at timestamptz := billing.now() + make_interval(secs => u.expires_in_seconds);
    v_more billing.usage_request;
    v_refusal json;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    o := billing.expire_holds(o);
    SELECT * INTO h FROM billing.holds WHERE organization_id = o.id AND id = u.hold_id;
    IF NOT FOUND OR h.status <> 'held' THEN
        PERFORM billing.save_organization(o);
        RETURN CASE WHEN h.id IS NULL THEN billing.outcome('hold_not_found')
            ELSE billing.invalid_state(format('Hold %s is already %s.', h.id, h.status)) END;
    ELSIF u.amount_usd > h.amount_usd AND o.status <> 'active' THEN
        RETURN billing.outcome('organization_suspended');
    END IF;
    v_more := billing.with_hold_defaults(NULL, h);
    v_more.amount_usd := coalesce(u.amount_usd - h.amount_usd, 0);
    v_refusal := billing.not_covered(o, v_more);
    IF v_refusal IS NOT NULL THEN
        PERFORM billing.save_organization(o);
        RETURN v_refusal;
    END IF;
    o.held_usd := o.held_usd + v_more.amount_usd;
    PERFORM billing.change_held(o.id, h.budget_ids, v_more.amount_usd);
    UPDATE billing.holds SET
        first_amount_usd = coalesce(first_amount_usd, amount_usd),
        first_expires_at = coalesce(first_expires_at, expires_at),
        amount_usd = coalesce(u.amount_usd, amount_usd),
        expires_at = coalesce(v_expires_at, expires_at)
    WHERE organization_id = o.id AND id = h.id RETURNING * INTO h;
    PERFORM billing.save_organization(o);
    RETURN billing.outcome('found', billing.hold_json(h));
END $$;

-- One hold. It is expired from its instant on, also when no statement has marked it yet.
-- api
CREATE OR REPLACE FUNCTION billing.hold_of(p_tenant text, p_organization_id uuid, p_hold_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    h billing.holds;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    SELECT * INTO h FROM billing.holds WHERE organization_id = p_organization_id AND id = p_hold_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('hold_not_found');
    END IF;
    RETURN billing.outcome('found', billing.hold_json(billing.as_of_now(h)));
END $$;

-- api helper
CREATE OR REPLACE FUNCTION billing.as_of_now(h billing.holds) RETURNS billing.holds LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF h.status = 'held' AND h.expires_at <= billing.now() THEN
        h.status := 'expired';
    END IF;
    RETURN h;
END $$;

-- List holds, newest first, before an instant (exclusive): the first p_limit that match among the newest
-- p_scan, and the time that the search reached, NULL at the end.
-- api
CREATE OR REPLACE FUNCTION billing.holds(
    p_tenant text, p_organization_id uuid, p_status text, p_request_id text, p_before timestamptz,
    p_since timestamptz, p_limit int, p_scan int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_value json;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    WITH scanned AS MATERIALIZED (
        SELECT billing.as_of_now(ROW(r.*)::billing.holds) AS h FROM (
            (SELECT * FROM billing.holds
            WHERE organization_id = p_organization_id AND p_since IS NULL
                AND created_at < coalesce(p_before, 'infinity')
            ORDER BY created_at DESC LIMIT p_scan)
            UNION ALL
            (SELECT * FROM billing.holds
            WHERE organization_id = p_organization_id AND created_at >= p_since
            ORDER BY created_at LIMIT p_scan)
        ) AS r
    ), found AS (
        SELECT h FROM scanned
        WHERE (p_status IS NULL OR (h).status = p_status::billing.hold_status)
            AND (p_request_id IS NULL OR (h).request_id = p_request_id)
        ORDER BY CASE WHEN p_since IS NULL THEN (h).created_at END DESC, (h).created_at LIMIT p_limit
    )
    SELECT json_build_object(
        'items', (SELECT coalesce(json_agg(billing.hold_json(h) ORDER BY (h).created_at DESC), '[]') FROM found),
        'reached', (SELECT CASE WHEN p_since IS NULL THEN min((h).created_at) ELSE max((h).created_at) END
            FROM scanned HAVING count(*) = p_scan))
    INTO v_value;
    RETURN billing.outcome('found', v_value);
END $$;
