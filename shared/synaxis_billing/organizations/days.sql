-- Days of an organization's time zone.

-- The instants at which days begin in the organization's time zone.
-- api
CREATE OR REPLACE FUNCTION billing.day_starts(p_tenant text, p_organization_id uuid, p_days date[]) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT json_agg(billing.day_start(day, o.timezone) ORDER BY place)
        FROM unnest(p_days) WITH ORDINALITY AS days (day, place)));
END $$;
