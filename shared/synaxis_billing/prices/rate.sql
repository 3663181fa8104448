-- Rating: tokens by bucket and the rates of a price become an amount. Pure functions, which no table is read
-- by. A bucket has the rate of its own, else that of its parent; of the rates of one bucket counts the
-- highest step that the request's input is above, in the request's service tier, else in the standard one.

-- The buckets whose rate applies to a bucket, its own first.
-- api helper
CREATE OR REPLACE FUNCTION billing.rate_buckets(p_bucket text) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_bucket
        WHEN 'input' THEN ARRAY['input']
        WHEN 'output' THEN ARRAY['output']
        WHEN 'reasoning' THEN ARRAY['reasoning', 'output']
        WHEN 'audio_output' THEN ARRAY['audio_output', 'output']
        WHEN 'image_output' THEN ARRAY['image_output', 'output']
        WHEN 'audio_cache_read' THEN ARRAY['audio_cache_read', 'cache_read', 'input']
        ELSE ARRAY[p_bucket, 'input'] END
$$;

-- The tokens of a request that a step counts: all of its input, what was cached too.
-- api helper
CREATE OR REPLACE FUNCTION billing.input_tokens(p_usage jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(sum(value::bigint), 0) FROM jsonb_each_text(p_usage)
    WHERE key NOT IN ('output', 'reasoning', 'audio_output', 'image_output')
$$;

-- Each bucket of a request with its rate; NULL is the rate of a bucket that has none.
-- api helper
CREATE OR REPLACE FUNCTION billing.rating_lines(
    p_rates billing.price_rates[], p_service_tier text, p_usage jsonb
) RETURNS billing.rating_line[] LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(ROW(u.bucket, u.tokens, r.bucket, r.service_tier, r.above_input_tokens,
        r.usd_per_million)::billing.rating_line ORDER BY u.bucket), '{}')
    FROM (
        SELECT key AS bucket, value::bigint AS tokens, billing.rate_buckets(key) AS buckets,
            billing.input_tokens(p_usage) AS input_tokens
        FROM jsonb_each_text(p_usage)
    ) AS u
    LEFT JOIN LATERAL (
        SELECT * FROM unnest(p_rates)
        WHERE bucket = ANY (u.buckets) AND service_tier IN (p_service_tier, 'standard')
            AND (above_input_tokens = 0 OR above_input_tokens < u.input_tokens)
        ORDER BY array_position(u.buckets, bucket), above_input_tokens DESC,
            service_tier = p_service_tier DESC
        LIMIT 1
    ) AS r ON true
$$;

-- The amount of a rating's lines, exact, and rounded once, half-up, to eight decimals; NULL when a bucket
-- has no rate.
-- api helper
CREATE OR REPLACE FUNCTION billing.rated_usd(p_lines billing.rating_line[], p_multiplier numeric)
RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN count(*) = count(usd_per_million)
        THEN round(coalesce(sum(tokens * usd_per_million), 0) * p_multiplier * 0.000001, 8) END
    FROM unnest(p_lines)
$$;
