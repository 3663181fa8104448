-- Spend logs: one row per LLM request, charged or logged for analytics alone.

-- api helper
CREATE OR REPLACE FUNCTION billing.spend_log_json(s billing.spend_logs) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', s.id,
        'organization_id', s.organization_id,
        'transaction_id', s.transaction_id,
        'amount_usd', s.amount_usd::text,
        'reference_id', s.reference_id,
        'request_id', s.request_id,
        'team_id', s.team_id,
        'virtual_key_id', s.virtual_key_id,
        'end_user', s.end_user,
        'model', s.model,
        'provider', s.provider,
        'tokens', coalesce(s.tokens, 0),
        'region', s.region,
        'metadata', s.metadata,
        'usage', s.usage,
        'service_tier', s.service_tier,
        'price_id', s.price_id,
        'price_multiplier', s.price_multiplier::text,
        'created_at', s.created_at
    )
$$;

-- Log spend for analytics without charging it. The key is optional: an LLM request is counted once
-- whatever key it comes with.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.log_spend(p_tenant text, p_organization_id uuid, p_request jsonb)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    u billing.usage_request := jsonb_populate_record(NULL::billing.usage_request, p_request);
    s billing.spend_logs;
    v_settled json;
    v_past billing.idempotency;
BEGIN
    v_settled := billing.settled(o, u.idempotency_key, u.fingerprint);
    IF v_settled IS NOT NULL THEN
        RETURN v_settled;
    END IF;
    SELECT * INTO v_past FROM billing.idempotency
    WHERE organization_id = o.id AND request_id = u.request_id;
    IF FOUND THEN
        RETURN CASE WHEN v_past.fingerprint = u.fingerprint
            THEN billing.replay_of(v_past, u.fingerprint)
            ELSE billing.request_already_counted(o.id, u.request_id) END;
    END IF;
    IF u.usage IS NOT NULL THEN
        u := billing.price_request(o.id, u, billing.now());
        IF u.amount_usd IS NULL THEN
            RETURN billing.price_unknown(u.provider, u.model);
        END IF;
    END IF;
    PERFORM billing.save_organization(o);
    INSERT INTO billing.logged_spend
        (id, organization_id, amount_usd, reference_id, request_id, team_id, virtual_key_id, end_user, model,
        provider, tokens, region, metadata, usage, service_tier, price_id, price_multiplier, cost_usd,
        bucket_start, created_at)
    VALUES (billing.new_id(o.changed_at), o.id, u.amount_usd, u.reference_id, u.request_id, u.team_id,
        u.virtual_key_id, u.end_user, u.model, u.provider, u.tokens, u.region, u.metadata, u.usage,
        u.service_tier, u.price_id, u.price_multiplier, u.cost_usd, o.day_start, o.changed_at);
    SELECT * INTO s FROM billing.spend_logs WHERE organization_id = o.id AND created_at = o.changed_at;
    IF coalesce(u.idempotency_key, u.request_id) IS NOT NULL THEN
        INSERT INTO billing.idempotency
            (organization_id, key, request_id, fingerprint, result_type, result_id, created_at)
        VALUES (o.id, u.idempotency_key, u.request_id, u.fingerprint, 'spend_log', s.id, s.created_at);
    END IF;
    PERFORM billing.add_to_rollup(o.id, o.day_start, o.day_end, u, false);
    RETURN billing.outcome('created', billing.spend_log_json(s));
END $$;

-- A charge as the spend log that it is.
-- api helper
CREATE OR REPLACE FUNCTION billing.log_of_charge(t billing.credit_transactions) RETURNS billing.spend_logs
LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(t.id, t.organization_id, t.id, -t.amount_usd, t.reference_id, t.request_id, t.team_id,
        t.virtual_key_id, t.end_user, t.model, t.provider, t.tokens, t.region, t.metadata, t.usage,
        t.service_tier, t.price_id, t.price_multiplier, t.cost_usd, t.bucket_start, t.created_at)::billing.spend_logs
$$;

-- The newest spend logs of a half-open period: what the view would sort, read from its tables in order.
-- api helper
CREATE OR REPLACE FUNCTION billing.newest_spend_logs(
    p_organization_id uuid, p_start timestamptz, p_end timestamptz, p_limit int
) RETURNS SETOF billing.spend_logs LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY
    SELECT (s).* FROM (
        SELECT billing.log_of_charge(ROW(t.*)::billing.credit_transactions) AS s, created_at FROM (
            SELECT * FROM billing.credit_transactions
            WHERE organization_id = p_organization_id AND transaction_type = 'charge'
                AND created_at >= p_start AND created_at < p_end
            ORDER BY created_at DESC LIMIT p_limit
        ) AS t
        UNION ALL
        SELECT ROW(l.id, l.organization_id, NULL::uuid, l.amount_usd, l.reference_id, l.request_id, l.team_id,
            l.virtual_key_id, l.end_user, l.model, l.provider, l.tokens, l.region, l.metadata, l.usage,
            l.service_tier, l.price_id, l.price_multiplier, l.cost_usd, l.bucket_start,
            l.created_at)::billing.spend_logs, created_at
        FROM (
            SELECT * FROM billing.logged_spend
            WHERE organization_id = p_organization_id AND created_at >= p_start AND created_at < p_end
            ORDER BY created_at DESC LIMIT p_limit
        ) AS l
        ORDER BY created_at DESC LIMIT p_limit
    ) AS newest;
END $$;

-- Whether a row has every field that the filter names.
-- api helper
CREATE OR REPLACE FUNCTION billing.matches(
    f billing.usage_request, p_request_id text, p_reference_id text, p_team_id text, p_virtual_key_id text,
    p_end_user text, p_model text, p_provider text
) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (f.request_id IS NULL OR p_request_id = f.request_id)
        AND (f.reference_id IS NULL OR p_reference_id = f.reference_id)
        AND (f.team_id IS NULL OR p_team_id = f.team_id)
        AND (f.virtual_key_id IS NULL OR p_virtual_key_id = f.virtual_key_id)
        AND (f.end_user IS NULL OR p_end_user = f.end_user)
        AND (f.model IS NULL OR p_model = f.model)
        AND (f.provider IS NULL OR p_provider = f.provider)
$$;

-- List spend logs of a half-open period, newest first: the first p_limit that match p_filter (an object with
-- fields of billing.usage_request) among the newest p_scan, and the time that the search reached, NULL at the
-- end.
-- api
CREATE OR REPLACE FUNCTION billing.spend_logs(
    p_tenant text, p_organization_id uuid, p_filter jsonb, p_start timestamptz, p_end timestamptz,
    p_since timestamptz, p_limit int, p_scan int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    f billing.usage_request := jsonb_populate_record(NULL::billing.usage_request, p_filter);
    v_value json;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    IF p_since IS NOT NULL THEN
        p_start := greatest(p_start, p_since);
        p_end := least(p_end, (SELECT max(created_at) + interval '1 microsecond' FROM (
            (SELECT created_at FROM billing.credit_transactions
            WHERE organization_id = p_organization_id AND transaction_type = 'charge' AND created_at >= p_start
            ORDER BY created_at LIMIT p_scan)
            UNION ALL
            (SELECT created_at FROM billing.logged_spend
            WHERE organization_id = p_organization_id AND created_at >= p_start
            ORDER BY created_at LIMIT p_scan)
            ORDER BY created_at LIMIT p_scan) AS oldest));
    END IF;
    WITH scanned AS MATERIALIZED (
        SELECT s FROM billing.newest_spend_logs(p_organization_id, coalesce(p_start, '-infinity'),
            coalesce(p_end, 'infinity'), p_scan) AS s
    ), found AS (
        SELECT s FROM scanned
        WHERE billing.matches(f, (s).request_id, (s).reference_id, (s).team_id, (s).virtual_key_id,
            (s).end_user, (s).model, (s).provider)
        ORDER BY CASE WHEN p_since IS NULL THEN (s).created_at END DESC, (s).created_at LIMIT p_limit
    )
    SELECT json_build_object(
        'items', (SELECT coalesce(json_agg(billing.spend_log_json(s) ORDER BY (s).created_at DESC), '[]') FROM found),
        'reached', (SELECT CASE WHEN p_since IS NULL THEN min((s).created_at) ELSE max((s).created_at) END
            FROM scanned HAVING count(*) = p_scan))
    INTO v_value;
    RETURN billing.outcome('found', v_value);
END $$;
