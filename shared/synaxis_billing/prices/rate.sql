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

-- The rates of a price, an array of billing.price_rate, in the order in which rate_lines() tries them.
CREATE OR REPLACE FUNCTION billing.in_order(p_rates jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_agg(to_jsonb(r) ORDER BY jsonb_array_length(billing.rate_parents(r.bucket)) DESC, r.bucket,
        r.above_input_tokens DESC, r.service_tier = 'standard', r.service_tier)
    FROM jsonb_populate_recordset(NULL::billing.price_rate, p_rates) AS r
$$;

-- Each bucket of a request with its rate, the first that applies. A step counts all input of the request, what
-- was cached too.
-- api helper
CREATE OR REPLACE FUNCTION billing.rate_lines(p_rates jsonb, p_service_tier text, p_usage jsonb)
RETURNS TABLE (bucket text, tokens bigint, kind text, rate jsonb) LANGUAGE sql STABLE AS $$
    SELECT bucket, tokens, kind, jsonb_path_query_first(p_rates,
        '$[*] ? ((@.bucket == $bucket || @.bucket == $parents[*])
            && (@.service_tier == $tier || @.service_tier == "standard")
            && (@.above_input_tokens == 0 || @.above_input_tokens < $input_tokens))',
        jsonb_build_object('bucket', bucket, 'parents', billing.rate_parents(bucket), 'tier', p_service_tier,
            'input_tokens', sum(tokens) FILTER (WHERE kind <> 'output') OVER ()))
    FROM (
        SELECT key AS bucket, value::bigint AS tokens, billing.token_kind(key) AS kind
        FROM jsonb_each_text(p_usage)
    )
$$;

-- What rates make of usage: its tokens, and its cost, which is exact.
-- api helper
CREATE OR REPLACE FUNCTION billing.rate_usage(p_rates jsonb, p_service_tier text, p_usage jsonb)
RETURNS TABLE (tokens bigint, input_tokens bigint, cached_tokens bigint, output_tokens bigint, exact_usd numeric)
LANGUAGE sql STABLE AS $$
    SELECT tokens, tokens - cached_tokens - output_tokens, cached_tokens, output_tokens, exact_usd
    FROM (
        SELECT coalesce(sum(tokens), 0)::bigint AS tokens,
            coalesce(sum(tokens) FILTER (WHERE kind = 'cached'), 0)::bigint AS cached_tokens,
            coalesce(sum(tokens) FILTER (WHERE kind = 'output'), 0)::bigint AS output_tokens,
            coalesce(sum(tokens * (rate ->> 'usd_per_million')::numeric), 0) * 0.000001 AS exact_usd
        FROM billing.rate_lines(p_rates, p_service_tier, p_usage)
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
        FROM billing.prices AS p CROSS JOIN LATERAL billing.rate_usage(p.rates, p_service_tier, p_usage) AS r
        WHERE p.id = p_price_id);
END $$;
