-- The hourly settlement of organizations that nobody calls, so that their events come in time, and the warnings
-- before credit expires. No balance depends on it.

-- The organizations of the platform with a grant that is due, or with credit that a warning is due for: 7 days
-- and 1 day before it expires.
-- api
CREATE OR REPLACE FUNCTION billing.organizations_to_settle(p_tenant text, p_limit int) RETURNS uuid[]
LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := billing.now();
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN ARRAY(
        (SELECT id FROM billing.organizations WHERE settle_at <= v_now ORDER BY settle_at LIMIT p_limit)
        UNION
        (SELECT organization_id FROM billing.credit_grants
        WHERE remaining_usd > 0 AND expires_at > v_now AND expires_at <= v_now + interval '7 days'
            AND started AND billing.warning_of(expires_at, v_now) < coalesce(warned_days, 8)
        ORDER BY expires_at LIMIT p_limit));
END $$;

-- How many days before its expiry the newest warning about a grant is due.
-- api helper
CREATE OR REPLACE FUNCTION billing.warning_of(p_expires_at timestamptz, p_now timestamptz) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_expires_at <= p_now + interval '1 day' THEN 1
        WHEN p_expires_at <= p_now + interval '7 days' THEN 7 END
$$;

-- Settle an organization, and record a warning for each grant that is due for one and has credit left.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.settle_organization(p_tenant text, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    g billing.credit_grants;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    o := billing.settle(o, o.changed_at);
    PERFORM billing.save_organization(o);
    FOR g IN
        UPDATE billing.credit_grants SET warned_days = billing.warning_of(expires_at, o.changed_at)
        WHERE organization_id = o.id AND remaining_usd > 0 AND expires_at > o.changed_at AND started
            AND voided_at IS NULL
            AND billing.warning_of(expires_at, o.changed_at) < coalesce(warned_days, 8)
        RETURNING *
    LOOP
        PERFORM billing.record_event(o.id, 'grant.expiring', billing.grant_event_json(g));
    END LOOP;
    RETURN billing.outcome('created');
END $$;

-- What events tell about a grant.
CREATE OR REPLACE FUNCTION billing.grant_event_json(g billing.credit_grants) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'grant_id', g.id,
        'kind', g.kind,
        'amount_usd', g.amount_usd::text,
        'remaining_usd', g.remaining_usd::text,
        'effective_at', g.effective_at,
        'expires_at', nullif(g.expires_at, 'infinity'))
$$;

CREATE OR REPLACE FUNCTION billing.grant_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing.record_event(NEW.organization_id, 'grant.created', billing.grant_event_json(ROW(NEW.*)::billing.credit_grants));
    RETURN NULL;
END $$;
