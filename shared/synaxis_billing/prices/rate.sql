-- Rating: tokens by bucket and the rates of a price become an amount. A bucket has the rate of its own, else
-- that of its parent; of the rates of one bucket counts the highest step that the request's input is above, in
-- the request's service tier, else in the standard one. The rates of a price never change, so its ratings do not.

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

-- The sum of a report that counts a bucket.
-- api helper
CREATE OR REPLACE FUNCTION billing.token_kind(p_bucket text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_bucket IN ('output', 'reasoning', 'audio_output', 'image_output') THEN 'output'
        WHEN p_bucket IN ('cache_read', 'audio_cache_read') THEN 'cached'
        ELSE 'input' END
$$;

-- Each bucket of a request with its rate, and the amount: exact, and rounded once, half-up, to eight decimals;
-- NULL when a bucket has no rate. The cost is the amount without the multiplier. A step counts all input of the request, what was cached too.
-- api helper
CREATE OR REPLACE FUNCTION billing.rate_usage(
    p_price_id uuid, p_service_tier text, p_usage jsonb, p_price_multiplier numeric
) RETURNS billing.rating LANGUAGE plpgsql STABLE
-- Planning again for each usage costs more than it saves.
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    r billing.rating;
BEGIN
    r.price_id := p_price_id;
    r.service_tier := p_service_tier;
    r.price_multiplier := p_price_multiplier;
    SELECT coalesce(array_agg(ROW(u.bucket, u.tokens, t.bucket, t.service_tier, t.above_input_tokens,
            t.usd_per_million)::billing.rating_line), '{}'),
        coalesce(sum(u.tokens), 0),
        coalesce(sum(u.tokens) FILTER (WHERE u.kind = 'cached'), 0),
        coalesce(sum(u.tokens) FILTER (WHERE u.kind = 'output'), 0),
        CASE WHEN count(*) = count(t.usd_per_million) THEN
            coalesce(sum(u.tokens * t.usd_per_million), 0) * 0.000001 END
    INTO r.lines, r.tokens, r.cached_tokens, r.output_tokens, r.cost_usd
    FROM (
        SELECT key AS bucket, value::bigint AS tokens, billing.rate_buckets(key) AS buckets,
            billing.token_kind(key) AS kind,
            sum(value::bigint) FILTER (WHERE billing.token_kind(key) <> 'output') OVER () AS input_tokens
        FROM jsonb_each_text(p_usage)
    ) AS u
    LEFT JOIN LATERAL (
        SELECT * FROM billing.price_rates
        WHERE price_id = p_price_id AND bucket = ANY (u.buckets)
            AND service_tier IN (p_service_tier, 'standard')
            AND (above_input_tokens = 0 OR above_input_tokens < u.input_tokens)
        ORDER BY array_position(u.buckets, bucket), above_input_tokens DESC,
            service_tier = p_service_tier DESC
        LIMIT 1
    ) AS t ON true;
    r.input_tokens := r.tokens - r.cached_tokens - r.output_tokens;
    r.amount_usd := round(r.cost_usd * p_price_multiplier, 8);
    r.cost_usd := round(r.cost_usd, 8);
    RETURN r;
END $$;
