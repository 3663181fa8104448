-- Clients of an organization: programs that get tokens of that organization alone. No answer contains a
-- secret: the database keeps a hash, with which a client's proof is checked.

CREATE OR REPLACE FUNCTION billing.client_json(c billing.clients) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', c.id,
        'organization_id', c.organization_id,
        'name', c.name,
        'scopes', c.scopes,
        'created_at', c.created_at,
        'rotated_at', c.rotated_at,
        'revoked_at', c.revoked_at
    )
$$;

-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.create_client(
    p_tenant text, p_organization_id uuid, p_name text, p_scopes text[], p_verifier bytea, p_most int
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations;
    c billing.clients;
BEGIN
    -- A client could otherwise make one that may do more than itself.
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    o := billing.lock_organization(p_tenant, p_organization_id);
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    ELSIF EXISTS (SELECT FROM billing.clients
        WHERE organization_id = o.id AND name = p_name AND revoked_at IS NULL) THEN
        RETURN billing.outcome('client_exists');
    ELSIF (SELECT count(*) FROM billing.clients WHERE organization_id = o.id AND revoked_at IS NULL) >= p_most THEN
        RETURN billing.invalid_state(format('The organization has %s clients already.', p_most));
    END IF;
    INSERT INTO billing.clients (organization_id, name, scopes, verifier)
    VALUES (o.id, p_name, p_scopes, p_verifier) RETURNING * INTO c;
    RETURN billing.outcome('created', billing.client_json(c));
END $$;

-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.clients(p_tenant text, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(billing.client_json(ROW(c.*)::billing.clients) ORDER BY c.created_at), '[]')
        FROM billing.clients AS c WHERE organization_id = p_organization_id));
END $$;

-- Give a client a new secret; until p_overlap from now the one before is good too.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.rotate_client_secret(
    p_tenant text, p_organization_id uuid, p_client_id uuid, p_verifier bytea, p_overlap interval
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    c billing.clients;
BEGIN
    SELECT * INTO c FROM billing.clients
    WHERE organization_id = o.id AND id = p_client_id AND revoked_at IS NULL FOR UPDATE;
    IF c.id IS NULL THEN
        RETURN billing.no_client(o);
    END IF;
    UPDATE billing.clients SET verifier = p_verifier, old_verifier = c.verifier,
        old_verifier_ends_at = v_now + p_overlap, rotated_at = v_now
    WHERE organization_id = o.id AND id = c.id RETURNING * INTO c;
    RETURN billing.outcome('found', billing.client_json(c));
END $$;

-- Revoke a client, for ever; a second time changes nothing.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.revoke_client(p_tenant text, p_organization_id uuid, p_client_id uuid)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    c billing.clients;
BEGIN
    UPDATE billing.clients SET revoked_at = coalesce(revoked_at, v_now)
    WHERE organization_id = o.id AND id = p_client_id RETURNING * INTO c;
    IF c.id IS NULL THEN
        RETURN billing.no_client(o);
    END IF;
    RETURN billing.outcome('found', billing.client_json(c));
END $$;

CREATE OR REPLACE FUNCTION billing.no_client(o billing.organizations) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT billing.outcome(CASE WHEN o.id IS NULL THEN 'organization_not_found' ELSE 'client_not_found' END)
$$;

-- What a token of a client says, and the hashes of its secrets; NULL where there is none or it is revoked.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.client_to_verify(p_tenant text, p_client_id uuid) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN (
        SELECT json_build_object('organization_id', organization_id, 'scopes', scopes,
            'verifiers', CASE WHEN old_verifier_ends_at > billing.now()
                THEN json_build_array(encode(verifier, 'hex'), encode(old_verifier, 'hex'))
                ELSE json_build_array(encode(verifier, 'hex')) END)
        FROM billing.clients WHERE id = p_client_id AND revoked_at IS NULL);
END $$;

-- Whether a client may still call.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.client_is_active(p_tenant text, p_organization_id uuid, p_client_id uuid)
RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    RETURN EXISTS (SELECT FROM billing.clients
        WHERE organization_id = p_organization_id AND id = p_client_id AND revoked_at IS NULL);
END $$;
