-- Spend logs: one row per LLM request, charged or logged for analytics alone.

-- api helper
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
    WHERE organization_id = o.id AND kind = 'request' AND key = u.request_id;
    IF FOUND THEN
        RETURN CASE WHEN v_past.fingerprint = u.fingerprint
            THEN billing.replay_of(v_past, u.fingerprint)
            ELSE billing.request_already_counted(o.id, u.request_id) END;
    END IF;
    s.id := uuidv7();
    s.organization_id := o.id;
    s.team_id := u.team_id;
    s.virtual_key_id := u.virtual_key_id;
    s.request_id := u.request_id;
    s.amount_usd := u.amount_usd;
    s.model := u.model;
    s.provider := u.provider;
    s.tokens := coalesce(u.tokens, 0);
    s.region := u.region;
    s.bucket_start := o.day_start;
    s.created_at := o.changed_at;
    PERFORM billing.save_organization(o);
    INSERT INTO billing.idempotency
        (organization_id, kind, key, fingerprint, result_type, result_id, created_at)
    SELECT o.id, kind, key, u.fingerprint, 'spend_log', s.id, o.changed_at
    FROM (VALUES ('key'::billing.once_per, u.idempotency_key), ('request', u.request_id)) AS m (kind, key)
    WHERE key IS NOT NULL;
    INSERT INTO billing.spend_logs
        (id, organization_id, transaction_id, team_id, virtual_key_id, request_id, amount_usd, model,
        provider, tokens, region, bucket_start, created_at)
    VALUES (s.id, s.organization_id, s.transaction_id, s.team_id, s.virtual_key_id, s.request_id, s.amount_usd,
        s.model, s.provider, s.tokens, s.region, s.bucket_start, s.created_at);
    INSERT INTO billing.spend_rollups AS r
        (organization_id, bucket_start, bucket_end, model, provider, team_id, virtual_key_id, region,
        charged, amount_usd, tokens, requests)
    VALUES (o.id, o.day_start, o.day_end, s.model, s.provider, s.team_id, s.virtual_key_id, s.region,
        false, s.amount_usd, s.tokens, 1)
    ON CONFLICT (organization_id, bucket_start, model, provider, team_id, virtual_key_id, region, charged)
    DO UPDATE SET
        amount_usd = r.amount_usd + excluded.amount_usd,
        tokens = r.tokens + excluded.tokens,
        requests = r.requests + excluded.requests;
    RETURN billing.outcome('created', billing.spend_log_json(s));
END $$;

-- Spend logs, newest first, before an instant (exclusive) that an earlier page ended at.
-- api
CREATE OR REPLACE FUNCTION billing.spend_logs(
    p_tenant text, p_organization_id uuid, p_start timestamptz, p_end timestamptz, p_limit int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(billing.spend_log_json(s)), '[]')
        FROM (
            SELECT * FROM billing.spend_logs
            WHERE organization_id = p_organization_id
                AND created_at >= coalesce(p_start, '-infinity')
                AND created_at < coalesce(p_end, 'infinity')
            ORDER BY created_at DESC LIMIT p_limit
        ) AS s
    ));
END $$;
