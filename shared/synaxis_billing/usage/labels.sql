-- Labels: the names that an organization gave its teams and keys, shown beside their ids.

-- api helper
CREATE OR REPLACE FUNCTION billing.label_json(l billing.labels) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('kind', l.kind, 'id', l.subject_id, 'name', l.name)
$$;

-- The name of a team or a key; NULL of none.
-- api helper
CREATE OR REPLACE FUNCTION billing.label_of(p_organization_id uuid, p_kind text, p_id text) RETURNS text
LANGUAGE plpgsql STABLE STRICT AS $$
BEGIN
    RETURN (
        SELECT name FROM billing.labels WHERE organization_id = p_organization_id
            AND kind = p_kind::billing.label_kind AND subject_id = p_id);
END $$;

-- Name a team or a key, or rename it.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.put_label(
    p_tenant text, p_organization_id uuid, p_kind text, p_id text, p_name text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    l billing.labels;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    INSERT INTO billing.labels (organization_id, kind, subject_id, name)
    VALUES (o.id, p_kind::billing.label_kind, p_id, p_name)
    ON CONFLICT (organization_id, kind, subject_id) DO UPDATE SET name = excluded.name
    RETURNING * INTO l;
    PERFORM billing.labels_changed(o);
    RETURN billing.outcome('found', billing.label_json(l));
END $$;

-- Delete the name of a team or a key.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.delete_label(p_tenant text, p_organization_id uuid, p_kind text, p_id text)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    l billing.labels;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    DELETE FROM billing.labels
    WHERE organization_id = o.id AND kind = p_kind::billing.label_kind AND subject_id = p_id
    RETURNING * INTO l;
    IF l.subject_id IS NULL THEN
        RETURN billing.outcome('label_not_found');
    END IF;
    PERFORM billing.labels_changed(o);
    RETURN billing.outcome('found', billing.label_json(l));
END $$;

-- Save the locked organization, and invalidate the cached sums, which contain the names.
CREATE OR REPLACE FUNCTION billing.labels_changed(o billing.organizations) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing.save_organization(o);
    PERFORM billing.profile_changed(o);
END $$;

-- Delete all names that the organization gave.
CREATE OR REPLACE FUNCTION billing.erase_labels(o billing.organizations) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM billing.labels WHERE organization_id = o.id;
    IF FOUND THEN
        PERFORM billing.labels_changed(o);
    END IF;
END $$;

-- List the labels of an organization by kind and id, p_limit after p_after of them; of one kind, or of all (NULL).
-- api
CREATE OR REPLACE FUNCTION billing.labels_page(
    p_tenant text, p_organization_id uuid, p_kind text, p_after int, p_limit int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(billing.label_json(ROW(r.*)::billing.labels) ORDER BY kind, subject_id), '[]')
        FROM (
            SELECT * FROM billing.labels
            WHERE organization_id = p_organization_id AND (p_kind IS NULL OR kind = p_kind::billing.label_kind)
            ORDER BY kind, subject_id OFFSET p_after LIMIT p_limit
        ) AS r));
END $$;
