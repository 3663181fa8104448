-- The inbox: verified webhooks of the providers. An event is stored before it is answered, says which payment to ask
-- for, and is done by the transaction that settles a later answer. One that names no known object waits for it.

-- Store an event; the same one again changes nothing. Returns the payment to ask for, if it is known and the event is
-- not settled yet. p_payment_id is what the object itself says, as we gave it to the provider.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.store_payment_event(
    p_tenant text, p_provider text, p_event_id text, p_type text, p_external_ids text[], p_body text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_known billing.payment_objects;
    e billing.payment_events;
    v_now timestamptz := billing.now();
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    SELECT * INTO v_known FROM billing.payment_objects
    WHERE provider = p_provider AND external_id = ANY (p_external_ids) LIMIT 1;
    INSERT INTO billing.payment_events
        (provider, event_id, type, external_ids, body, organization_id, payment_id, received_at)
    VALUES (p_provider, p_event_id, p_type, p_external_ids, p_body, v_known.organization_id,
        v_known.payment_id, v_now)
    ON CONFLICT (provider, event_id) DO NOTHING;
    SELECT * INTO STRICT e FROM billing.payment_events WHERE provider = p_provider AND event_id = p_event_id;
    IF e.payment_id IS NULL OR e.settled_at IS NOT NULL THEN
        RETURN billing.outcome('found');
    END IF;
    -- If the message to the worker is lost, the next sweep asks.
    UPDATE billing.payments SET next_ask_at = least(next_ask_at, v_now)
    WHERE organization_id = e.organization_id AND id = e.payment_id;
    RETURN billing.outcome('found', json_build_object(
        'organization_id', e.organization_id, 'payment_id', e.payment_id));
END $$;

-- Remember which of the provider's objects belong to a payment, and give it the events that waited for them.
CREATE OR REPLACE FUNCTION billing.know_objects(p billing.payments, p_external_ids text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_ids text[] := array_remove(p_external_ids, NULL);
    v_other text;
BEGIN
    -- The objects are on another node.
    PERFORM billing.set_tenant(p.organization_id::text);
    INSERT INTO billing.payment_objects (provider, external_id, organization_id, payment_id)
    SELECT p.provider, i, p.organization_id, p.id FROM unnest(v_ids) AS i
    ON CONFLICT (provider, external_id) DO NOTHING;
    SELECT min(i) INTO v_other FROM unnest(v_ids) AS i
    WHERE NOT EXISTS (
        SELECT FROM billing.payment_objects AS k
        WHERE k.provider = p.provider AND k.external_id = i AND k.payment_id = p.id);
    IF v_other IS NOT NULL THEN
        RAISE EXCEPTION 'object % of % belongs to another payment than %', v_other, p.provider, p.id;
    END IF;
    UPDATE billing.payment_events SET organization_id = p.organization_id, payment_id = p.id
    WHERE provider = p.provider AND payment_id IS NULL AND external_ids && v_ids;
END $$;

-- Remember the card that a payment has shown to be good for charges without the payer.
CREATE OR REPLACE FUNCTION billing.know_card(p billing.payments, p_state jsonb, p_at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p.captured > 0 AND p_state ->> 'customer_id' IS NOT NULL AND p_state ->> 'payment_method_id' IS NOT NULL
        AND p.purpose = 'topup' AND p.grant_id IS NULL
    THEN
        INSERT INTO billing.payment_customers AS c (organization_id, provider, customer_id, payment_method_id,
            card_fingerprint, card, updated_at)
        VALUES (p.organization_id, p.provider, p_state ->> 'customer_id', p_state ->> 'payment_method_id',
            p_state ->> 'card_fingerprint', p_state ->> 'card', p_at)
        ON CONFLICT (organization_id, provider) DO UPDATE SET customer_id = excluded.customer_id,
            payment_method_id = excluded.payment_method_id, card_fingerprint = excluded.card_fingerprint,
            card = excluded.card, updated_at = excluded.updated_at;
    END IF;
END $$;

-- The organizations after p_after with payments that are due to be asked for.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.due_payments(p_tenant text, p_after uuid, p_limit int) RETURNS uuid[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN ARRAY(
        SELECT DISTINCT organization_id FROM billing.payments
        WHERE organization_id > p_after AND next_ask_at <= v_now ORDER BY 1 LIMIT p_limit);
END $$;

-- An organization's payments that are due, each tried again in five minutes if no answer is settled until then.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.claim_payments(p_tenant text, p_organization_id uuid) RETURNS uuid[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
    v_later timestamptz := v_now + interval '5 minutes';
    v_claimed uuid[];
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    v_claimed := ARRAY(
        SELECT id FROM billing.payments WHERE organization_id = p_organization_id AND next_ask_at <= v_now
        ORDER BY next_ask_at LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED);
    UPDATE billing.payments SET next_ask_at = v_later
    WHERE organization_id = p_organization_id AND id = ANY (v_claimed);
    RETURN v_claimed;
END $$;

-- The events that name no known object, newest first, before an instant (exclusive), with the instant that the page
-- reached before the end of the list. Those of one instant are on one page.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.unmatched_payment_events(
    p_tenant text, p_before timestamptz, p_since timestamptz, p_limit int
)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN (
        WITH found AS (
            SELECT * FROM billing.payment_events
            WHERE payment_id IS NULL
                AND received_at < coalesce(p_before, 'infinity') AND received_at >= coalesce(p_since, '-infinity')
            ORDER BY CASE WHEN p_since IS NULL THEN received_at END DESC, received_at
            FETCH FIRST p_limit ROWS WITH TIES
        )
        SELECT json_build_object(
            'items', coalesce(json_agg(json_build_object(
                'provider', f.provider, 'event_id', f.event_id, 'type', f.type,
                'external_ids', to_json(f.external_ids), 'received_at', f.received_at)
                ORDER BY f.received_at DESC, f.provider, f.event_id), '[]'),
            'reached', CASE
                WHEN p_since IS NULL AND EXISTS (
                    SELECT FROM billing.payment_events AS e
                    WHERE e.payment_id IS NULL AND e.received_at < (SELECT min(received_at) FROM found))
                    THEN min(f.received_at)
                WHEN p_since IS NOT NULL AND EXISTS (
                    SELECT FROM billing.payment_events AS e
                    WHERE e.payment_id IS NULL AND e.received_at > (SELECT max(received_at) FROM found))
                    THEN max(f.received_at) END)
        FROM found AS f);
END $$;

-- How many events name no known object for an hour or more: of another system at the same provider, or of a payment
-- that is missing here.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.unknown_payment_events(p_tenant text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN (SELECT count(*) FROM billing.payment_events
        WHERE payment_id IS NULL AND received_at BETWEEN billing.now() - interval '1 day'
            AND billing.now() - interval '1 hour');
END $$;

-- Empty the bodies of at most 1,000 events that came 30 days ago, and return how many were emptied. They name payers,
-- and nothing reads them; what is left of an event still finds its payment.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.empty_payment_events(p_tenant text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_before timestamptz := billing.now() - interval '30 days';
    v_until timestamptz;
    v_emptied bigint;
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    SELECT max(received_at) INTO v_until FROM (
        SELECT received_at FROM billing.payment_events
        WHERE body <> '' AND received_at < v_before ORDER BY received_at LIMIT 1000
    ) AS oldest;
    UPDATE billing.payment_events SET body = '' WHERE body <> '' AND received_at <= v_until;
    GET DIAGNOSTICS v_emptied = ROW_COUNT;
    RETURN v_emptied;
END $$;
