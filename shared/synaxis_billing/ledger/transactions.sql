-- Reading transactions: one, and the list, newest first.

-- api
CREATE OR REPLACE FUNCTION billing.transaction(p_tenant text, p_organization_id uuid, p_transaction_id uuid)
RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    t billing.credit_transactions;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    t := billing.transaction_by_id(p_organization_id, p_transaction_id);
    RETURN CASE WHEN t.id IS NULL THEN billing.outcome('transaction_not_found')
        ELSE billing.outcome('found', billing.transaction_json(t)) END;
END $$;

-- List transactions of a half-open period: the first p_limit that match p_type and p_filter (an object with
-- fields of billing.usage_request) among the newest p_scan, and the time that the search reached, NULL at the
-- end. With p_since, among the oldest p_scan since then.
-- api
CREATE OR REPLACE FUNCTION billing.transactions(
    p_tenant text, p_organization_id uuid, p_type text, p_filter jsonb, p_start timestamptz, p_end timestamptz,
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
    WITH scanned AS MATERIALIZED (
        (SELECT ROW(r.*)::billing.credit_transactions AS t FROM billing.credit_transactions AS r
        WHERE organization_id = p_organization_id AND p_since IS NULL
            AND created_at >= coalesce(p_start, '-infinity') AND created_at < coalesce(p_end, 'infinity')
        ORDER BY created_at DESC LIMIT p_scan)
        UNION ALL
        (SELECT ROW(r.*)::billing.credit_transactions FROM billing.credit_transactions AS r
        WHERE organization_id = p_organization_id AND p_since IS NOT NULL
            AND created_at >= greatest(p_start, p_since) AND created_at < coalesce(p_end, 'infinity')
        ORDER BY created_at LIMIT p_scan)
    ), found AS (
        SELECT t FROM scanned
        WHERE (p_type IS NULL OR (t).transaction_type = p_type::billing.transaction_type)
            AND billing.matches(f, (t).request_id, (t).reference_id, (t).team_id, (t).virtual_key_id,
                (t).end_user, (t).model, (t).provider)
        ORDER BY CASE WHEN p_since IS NULL THEN (t).created_at END DESC, (t).created_at LIMIT p_limit
    )
    SELECT json_build_object(
        'items', (SELECT coalesce(json_agg(billing.transaction_json(t) ORDER BY (t).created_at DESC), '[]') FROM found),
        'reached', (SELECT CASE WHEN p_since IS NULL THEN min((t).created_at) ELSE max((t).created_at) END
            FROM scanned HAVING count(*) = p_scan))
    INTO v_value;
    RETURN billing.outcome('found', v_value);
END $$;
