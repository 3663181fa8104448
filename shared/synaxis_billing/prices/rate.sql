-- Rating: tokens by bucket and the rates of a price become an amount. A bucket has the rate of its own, else
-- that of its parent; of the rates of one bucket counts the highest step that the request's input is above, in
-- the request's service tier, else in the standard one. The rates of a price never change, so its ratings do not.
-- PostgreSQL puts these functions into the statements that call them, so each is one SELECT or one expression.

-- The buckets whose rate applies to a bucket that has none, its parent first.
-- api helper
CREATE OR REPLACE FUNCTION billing.rate_parents(p_bucket text) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce('{"input": [], "output": [], "reasoning": ["output"], "audio_output": ["output"],
        "image_output": ["output"], "audio_cache_read": ["cache_read", "input"]}'::jsonb -> p_bucket, '["input"]')
$$;

-- The sum of a report that counts a bucket.
-- api helper
CREATE OR REPLACE FUNCTION billing.token_kind(p_bucket text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce('{"output": "output", "reasoning": "output", "audio_output": "output",
        "image_output": "output", "cache_read": "cached", "audio_cache_read": "cached"}'::jsonb ->> p_bucket, 'input')
$$;

-- A price as usage is rated by it, from an array of billing.price_rate: {"rates": the array, in the order in which
-- they are tried, "columns": {column: {bucket: the index of its rate in "rates"}}}. A column is a service tier. If the
-- rates have steps, it is a tier and a step, and "steps" lists these, the lowest first.
CREATE OR REPLACE FUNCTION billing.rate_table(p_rates jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    WITH rates AS MATERIALIZED (
        SELECT r.*, row_number() OVER (ORDER BY jsonb_array_length(billing.rate_parents(r.bucket)) DESC, r.bucket,
            r.above_input_tokens DESC, r.service_tier = 'standard', r.service_tier) - 1 AS index
        FROM jsonb_populate_recordset(NULL::billing.price_rate, p_rates) AS r
    ), steps AS (
        SELECT DISTINCT above_input_tokens AS above FROM rates
    ), cells AS (
        SELECT t.tier, s.above, b.bucket, min(r.index) AS index
        FROM (SELECT 'standard' UNION SELECT service_tier FROM rates) AS t (tier)
        CROSS JOIN steps AS s
        CROSS JOIN (
            SELECT bucket FROM rates
            UNION SELECT unnest(ARRAY['reasoning', 'audio_output', 'image_output', 'audio_cache_read'])
        ) AS b (bucket)
        JOIN rates AS r ON (r.bucket = b.bucket OR billing.rate_parents(b.bucket) ? r.bucket)
            AND r.service_tier IN (t.tier, 'standard') AND r.above_input_tokens <= s.above
        GROUP BY t.tier, s.above, b.bucket
    )
    SELECT jsonb_object_agg(name, value) FROM (
        SELECT 'rates', (SELECT jsonb_agg(to_jsonb(r) - 'index' ORDER BY r.index) FROM rates AS r)
        UNION ALL
        SELECT 'columns', jsonb_object_agg(c.name, c.indexes) FROM (
            SELECT CASE WHEN (SELECT count(*) FROM steps) = 1 THEN tier ELSE concat(tier, ' above ', above) END,
                jsonb_object_agg(bucket, index)
            FROM cells GROUP BY tier, above
        ) AS c (name, indexes)
        UNION ALL
        SELECT 'steps', jsonb_agg(above ORDER BY above) FROM steps HAVING count(*) > 1
    ) AS members (name, value)
$$;

-- The column of a rate table that rates a request; a tier without rates has those of the standard one.
-- api helper
CREATE OR REPLACE FUNCTION billing.rate_column(p_table jsonb, p_service_tier text, p_usage jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(p_table #> ARRAY['columns', p_service_tier],
        billing.other_column(p_table, p_service_tier, p_usage))
$$;

-- The same if the rates have steps, or the tier has no rates. A step counts all input of the request, what was cached
-- too. It is not SQL, which would become a part of each statement that rates, and be started with it.
-- api helper
CREATE OR REPLACE FUNCTION billing.other_column(p_table jsonb, p_service_tier text, p_usage jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_input_tokens bigint := (
        SELECT coalesce(sum(value::bigint), 0) FROM jsonb_each_text(p_usage) WHERE billing.token_kind(key) <> 'output');
    v_step text := coalesce(' above ' || (jsonb_path_query_array(p_table -> 'steps',
        '$[*] ? (@ == 0 || @ < $input_tokens)', jsonb_build_object('input_tokens', v_input_tokens)) ->> -1), '');
BEGIN
    RETURN coalesce(
        p_table #> ARRAY['columns', p_service_tier || v_step], p_table #> ARRAY['columns', 'standard' || v_step]);
END $$;

-- Each bucket of a request with its rate.
-- api helper
CREATE OR REPLACE FUNCTION billing.rate_lines(p_rates jsonb, p_column jsonb, p_usage jsonb)
RETURNS TABLE (bucket text, tokens bigint, kind text, rate jsonb) LANGUAGE sql STABLE AS $$
    SELECT key, value::bigint, billing.token_kind(key),
        p_rates -> coalesce(p_column -> key, p_column -> 'input')::int
    FROM jsonb_each_text(p_usage)
$$;

-- What rates make of usage: its tokens, and its cost, which is exact.
-- api helper
CREATE OR REPLACE FUNCTION billing.rate_usage(p_rates jsonb, p_column jsonb, p_usage jsonb)
RETURNS TABLE (tokens bigint, input_tokens bigint, cached_tokens bigint, output_tokens bigint, exact_usd numeric)
LANGUAGE sql STABLE AS $$
    SELECT tokens, tokens - cached_tokens - output_tokens, cached_tokens, output_tokens, exact_usd
    FROM (
        SELECT coalesce(sum(tokens), 0)::bigint AS tokens,
            coalesce(sum(tokens) FILTER (WHERE kind = 'cached'), 0)::bigint AS cached_tokens,
            coalesce(sum(tokens) FILTER (WHERE kind = 'output'), 0)::bigint AS output_tokens,
            coalesce(sum(tokens * (rate ->> 'usd_per_million')::numeric), 0) * 0.000001 AS exact_usd
        FROM billing.rate_lines(p_rates, p_column, p_usage)
    )
$$;

-- The amount of an exact cost: rounded once, half-up, to eight decimals.
-- api helper
CREATE OR REPLACE FUNCTION billing.rated_usd(p_exact_usd numeric, p_price_multiplier numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$ SELECT round(p_exact_usd * p_price_multiplier, 8) $$;

-- What a price makes of usage.
CREATE OR REPLACE FUNCTION billing.rating(
    p_price_id uuid, p_service_tier text, p_usage jsonb, p_price_multiplier numeric
) RETURNS billing.rating LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT ROW(r.tokens, r.input_tokens, r.cached_tokens, r.output_tokens,
            billing.rated_usd(r.exact_usd, p_price_multiplier), billing.rated_usd(r.exact_usd, 1))::billing.rating
        FROM billing.prices AS p CROSS JOIN LATERAL billing.rate_usage(
            p.rates -> 'rates', billing.rate_column(p.rates, p_service_tier, p_usage), p_usage) AS r
        WHERE p.id = p_price_id);
END $$;
