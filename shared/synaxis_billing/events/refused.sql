-- Usage events: the organizations that they name, and those that were refused, which are kept with the reason
-- until a later try is accepted, so that nothing that was reported is lost.

-- The database's clock, and the organization of each subject that has one: by its id, or else by its external id.
-- api
CREATE OR REPLACE FUNCTION billing.event_subjects(p_tenant text, p_subjects text[], p_ids uuid[]) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN json_build_object(
        'now', billing.now(),
        'external_ids', (
            SELECT coalesce(json_object_agg(external_id, organization_id), '{}') FROM billing.external_ids
            WHERE external_id = ANY (p_subjects)),
        'ids', (SELECT coalesce(json_agg(id), '[]') FROM billing.organizations WHERE id = ANY (p_ids)));
END $$;

-- The keys, of these, that have had their effect.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.used_event_keys(p_tenant text, p_organization_id uuid, p_keys text[])
RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    RETURN ARRAY(SELECT key FROM billing.idempotency
        WHERE organization_id = p_organization_id AND key = ANY (p_keys));
END $$;

-- Keep refused events of an organization, each key once: an array of the columns' values.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.refuse_events(p_tenant text, p_organization_id uuid, p_events jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    INSERT INTO billing.refused_events AS r (organization_id, id, key, source, event_id, subject, event, code, error,
        initiated_by, times, created_at, refused_at)
    SELECT p_organization_id, billing.new_id(v_now), e.key, e.source, e.event_id, e.subject, e.event::json, e.code,
        e.error::json, e.initiated_by, 1, v_now, v_now
    FROM jsonb_to_recordset(p_events) AS e (key text, source text, event_id text, subject text, event text, code text,
        error text, initiated_by text)
    -- Two deliveries take the rows that they share in one order.
    ORDER BY e.key
    ON CONFLICT (organization_id, key) DO UPDATE SET event = excluded.event, code = excluded.code,
        error = excluded.error, initiated_by = excluded.initiated_by, times = r.times + 1,
        refused_at = excluded.refused_at;
END $$;

CREATE OR REPLACE FUNCTION billing.refused_event_json(r billing.refused_events) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', r.id,
        'organization_id', nullif(r.organization_id, '00000000-0000-0000-0000-000000000000'),
        'source', r.source,
        'event_id', r.event_id,
        'subject', r.subject,
        'event', r.event,
        'code', r.code,
        'error', r.error,
        'times', r.times,
        'created_at', r.created_at,
        'refused_at', r.refused_at)
$$;

-- The request id of an event, which is kept as it was sent; NULL where a text of it has the letter U+0000, which the
-- database cannot read.
CREATE OR REPLACE FUNCTION billing.request_id_of(p_event json) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN p_event -> 'data' ->> 'request_id';
EXCEPTION WHEN untranslatable_character THEN
    RETURN NULL;
END $$;

-- Refused events, newest first, before the id (exclusive) that a page ended at: without those that were accepted
-- since. One whose key another event had used before is never accepted by it: it stays until its call is charged by
-- another key, or is too late to be.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.refused_events_page(p_tenant text, p_before uuid, p_since uuid, p_limit int)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_too_late timestamptz := billing.now() - interval '35 days';
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN (
        SELECT coalesce(json_agg(billing.refused_event_json(ROW(f.*)::billing.refused_events) ORDER BY f.id DESC), '[]')
        FROM (
            SELECT r.* FROM billing.refused_events AS r
            WHERE (p_before IS NULL OR r.id < p_before) AND (p_since IS NULL OR r.id >= p_since)
                AND CASE WHEN r.code = 'idempotency_key_reused' THEN r.refused_at > v_too_late AND NOT EXISTS (
                    SELECT FROM billing.idempotency AS k
                    WHERE k.organization_id = r.organization_id
                        AND k.request_id = billing.request_id_of(r.event) AND k.key <> r.key)
                ELSE NOT EXISTS (
                    SELECT FROM billing.idempotency AS k
                    WHERE k.organization_id = r.organization_id AND k.key = r.key) END
            ORDER BY CASE WHEN p_since IS NULL THEN r.id END DESC, r.id LIMIT p_limit
        ) AS f);
END $$;

-- Empty the refused events of an organization, of all or of one initiator.
CREATE OR REPLACE FUNCTION billing.erase_refused_events(p_organization_id uuid, p_initiated_by text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE billing.refused_events SET event = NULL, error = '{}', initiated_by = NULL
    WHERE organization_id = p_organization_id AND (p_initiated_by IS NULL OR initiated_by = p_initiated_by);
END $$;
