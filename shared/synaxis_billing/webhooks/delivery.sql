-- Deliveries of events to endpoints: leased to one sender at a time, repeated with growing delays, at
-- least once.

-- The delay after each failed attempt; after the last there is no other attempt.
CREATE OR REPLACE FUNCTION billing.webhook_delays() RETURNS interval[] LANGUAGE sql IMMUTABLE AS $$
    SELECT '{5 seconds, 5 minutes, 30 minutes, 2 hours, 5 hours, 10 hours, 14 hours, 20 hours, 24 hours}'
        ::interval[]
$$;

-- The organizations after p_after that have deliveries to lease or to give up.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.due_webhooks(p_tenant text, p_after uuid, p_limit int) RETURNS uuid[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN ARRAY(
        SELECT DISTINCT e.organization_id FROM billing.webhook_endpoints AS e
        WHERE e.organization_id > p_after AND EXISTS (
            SELECT FROM billing.webhook_deliveries AS d
            WHERE d.organization_id = e.organization_id AND d.endpoint_id = e.id AND d.status = 'pending'
                AND d.next_attempt_at <= v_now
                AND (e.disabled_at IS NULL OR d.attempts > cardinality(billing.webhook_delays())))
        ORDER BY 1 LIMIT p_limit);
END $$;

-- Lease the deliveries of an organization that are due, at most p_limit, and p_each for an endpoint, so that no
-- endpoint's backlog delays another. An attempt without a result after p_lease is repeated.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.claim_webhooks(
    p_tenant text, p_organization_id uuid, p_each int, p_limit int, p_lease interval
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
    v_due record;
    v_claimed json[] := '{}';
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    UPDATE billing.webhook_deliveries
    SET status = 'failed', lease = NULL, status_code = NULL,
        error = 'no result was reported for the last attempt'
    WHERE organization_id = p_organization_id AND status = 'pending'
        AND attempts > cardinality(billing.webhook_delays()) AND next_attempt_at <= v_now;
    FOR v_due IN
        SELECT d.event_id, d.endpoint_id, gen_random_uuid() AS lease, e.url, e.secret,
            CASE WHEN e.old_secret_ends_at > v_now THEN e.old_secret END AS old_secret, v.type, v.created_at,
            v.data
        FROM billing.webhook_endpoints AS e CROSS JOIN LATERAL (
            SELECT event_id, endpoint_id, next_attempt_at FROM billing.webhook_deliveries
            WHERE organization_id = p_organization_id AND endpoint_id = e.id AND status = 'pending'
                AND next_attempt_at <= v_now
            ORDER BY next_attempt_at LIMIT p_each FOR UPDATE SKIP LOCKED
        ) AS d
        JOIN billing.webhook_events AS v ON v.organization_id = p_organization_id AND v.id = d.event_id
        WHERE e.organization_id = p_organization_id AND e.disabled_at IS NULL
        ORDER BY d.next_attempt_at LIMIT p_limit
    LOOP
        UPDATE billing.webhook_deliveries
        SET attempts = attempts + 1, lease = v_due.lease, next_attempt_at = v_now + p_lease, attempted_at = v_now
        WHERE organization_id = p_organization_id AND event_id = v_due.event_id
            AND endpoint_id = v_due.endpoint_id;
        v_claimed := v_claimed || json_build_object(
            'lease', v_due.lease,
            'organization_id', p_organization_id,
            'event_id', v_due.event_id,
            'endpoint_id', v_due.endpoint_id,
            'url', v_due.url,
            'secrets', ARRAY[encode(v_due.secret, 'base64')]
                || CASE WHEN v_due.old_secret IS NOT NULL THEN ARRAY[encode(v_due.old_secret, 'base64')] END,
            'type', v_due.type,
            'created_at', v_due.created_at,
            'data', v_due.data);
    END LOOP;
    RETURN to_json(v_claimed);
END $$;

-- Record that leased deliveries of an organization were not sent: p_unsent has the ids, the lease and the error
-- of each. They are tried again after their delays, and their endpoints are not blamed.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.webhooks_unsent(p_tenant text, p_organization_id uuid, p_unsent jsonb)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
    u record;
    d billing.webhook_deliveries;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    FOR u IN
        SELECT * FROM jsonb_to_recordset(p_unsent) AS r (event_id uuid, endpoint_id uuid, lease uuid, error text)
    LOOP
        SELECT * INTO d FROM billing.webhook_deliveries
        WHERE organization_id = p_organization_id AND event_id = u.event_id AND endpoint_id = u.endpoint_id
            AND lease = u.lease FOR NO KEY UPDATE;
        CONTINUE WHEN NOT FOUND;
        d.status := CASE WHEN d.attempts > cardinality(billing.webhook_delays()) THEN 'failed' ELSE 'pending' END;
        d.next_attempt_at := v_now + coalesce((billing.webhook_delays())[d.attempts], '0');
        d.error := left(u.error, 500);
        UPDATE billing.webhook_deliveries SET status = d.status, lease = NULL, status_code = NULL,
            error = d.error, next_attempt_at = d.next_attempt_at
        WHERE organization_id = p_organization_id AND event_id = d.event_id AND endpoint_id = d.endpoint_id;
    END LOOP;
END $$;

-- How many deliveries to enabled endpoints are due, and for how many seconds the oldest has been.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.waiting_webhooks(p_tenant text) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN (
        SELECT json_build_object(
            'waiting', count(*),
            'oldest_seconds', coalesce(extract(epoch FROM v_now - min(d.next_attempt_at)), 0))
        FROM billing.webhook_deliveries AS d
        JOIN billing.webhook_endpoints AS e ON e.organization_id = d.organization_id AND e.id = d.endpoint_id
        WHERE d.status = 'pending' AND d.next_attempt_at <= v_now AND e.disabled_at IS NULL);
END $$;

-- Record the result of an attempt: the endpoint's status code, and the error, NULL for a success. An endpoint
-- that answers 410, or has failed without a success for p_patience, is disabled. Returns 'delivered',
-- 'retried', 'failed' or 'disabled'; 'forgotten' for an attempt whose lease has ended.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.webhook_attempted(
    p_tenant text, p_organization_id uuid, p_event_id uuid, p_endpoint_id uuid, p_lease uuid,
    p_status_code int, p_error text, p_patience interval
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
    d billing.webhook_deliveries;
    e billing.webhook_endpoints;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO d FROM billing.webhook_deliveries
    WHERE organization_id = p_organization_id AND event_id = p_event_id AND endpoint_id = p_endpoint_id
        AND lease = p_lease FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'forgotten';
    END IF;
    d.status := CASE WHEN p_error IS NULL THEN 'delivered'
        WHEN d.attempts > cardinality(billing.webhook_delays()) THEN 'failed' ELSE 'pending' END;
    -- Random, so that a recovered endpoint does not receive everything at once.
    d.next_attempt_at := v_now + coalesce((billing.webhook_delays())[d.attempts], '0') * (1 + random() / 10);
    UPDATE billing.webhook_deliveries SET status = d.status, lease = NULL, status_code = p_status_code,
        error = p_error, next_attempt_at = d.next_attempt_at
    WHERE organization_id = d.organization_id AND event_id = d.event_id AND endpoint_id = d.endpoint_id;
    IF p_error IS NULL THEN
        UPDATE billing.webhook_endpoints SET failing_since = NULL
        WHERE organization_id = d.organization_id AND id = d.endpoint_id AND failing_since IS NOT NULL;
        RETURN 'delivered';
    END IF;
    UPDATE billing.webhook_endpoints SET failing_since = coalesce(failing_since, d.attempted_at)
    WHERE organization_id = d.organization_id AND id = d.endpoint_id RETURNING * INTO e;
    IF e.disabled_at IS NULL AND (p_status_code = 410 OR e.failing_since <= v_now - p_patience) THEN
        e.disabled_because := CASE p_status_code WHEN 410 THEN 'it answered 410, gone'
            ELSE format('only failures since %s', billing.instant(e.failing_since)) END;
        UPDATE billing.webhook_endpoints SET disabled_at = v_now, disabled_because = e.disabled_because
        WHERE organization_id = e.organization_id AND id = e.id;
        RETURN 'disabled';
    END IF;
    RETURN CASE d.status WHEN 'failed' THEN 'failed' ELSE 'retried' END;
END $$;

-- Deliver again to an endpoint: one event, delivered or not, or all events of its types since an instant
-- that it has not received. Returns the number of events.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.replay_webhooks(
    p_tenant text, p_organization_id uuid, p_endpoint_id uuid, p_event_id uuid, p_since timestamptz
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    e billing.webhook_endpoints;
    v_now timestamptz := billing.now();
    v_event_id uuid;
    v_changed int;
    v_replayed int := 0;
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
    FOR v_event_id IN
        SELECT v.id FROM billing.webhook_events AS v
        WHERE v.organization_id = o.id AND (v.id = p_event_id
            OR v.created_at >= p_since AND (e.types = '{}' OR v.type = ANY (e.types)))
    LOOP
        INSERT INTO billing.webhook_deliveries AS d (endpoint_id, event_id, organization_id)
        VALUES (e.id, v_event_id, o.id)
        ON CONFLICT (organization_id, event_id, endpoint_id) DO UPDATE
        SET status = 'pending', attempts = 0, lease = NULL, next_attempt_at = v_now
        WHERE d.status = 'failed' OR p_event_id IS NOT NULL;
        GET DIAGNOSTICS v_changed = ROW_COUNT;
        v_replayed := v_replayed + v_changed;
    END LOOP;
    RETURN billing.outcome('created', json_build_object('replayed', v_replayed));
END $$;
