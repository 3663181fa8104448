-- The outbox of cache invalidations: written by the change itself, deleted after every region has received
-- them, so each is delivered at least once.

-- List undelivered invalidations, the oldest first.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.pending_invalidations(p_tenant text, p_limit int) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN (
        SELECT coalesce(json_agg(i), '[]')
        FROM (SELECT * FROM billing.invalidations ORDER BY id LIMIT p_limit) AS i);
END $$;

-- Delete what every region has received. A second delivery does no harm.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.delivered_invalidations(p_tenant text, p_ids uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_deleted int;
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    DELETE FROM billing.invalidations WHERE id = ANY (p_ids);
    GET DIAGNOSTICS v_deleted = ROW_COUNT;
    RETURN v_deleted;
END $$;

-- Invalidate values in every region that did not change here.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.request_invalidation(
    p_tenant text, p_organization_id uuid, p_keys text[], p_tags text[], p_families text[],
    p_everything boolean
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    IF p_tenant NOT IN (p_organization_id::text, '*') THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    INSERT INTO billing.invalidations (tenant, keys, tags, families, everything)
    VALUES (p_organization_id, p_keys, p_tags, p_families, p_everything);
    RETURN billing.outcome('created');
END $$;
