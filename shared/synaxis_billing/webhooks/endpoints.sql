-- Webhook endpoints: where an organization receives its events. No answer contains a secret.

CREATE OR REPLACE FUNCTION billing.webhook_endpoint_json(e billing.webhook_endpoints) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', e.id,
        'organization_id', e.organization_id,
        'url', e.url,
        'types', e.types,
        'enabled', e.disabled_at IS NULL,
        'failing_since', e.failing_since,
        'disabled_at', e.disabled_at,
        'disabled_because', e.disabled_because,
        'created_at', e.created_at
    )
$$;

CREATE OR REPLACE FUNCTION billing.no_webhook_endpoint(o billing.organizations) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT billing.outcome(
        CASE WHEN o.id IS NULL THEN 'organization_not_found' ELSE 'webhook_endpoint_not_found' END)
$$;

-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.create_webhook_endpoint(
    p_tenant text, p_organization_id uuid, p_url text, p_types text[], p_secret bytea, p_most int
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    e billing.webhook_endpoints;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    ELSIF (SELECT count(*) FROM billing.webhook_endpoints WHERE organization_id = o.id) >= p_most THEN
        RETURN billing.invalid_state(format('The organization has %s endpoints already.', p_most));
    END IF;
    INSERT INTO billing.webhook_endpoints (organization_id, url, types, secret)
    VALUES (o.id, p_url, p_types, p_secret)
    ON CONFLICT (organization_id, url) DO NOTHING RETURNING * INTO e;
    IF e.id IS NULL THEN
        RETURN billing.outcome('webhook_endpoint_exists');
    END IF;
    RETURN billing.outcome('created', billing.webhook_endpoint_json(e));
END $$;

-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.webhook_endpoints(p_tenant text, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(billing.webhook_endpoint_json(ROW(e.*)::billing.webhook_endpoints) ORDER BY e.created_at), '[]')
        FROM billing.webhook_endpoints AS e WHERE organization_id = p_organization_id));
END $$;

-- Change the fields that p_change contains: "url", "types", "enabled". Pending deliveries go on when an
-- endpoint is enabled again; events from while it was disabled need a replay.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.update_webhook_endpoint(
    p_tenant text, p_organization_id uuid, p_endpoint_id uuid, p_change jsonb
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    e billing.webhook_endpoints;
BEGIN
    SELECT * INTO e FROM billing.webhook_endpoints
    WHERE id = p_endpoint_id AND organization_id = o.id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN billing.no_webhook_endpoint(o);
    ELSIF EXISTS (
        SELECT FROM billing.webhook_endpoints
        WHERE organization_id = o.id AND id <> e.id AND url = p_change ->> 'url'
    ) THEN
        RETURN billing.outcome('webhook_endpoint_exists');
    END IF;
    e := jsonb_populate_record(e, p_change);
    IF (p_change ->> 'enabled')::boolean THEN
        e.failing_since := NULL;
        e.disabled_at := NULL;
        e.disabled_because := NULL;
    ELSIF NOT (p_change ->> 'enabled')::boolean AND e.disabled_at IS NULL THEN
        e.disabled_at := o.changed_at;
        e.disabled_because := 'asked for';
    END IF;
    UPDATE billing.webhook_endpoints SET url = e.url, types = e.types, failing_since = e.failing_since,
        disabled_at = e.disabled_at, disabled_because = e.disabled_because
    WHERE organization_id = o.id AND id = e.id;
    RETURN billing.outcome('found', billing.webhook_endpoint_json(e));
END $$;

-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.delete_webhook_endpoint(
    p_tenant text, p_organization_id uuid, p_endpoint_id uuid
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    e billing.webhook_endpoints;
BEGIN
    DELETE FROM billing.webhook_endpoints WHERE id = p_endpoint_id AND organization_id = o.id
    RETURNING * INTO e;
    IF NOT FOUND THEN
        RETURN billing.no_webhook_endpoint(o);
    END IF;
    RETURN billing.outcome('found', billing.webhook_endpoint_json(e));
END $$;

-- Set a new secret; the old one signs too for p_overlap.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.rotate_webhook_secret(
    p_tenant text, p_organization_id uuid, p_endpoint_id uuid, p_secret bytea, p_overlap interval
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    e billing.webhook_endpoints;
    v_ends_at timestamptz := billing.now() + p_overlap;
BEGIN
    UPDATE billing.webhook_endpoints
    SET old_secret = secret, old_secret_ends_at = v_ends_at, secret = p_secret
    WHERE id = p_endpoint_id AND organization_id = o.id
    RETURNING * INTO e;
    IF NOT FOUND THEN
        RETURN billing.no_webhook_endpoint(o);
    END IF;
    RETURN billing.outcome('found', billing.webhook_endpoint_json(e));
END $$;
