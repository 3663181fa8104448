-- The outbox of cache invalidations: written by the change itself, deleted after every region has received
-- them, so each is delivered at least once.

-- List undelivered invalidations that are due, the oldest first.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.pending_invalidations(p_tenant text, p_limit int) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN (
        SELECT coalesce(json_agg(i), '[]')
        FROM (
            SELECT * FROM billing.invalidations WHERE next_attempt_at <= billing.now()
            ORDER BY next_attempt_at, id LIMIT p_limit
        ) AS i);
END $$;

-- Record that invalidations could not be delivered, and why each; they are tried again after a growing delay.
-- One that the bus refused (p_refused) is set aside after its sixth try. Returns those that are set aside now.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.failed_invalidations(
    p_tenant text, p_ids uuid[], p_errors text[], p_refused boolean[]
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
    v_set_aside json[] := '{}';
    i billing.invalidations;
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    FOR v_number IN 1..cardinality(p_ids) LOOP
        i := (SELECT ROW(f.*)::billing.invalidations FROM billing.invalidations AS f WHERE id = p_ids[v_number]);
        CONTINUE WHEN i.id IS NULL;
        i.error := left(p_errors[v_number], 500);
        i.next_attempt_at := CASE WHEN p_refused[v_number] AND i.attempts >= 5 THEN 'infinity'
            ELSE v_now + least(interval '5 seconds' * 2 ^ least(i.attempts, 10), '5 minutes') END;
        UPDATE billing.invalidations SET attempts = i.attempts + 1, error = i.error,
            next_attempt_at = i.next_attempt_at
        WHERE tenant = i.tenant AND id = i.id;
        IF i.next_attempt_at = 'infinity' THEN
            v_set_aside := v_set_aside || json_build_object('tenant', i.tenant, 'id', i.id, 'error', i.error);
        END IF;
    END LOOP;
    RETURN to_json(v_set_aside);
END $$;

-- How many invalidations wait, for how many seconds the oldest, and how many are set aside.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.waiting_invalidations(p_tenant text) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN (
        SELECT json_build_object(
            'waiting', count(*) FILTER (WHERE next_attempt_at < 'infinity'),
            'oldest_seconds', coalesce(extract(epoch FROM billing.now()
                - min(created_at) FILTER (WHERE next_attempt_at < 'infinity')), 0),
            'set_aside', count(*) FILTER (WHERE next_attempt_at = 'infinity'))
        FROM billing.invalidations);
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
