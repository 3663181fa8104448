-- Days of an organization's time zone.

-- The instant at which a day begins in the organization's time zone.
-- api
CREATE OR REPLACE FUNCTION billing.day_start_of(p_tenant text, p_organization_id uuid, p_day date) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', to_json(billing.day_start(p_day, o.timezone)));
END $$;
