-- Exchange rates: units of a currency per US dollar, with their history. A rate that jumped too far is
-- held back until an administrator accepts it.

-- The last rate of a currency that is not held back; no row when there is none.
-- api helper
CREATE OR REPLACE FUNCTION billing.last_rate(p_currency text) RETURNS SETOF billing.exchange_rates
LANGUAGE sql STABLE AS $$
    SELECT * FROM billing.exchange_rates
    WHERE currency = p_currency AND NOT held ORDER BY fetched_at DESC, fetch_id DESC LIMIT 1
$$;

-- Store the rates of one fetch, once. A rate that differs from the one before by more than the largest
-- jump (0.2 is 20 %) is held back.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.store_exchange_rates(
    p_tenant text, p_fetch jsonb, p_largest_jump numeric
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_stored text[];
    v_held text[];
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    -- One fetch at a time: each is compared with the one before it.
    PERFORM pg_advisory_xact_lock(hashtext('billing.exchange_rates'));
    WITH new AS (
        INSERT INTO billing.exchange_rates (fetch_id, currency, rate, source, as_of, fetched_at, held)
        SELECT (p_fetch ->> 'id')::uuid, r.key, r.value::numeric, p_fetch ->> 'source',
            (p_fetch ->> 'as_of')::timestamptz, (p_fetch ->> 'fetched_at')::timestamptz,
            coalesce(abs(r.value::numeric / last.rate - 1) > p_largest_jump, false)
        FROM jsonb_each_text(p_fetch -> 'rates') AS r
        LEFT JOIN LATERAL billing.last_rate(r.key) AS last ON true
        ON CONFLICT (fetch_id, currency) DO NOTHING
        RETURNING currency, held
    )
    SELECT coalesce(array_agg(currency ORDER BY currency) FILTER (WHERE NOT held), '{}'),
        coalesce(array_agg(currency ORDER BY currency) FILTER (WHERE held), '{}')
    INTO v_stored, v_held FROM new;
    IF v_stored <> '{}' THEN
        PERFORM billing.rates_changed();
    END IF;
    RETURN billing.outcome('created', json_build_object(
        'fetch_id', p_fetch ->> 'id', 'stored', v_stored, 'held', v_held));
END $$;

-- Accept the rates of a fetch that were held back.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.accept_exchange_rates(p_tenant text, p_fetch_id uuid)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
    v_accepted text[];
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('billing.exchange_rates'));
    WITH accepted AS (
        UPDATE billing.exchange_rates SET held = false, stored_at = v_now
        WHERE fetch_id = p_fetch_id AND held RETURNING currency
    )
    SELECT coalesce(array_agg(currency ORDER BY currency), '{}') INTO v_accepted FROM accepted;
    IF v_accepted <> '{}' THEN
        PERFORM billing.rates_changed();
    END IF;
    RETURN billing.outcome('created', json_build_object(
        'fetch_id', p_fetch_id, 'stored', v_accepted, 'held', ARRAY[]::text[]));
END $$;

-- The last known rate of each of the currencies.
-- api
CREATE OR REPLACE FUNCTION billing.exchange_rates(p_tenant text, p_currencies text[]) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    RETURN (
        SELECT json_build_object(
            'items', coalesce(json_agg(json_build_object(
                'currency', last.currency, 'rate', last.rate::text, 'source', last.source,
                'as_of', last.as_of, 'fetched_at', last.fetched_at)), '[]'),
            'version', coalesce(billing.version_of(max(last.stored_at)), 0))
        FROM unnest(p_currencies) AS asked (currency)
        CROSS JOIN LATERAL billing.last_rate(asked.currency) AS last);
END $$;

CREATE OR REPLACE FUNCTION billing.rates_changed() RETURNS void LANGUAGE sql AS $$
    -- The tenant of values that belong to no organization.
    INSERT INTO billing.invalidations (tenant, keys, version)
    SELECT '00000000-0000-0000-0000-000000000000', ARRAY['rates:latest'],
        billing.version_of(max(stored_at)) FROM billing.exchange_rates
$$;
