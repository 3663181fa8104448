-- Holds reserve credit for a call whose cost is not known yet. An expired hold does not count, whether or
-- not a statement has marked it; a capture never exceeds its hold.

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

-- Expire the organization's holds that are due, and return it with their credit free again.
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

-- Reserve credit for a call whose cost is not known yet.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.hold(
    p_tenant text, p_organization_id uuid, p_request jsonb, p_expires_in_seconds int
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    u billing.usage_request := jsonb_populate_record(NULL::billing.usage_request, p_request);
    h billing.holds;
    v_settled json;
BEGIN
    v_settled := billing.settled(o, u.idempotency_key, u.fingerprint);
    IF v_settled IS NOT NULL THEN
        RETURN v_settled;
    END IF;
    IF u.amount_usd IS NULL THEN
        u := billing.price_request(o, u);
        IF u.amount_usd IS NULL THEN
            RETURN billing.price_unknown(u.provider, u.model);
        END IF;
    END IF;
    IF u.amount_usd > o.balance_usd - o.held_usd THEN
        o := billing.expire_holds(o);
    END IF;
    IF u.amount_usd > o.balance_usd - o.held_usd THEN
        PERFORM billing.save_organization(o);
        RETURN billing.insufficient_credits(o, u.amount_usd);
    END IF;
    INSERT INTO billing.holds (
        id, organization_id, amount_usd, expires_at, description, reference_id, initiated_by, team_id,
        virtual_key_id, request_id, model, provider, tokens, region, created_at
    ) VALUES (
        uuidv7(), o.id, u.amount_usd, o.changed_at + make_interval(secs => p_expires_in_seconds),
        u.description, u.reference_id, u.initiated_by, u.team_id, u.virtual_key_id, u.request_id,
        u.model, u.provider, u.tokens, u.region, o.changed_at
    ) RETURNING * INTO h;
    o.held_usd := o.held_usd + h.amount_usd;
    PERFORM billing.save_organization(o);
    INSERT INTO billing.idempotency
        (organization_id, kind, key, fingerprint, result_type, result_id, created_at)
    VALUES (o.id, 'key', u.idempotency_key, u.fingerprint, 'hold', h.id, o.changed_at);
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
    u.model := coalesce(u.model, h.model);
    u.provider := coalesce(u.provider, h.provider);
    u.tokens := coalesce(u.tokens, h.tokens);
    u.region := coalesce(u.region, h.region);
    RETURN u;
END $$;

-- Charge a hold's real cost and free the rest. An expired hold is charged like any other usage: if the
-- credit is still available.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.capture_hold(
    p_tenant text, p_organization_id uuid, p_hold_id uuid, p_request jsonb
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    u billing.usage_request := jsonb_populate_record(NULL::billing.usage_request, p_request);
    h billing.holds;
    v_settled json;
    v_refusal json;
    v_answer json;
BEGIN
    v_settled := billing.settled(o, u.idempotency_key, u.fingerprint);
    IF v_settled IS NOT NULL THEN
        RETURN v_settled;
    END IF;
    -- The charge copies fields of the hold, so an erasure of the hold comes before the charge or after it.
    SELECT * INTO h FROM billing.holds WHERE id = p_hold_id AND organization_id = o.id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN billing.outcome('hold_not_found');
    END IF;
    IF h.status IN ('captured', 'released') THEN
        RETURN billing.invalid_state(format('hold %s is already %s', h.id, h.status));
    END IF;
    u := billing.with_hold_defaults(u, h);
    IF u.amount_usd IS NULL THEN
        u := billing.price_request(o, u);
    END IF;
    IF u.amount_usd > h.amount_usd THEN
        RETURN billing.outcome('capture_exceeds_hold', json_build_object(
            'held_usd', h.amount_usd::text, 'required_usd', u.amount_usd::text));
    END IF;
    v_refusal := coalesce(
        billing.request_already_counted(o.id, u.request_id), billing.keep_unpriced(o, u));
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;

    o := billing.expire_holds(o);
    SELECT status INTO h.status FROM billing.holds WHERE id = h.id;
    IF h.status = 'held' THEN
        o.held_usd := o.held_usd - h.amount_usd;
    END IF;
    IF u.amount_usd > o.balance_usd - o.held_usd THEN
        IF h.status = 'held' THEN
            o.held_usd := o.held_usd + h.amount_usd;
        END IF;
        PERFORM billing.save_organization(o);
        RETURN billing.insufficient_credits(o, u.amount_usd);
    END IF;
    v_answer := billing.store_charge(o, u, h.id);
    UPDATE billing.holds SET status = 'captured', captured_usd = u.amount_usd,
        transaction_id = (v_answer -> 'value' ->> 'id')::uuid
    WHERE id = h.id AND status IN ('held', 'expired');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'hold % changed under its organization''s lock', h.id;
    END IF;
    RETURN v_answer;
END $$;

-- Free all of a hold. An expired hold that was released can no longer be captured.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.release_hold(
    p_tenant text, p_organization_id uuid, p_hold_id uuid, p_key text, p_fingerprint bytea
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    h billing.holds;
    v_settled json;
    v_was billing.hold_status;
BEGIN
    v_settled := billing.settled(o, p_key, p_fingerprint);
    IF v_settled IS NOT NULL THEN
        RETURN v_settled;
    END IF;
    SELECT * INTO h FROM billing.holds WHERE id = p_hold_id AND organization_id = o.id;
    IF NOT FOUND THEN
        RETURN billing.outcome('hold_not_found');
    END IF;
    v_was := h.status;
    UPDATE billing.holds SET status = 'released'
    WHERE id = h.id AND status IN ('held', 'expired') RETURNING * INTO h;
    IF NOT FOUND THEN
        RETURN billing.invalid_state(format('hold %s is already %s', p_hold_id, v_was));
    END IF;
    IF v_was = 'held' THEN
        o.held_usd := o.held_usd - h.amount_usd;
    END IF;
    PERFORM billing.save_organization(o);
    INSERT INTO billing.idempotency
        (organization_id, kind, key, fingerprint, result_type, result_id, created_at)
    VALUES (o.id, 'key', p_key, p_fingerprint, 'release', h.id, o.changed_at);
    RETURN billing.outcome('created', billing.hold_json(h));
END $$;
