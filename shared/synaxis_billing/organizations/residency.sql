-- Which region holds an organization. This region stores only the id and the region's name of
-- organizations that another region holds.

-- Record which other region holds an organization.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.set_home(p_tenant text, p_organization_id uuid, p_region text)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.invalid_state('This region holds the organization itself.');
    END IF;
    INSERT INTO billing.organization_homes (organization_id, region) VALUES (p_organization_id, p_region)
    ON CONFLICT (organization_id) DO UPDATE SET region = excluded.region;
    RETURN billing.outcome('created');
END $$;

-- The other region that holds an organization, NULL when none is known.
-- api
CREATE OR REPLACE FUNCTION billing.home(p_tenant text, p_organization_id uuid) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    RETURN (SELECT region FROM billing.organization_homes WHERE organization_id = p_organization_id);
END $$;
