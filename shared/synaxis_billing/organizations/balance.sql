-- The balance of an organization and the credit that is available.

-- The credit at an instant, as a settlement would leave it. An expired hold does not count, also when no
-- statement has marked it yet. Grants that expire within 30 days come soonest first.
-- api helper
CREATE OR REPLACE FUNCTION billing.credit_of(o billing.organizations, p_now timestamptz) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'balance_usd', (credit).balance_usd::text,
        'held_usd', held_usd::text,
        'frozen_usd', billing.frozen_usd((credit).grants)::text,
        'available_usd', ((credit).balance_usd + o.credit_limit_usd - held_usd)::text,
        'credit_limit_usd', o.credit_limit_usd::text,
        'debt_usd', (credit).debt_usd::text,
        'expiring', (
            SELECT coalesce(json_agg(json_build_object('grant_id', g.id, 'amount_usd', g.remaining_usd::text,
                'expires_at', g.expires_at) ORDER BY g.expires_at, g.id), '[]')
            FROM unnest((credit).grants) AS g
            WHERE g.remaining_usd > 0 AND billing.grant_status(g, p_now) = 'active'
                AND g.expires_at <= p_now + interval '30 days'))
    FROM (
        SELECT billing.settled_credit(o, p_now),
            billing.held_at(billing.held_credit_of(o.id), p_now) AS by_holds OFFSET 0
    ) AS now (credit, by_holds)
    CROSS JOIN LATERAL (SELECT by_holds + billing.frozen_usd((credit).grants)) AS held (held_usd)
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
