-- Import of a price list: every price that differs from the one in force is added, and nothing else.

-- The rates of a price as one object, which two prices can be compared by.
CREATE OR REPLACE FUNCTION billing.rate_map(p_rates jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_object_agg(concat_ws(' ', bucket, service_tier, above_input_tokens), usd_per_million)
    FROM jsonb_populate_recordset(NULL::billing.price_rate, p_rates -> 'rates')
$$;

-- Where two of them differ.
CREATE OR REPLACE FUNCTION billing.rate_changes(p_old jsonb, p_new jsonb) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_agg(json_build_object(
        'bucket', split_part(key, ' ', 1), 'service_tier', split_part(key, ' ', 2),
        'above_input_tokens', split_part(key, ' ', 3)::bigint,
        'before_usd_per_million', p_old ->> key, 'usd_per_million', p_new ->> key) ORDER BY key)
    FROM (SELECT jsonb_object_keys(p_old || p_new)) AS k (key)
    WHERE p_old -> key IS DISTINCT FROM p_new -> key
$$;

-- Import everyone's prices, [{provider, model, rates}], in force from an instant on; a dry run only tells
-- what an import would change.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.import_prices(
    p_tenant text, p_prices jsonb, p_effective_from timestamptz, p_source text, p_dry_run boolean
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_answer json;
    v_prices text;
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM billing.set_tenant(p_tenant);
    -- One import at a time: each compares its prices with those of the one before.
    PERFORM pg_advisory_xact_lock(hashtext('billing.prices'));
    WITH listed AS MATERIALIZED (
        SELECT uuidv7() AS id, l.provider, l.model, billing.rate_table(l.rates) AS new, o.rates AS old
        FROM jsonb_to_recordset(p_prices) AS l (provider text, model text, rates jsonb)
        LEFT JOIN LATERAL (
            SELECT rates FROM billing.prices
            WHERE owner_id = '00000000-0000-0000-0000-000000000000' AND provider = l.provider AND model = l.model
                AND effective_from <= p_effective_from
            ORDER BY effective_from DESC, recorded_at DESC, id DESC LIMIT 1
        ) AS o ON true
    )
    SELECT string_agg(format('(%L, %L, %L, %L, %L, %L)', id, provider, model, p_effective_from, p_source, new),
            ', ') FILTER (WHERE new IS DISTINCT FROM old),
        json_build_object(
        'added', count(*) FILTER (WHERE old IS NULL),
        'changed', count(*) FILTER (WHERE old <> new),
        'unchanged', count(*) FILTER (WHERE old = new),
        'changes', coalesce(json_agg(json_build_object('provider', provider, 'model', model,
            'rates', billing.rate_changes(billing.rate_map(old), billing.rate_map(new))) ORDER BY provider, model)
            FILTER (WHERE old <> new), '[]'))
    INTO v_prices, v_answer FROM listed;
    IF v_prices IS NOT NULL AND NOT p_dry_run THEN
        EXECUTE 'INSERT INTO billing.prices (id, provider, model, effective_from, source, rates) VALUES ' || v_prices;
    END IF;
    RETURN billing.outcome('created', v_answer);
END $$;
