-- Record what happened to an organization, and that its endpoints are to be told. Part of the change.
CREATE OR REPLACE FUNCTION billing.record_event(p_organization_id uuid, p_type text, p_data jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_id uuid;
BEGIN
    -- Events of an organization have instants of their own: they are listed in pages by them.
    WHILE v_id IS NULL LOOP
        INSERT INTO billing.webhook_events (organization_id, type, data, created_at)
        VALUES (p_organization_id, p_type,
            jsonb_build_object('organization_id', p_organization_id) || p_data, clock_timestamp())
        ON CONFLICT (organization_id, created_at) DO NOTHING
        RETURNING id INTO v_id;
    END LOOP;
    INSERT INTO billing.webhook_deliveries (endpoint_id, event_id, organization_id)
    SELECT id, v_id, organization_id FROM billing.webhook_endpoints
    WHERE organization_id = p_organization_id AND disabled_at IS NULL
        AND (types = '{}' OR p_type = ANY (types));
END $$;

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

CREATE OR REPLACE FUNCTION billing.webhook_endpoints(p_tenant text, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(billing.webhook_endpoint_json(e) ORDER BY e.created_at), '[]')
        FROM billing.webhook_endpoints AS e WHERE organization_id = p_organization_id));
END $$;

-- Change what p_change names: "url", "types", "enabled". What waits for an endpoint that is enabled
-- again is told; what happened while it was not is replayed by whoever wants it.
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
    WHERE id = e.id;
    RETURN billing.outcome('found', billing.webhook_endpoint_json(e));
END $$;

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

-- A new secret; the one before signs along for as long as p_overlap.
CREATE OR REPLACE FUNCTION billing.rotate_webhook_secret(
    p_tenant text, p_organization_id uuid, p_endpoint_id uuid, p_secret bytea, p_overlap interval
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    e billing.webhook_endpoints;
BEGIN
    UPDATE billing.webhook_endpoints
    SET old_secret = secret, old_secret_ends_at = clock_timestamp() + p_overlap, secret = p_secret
    WHERE id = p_endpoint_id AND organization_id = o.id
    RETURNING * INTO e;
    IF NOT FOUND THEN
        RETURN billing.no_webhook_endpoint(o);
    END IF;
    RETURN billing.outcome('found', billing.webhook_endpoint_json(e));
END $$;

-- Tell an endpoint again: of one event, delivered or not, or of all since an instant that it wants
-- and has not got. Returns how many there are.
CREATE OR REPLACE FUNCTION billing.replay_webhooks(
    p_tenant text, p_organization_id uuid, p_endpoint_id uuid, p_event_id uuid, p_since timestamptz
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    e billing.webhook_endpoints;
    v_replayed int;
BEGIN
    SELECT * INTO e FROM billing.webhook_endpoints WHERE id = p_endpoint_id AND organization_id = o.id;
    IF NOT FOUND THEN
        RETURN billing.no_webhook_endpoint(o);
    ELSIF e.disabled_at IS NOT NULL THEN
        RETURN billing.invalid_state('The endpoint is disabled.');
    ELSIF p_event_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM billing.webhook_events WHERE id = p_event_id AND organization_id = o.id
    ) THEN
        RETURN billing.outcome('webhook_event_not_found');
    END IF;
    INSERT INTO billing.webhook_deliveries AS d (endpoint_id, event_id, organization_id)
    SELECT e.id, v.id, o.id FROM billing.webhook_events AS v
    WHERE v.organization_id = o.id AND (v.id = p_event_id
        OR v.created_at >= p_since AND (e.types = '{}' OR v.type = ANY (e.types)))
    ON CONFLICT (event_id, endpoint_id) DO UPDATE
    SET status = 'pending', attempts = 0, lease = NULL, next_attempt_at = clock_timestamp()
    WHERE d.status = 'failed' OR d.event_id = p_event_id;
    GET DIAGNOSTICS v_replayed = ROW_COUNT;
    RETURN billing.outcome('created', json_build_object('replayed', v_replayed));
END $$;

-- Events, newest first, before an instant (exclusive) that an earlier page ended at, each with what
-- became of it at each endpoint.
CREATE OR REPLACE FUNCTION billing.webhook_events(
    p_tenant text, p_organization_id uuid, p_type text, p_before timestamptz, p_limit int
) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(v ORDER BY v.created_at DESC), '[]') FROM (
            SELECT id, type, created_at, data, (
                SELECT coalesce(json_agg(d ORDER BY d.endpoint_id), '[]') FROM (
                    SELECT endpoint_id, status, attempts, attempted_at, status_code, error,
                        CASE status WHEN 'pending' THEN next_attempt_at END AS next_attempt_at
                    FROM billing.webhook_deliveries WHERE event_id = e.id
                ) AS d) AS deliveries
            FROM billing.webhook_events AS e
            WHERE organization_id = p_organization_id AND (p_type IS NULL OR type = p_type)
                AND created_at < coalesce(p_before, 'infinity')
            ORDER BY created_at DESC LIMIT p_limit
        ) AS v));
END $$;

-- How long after a failed attempt the next one is made; after the last there is none.
CREATE OR REPLACE FUNCTION billing.webhook_delays() RETURNS interval[] LANGUAGE sql IMMUTABLE AS $$
    SELECT '{5 seconds, 5 minutes, 30 minutes, 2 hours, 5 hours, 10 hours, 14 hours, 20 hours, 24 hours}'
        ::interval[]
$$;

-- What is due, at most p_each for an endpoint, so that no endpoint's backlog is in another's way.
-- Each is under way for p_lease; what is not heard of by then is tried again.
CREATE OR REPLACE FUNCTION billing.claim_webhooks(p_tenant text, p_each int, p_lease interval) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_claimed json;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    UPDATE billing.webhook_deliveries
    SET status = 'failed', lease = NULL, status_code = NULL, error = 'the attempts were not heard of'
    WHERE status = 'pending' AND attempts > cardinality(billing.webhook_delays())
        AND next_attempt_at <= v_now;
    WITH due AS (
        SELECT d.* FROM billing.webhook_endpoints AS e CROSS JOIN LATERAL (
            SELECT event_id, endpoint_id FROM billing.webhook_deliveries
            WHERE endpoint_id = e.id AND status = 'pending' AND next_attempt_at <= v_now
            ORDER BY next_attempt_at LIMIT p_each FOR UPDATE SKIP LOCKED
        ) AS d
        WHERE e.disabled_at IS NULL
    ), claimed AS (
        UPDATE billing.webhook_deliveries AS d
        SET attempts = d.attempts + 1, lease = gen_random_uuid(), next_attempt_at = v_now + p_lease,
            attempted_at = v_now
        FROM due WHERE d.event_id = due.event_id AND d.endpoint_id = due.endpoint_id
        RETURNING d.event_id, d.endpoint_id, d.lease
    )
    SELECT json_agg(json_build_object(
        'lease', c.lease,
        'event_id', v.id,
        'endpoint_id', e.id,
        'url', e.url,
        'secrets', ARRAY[encode(e.secret, 'base64')]
            || CASE WHEN e.old_secret_ends_at > v_now THEN ARRAY[encode(e.old_secret, 'base64')] END,
        'type', v.type,
        'created_at', v.created_at,
        'data', v.data))
    INTO v_claimed
    FROM claimed AS c
    JOIN billing.webhook_events AS v ON v.id = c.event_id
    JOIN billing.webhook_endpoints AS e ON e.id = c.endpoint_id;
    RETURN coalesce(v_claimed, '[]');
END $$;

-- What came of an attempt: p_status_code is what the endpoint answered, p_error why that was no
-- success, NULL if it was. An endpoint that says 410, or has only failed for p_patience, is disabled.
-- Returns 'delivered', 'retried', 'failed' or 'disabled'; 'forgotten' for an attempt given up before.
CREATE OR REPLACE FUNCTION billing.webhook_attempted(
    p_tenant text, p_event_id uuid, p_endpoint_id uuid, p_lease uuid, p_status_code int, p_error text,
    p_patience interval
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    d billing.webhook_deliveries;
    e billing.webhook_endpoints;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    UPDATE billing.webhook_deliveries
    SET status = CASE WHEN p_error IS NULL THEN 'delivered'
            WHEN attempts > cardinality(billing.webhook_delays()) THEN 'failed' ELSE 'pending' END,
        lease = NULL, status_code = p_status_code, error = p_error,
        -- A little apart, so that an endpoint that comes back does not get all at once.
        next_attempt_at = v_now
            + coalesce((billing.webhook_delays())[attempts], '0') * (1 + random() / 10)
    WHERE event_id = p_event_id AND endpoint_id = p_endpoint_id AND lease = p_lease
    RETURNING * INTO d;
    IF NOT FOUND THEN
        RETURN 'forgotten';
    END IF;
    IF p_error IS NULL THEN
        UPDATE billing.webhook_endpoints SET failing_since = NULL
        WHERE id = d.endpoint_id AND failing_since IS NOT NULL;
        RETURN 'delivered';
    END IF;
    UPDATE billing.webhook_endpoints SET failing_since = coalesce(failing_since, d.attempted_at)
    WHERE id = d.endpoint_id RETURNING * INTO e;
    IF e.disabled_at IS NULL AND (p_status_code = 410 OR e.failing_since <= v_now - p_patience) THEN
        UPDATE billing.webhook_endpoints SET disabled_at = v_now,
            disabled_because = CASE p_status_code WHEN 410 THEN 'it answered 410, gone'
                ELSE format('only failures since %s', billing.instant(e.failing_since)) END
        WHERE id = e.id;
        RETURN 'disabled';
    END IF;
    RETURN CASE d.status WHEN 'failed' THEN 'failed' ELSE 'retried' END;
END $$;
