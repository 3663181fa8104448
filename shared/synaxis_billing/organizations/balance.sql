-- The balance of an organization and the credit that is available.

-- The credit of an organization beside its holds that have not expired.
-- api helper
CREATE OR REPLACE FUNCTION billing.credit_of(o billing.organizations, p_live_usd numeric) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'balance_usd', o.balance_usd::text,
        'held_usd', p_live_usd::text,
        'available_usd', (o.balance_usd + o.credit_limit_usd - p_live_usd)::text,
        'credit_limit_usd', o.credit_limit_usd::text,
        'debt_usd', greatest(-o.balance_usd, 0)::text)
$$;

-- The balance now.
-- api
CREATE OR REPLACE FUNCTION billing.balance(p_tenant text, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
    v_live_usd numeric;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    -- An expired hold does not count, also when no statement has marked it yet.
    SELECT coalesce(sum(amount_usd), 0) INTO v_live_usd FROM billing.holds
    WHERE organization_id = o.id AND status = 'held' AND expires_at > billing.now();
    RETURN billing.outcome('found', (billing.credit_of(o, v_live_usd)::jsonb || jsonb_build_object(
        'billing_currency', o.billing_currency))::json);
END $$;
