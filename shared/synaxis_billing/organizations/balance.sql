-- The balance of an organization and the credit that is available.

-- The credit at an instant. An expired hold does not count, also when no statement has marked it yet.
-- api helper
CREATE OR REPLACE FUNCTION billing.credit_of(o billing.organizations, p_now timestamptz) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'balance_usd', o.balance_usd::text,
        'held_usd', live_usd::text,
        'available_usd', (o.balance_usd + o.credit_limit_usd - live_usd)::text,
        'credit_limit_usd', o.credit_limit_usd::text,
        'debt_usd', greatest(-o.balance_usd, 0)::text)
    FROM (
        SELECT coalesce(sum(amount_usd), 0) AS live_usd FROM billing.holds
        WHERE organization_id = o.id AND status = 'held' AND expires_at > p_now
    ) AS held
$$;

-- The balance now.
-- api
CREATE OR REPLACE FUNCTION billing.balance(p_tenant text, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (billing.credit_of(o, billing.now())::jsonb || jsonb_build_object(
        'billing_currency', o.billing_currency))::json);
END $$;
