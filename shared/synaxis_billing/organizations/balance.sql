-- The balance of an organization and the credit that is available.

-- The balance now. An expired hold does not count, also when no statement has marked it yet.
-- api
CREATE OR REPLACE FUNCTION billing.balance(p_tenant text, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_now timestamptz := billing.now();
    v_value json;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT json_build_object(
        'organization_id', o.id,
        'balance_usd', o.balance_usd::text,
        'held_usd', held.live_usd::text,
        'available_usd', (o.balance_usd - held.live_usd)::text,
        'billing_currency', o.billing_currency,
        'version', o.version
    ) INTO v_value
    FROM billing.organizations AS o CROSS JOIN LATERAL (
        SELECT coalesce(sum(h.amount_usd), 0) AS live_usd FROM billing.holds AS h
        WHERE h.organization_id = o.id AND h.status = 'held' AND h.expires_at > v_now
    ) AS held
    WHERE o.id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', v_value);
END $$;
