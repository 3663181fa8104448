-- The price book: prices of models, everyone's and those of single organizations, which are only ever added.
-- billing.rate() prices usage for quotes, holds, charges, captures, batches and reratings alike.

-- The price in force at an instant, as it was known at another: the organization's own, else everyone's. A model
-- is looked for by its name as it was said, then without the provider's prefix, then without the date at its
-- end. NULL when there is none.
-- api helper
CREATE OR REPLACE FUNCTION billing.price_in_force(
    p_organization_id uuid, p_provider text, p_model text, p_at timestamptz,
    p_known_at timestamptz DEFAULT 'infinity'
) RETURNS billing.prices LANGUAGE plpgsql STABLE AS $$
DECLARE
    p billing.prices;
    v_name text := p_model;
    v_next text;
BEGIN
    FOR v_try IN 1..3 LOOP
        SELECT * INTO p FROM billing.prices
        WHERE organization_id = p_organization_id AND provider = p_provider AND model = v_name
            AND effective_from <= p_at AND recorded_at <= p_known_at
        ORDER BY effective_from DESC, recorded_at DESC, id DESC LIMIT 1;
        IF NOT FOUND THEN
            SELECT * INTO p FROM billing.prices
            WHERE organization_id IS NULL AND provider = p_provider AND model = v_name
                AND effective_from <= p_at AND recorded_at <= p_known_at
            ORDER BY effective_from DESC, recorded_at DESC, id DESC LIMIT 1;
        END IF;
        EXIT WHEN FOUND;
        IF starts_with(v_name, p_provider || '/') THEN
            v_name := substr(v_name, length(p_provider) + 2);
        ELSE
            v_next := regexp_replace(v_name, '-(\d{8}|\d{4}-\d{2}-\d{2})$', '');
            EXIT WHEN v_next = v_name;
            v_name := v_next;
        END IF;
    END LOOP;
    RETURN p;
END $$;

-- What usage costs an organization (NULL: anyone) at an instant, by the price that was known at another.
-- The multiplier applies to everyone's prices alone. The platform pays everyone's price, also for usage that an
-- organization's own price sells; without one, the cost is not known.
-- api helper
CREATE OR REPLACE FUNCTION billing.rate(
    p_organization_id uuid, p_price_multiplier numeric, p_provider text, p_model text, p_service_tier text,
    p_usage jsonb, p_at timestamptz, p_known_at timestamptz DEFAULT 'infinity'
) RETURNS billing.rating LANGUAGE plpgsql STABLE AS $$
DECLARE
    p billing.prices := billing.price_in_force(p_organization_id, p_provider, p_model, p_at, p_known_at);
    r billing.rating;
BEGIN
    IF p.id IS NULL THEN
        RETURN r;
    END IF;
    r := billing.rate_usage(p.id, p_service_tier, p_usage,
        CASE WHEN p.organization_id IS NULL THEN p_price_multiplier ELSE 1 END);
    IF p.organization_id IS NOT NULL THEN
        r.cost_usd := (billing.rate(NULL, 1, p_provider, p_model, p_service_tier, p_usage, p_at, p_known_at)).cost_usd;
    END IF;
    r.provider := p.provider;
    r.model := p.model;
    r.source := p.source;
    RETURN r;
END $$;

-- A request of an organization with its usage priced now: amount, tokens, and what makes them again. The
-- amount stays NULL when the model has no price.
CREATE OR REPLACE FUNCTION billing.price_request(p_organization_id uuid, u billing.usage_request)
RETURNS billing.usage_request LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_multiplier numeric;
    r billing.rating;
BEGIN
    u.service_tier := coalesce(u.service_tier, 'standard');
    SELECT price_multiplier INTO v_multiplier FROM billing.organizations WHERE id = p_organization_id;
    r := billing.rate(
        p_organization_id, v_multiplier, u.provider, u.model, u.service_tier, u.usage, billing.now());
    u.amount_usd := r.amount_usd;
    u.tokens := r.tokens;
    u.price_id := r.price_id;
    u.price_multiplier := r.price_multiplier;
    u.cost_usd := r.cost_usd;
    u.input_tokens := r.input_tokens;
    u.cached_tokens := r.cached_tokens;
    u.output_tokens := r.output_tokens;
    RETURN u;
END $$;

-- What a charge's caller does not know of a priced request, as more members of a JSON object.
CREATE OR REPLACE FUNCTION billing.priced_members(u billing.usage_request) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat(', "amount_usd": "', -u.amount_usd, '", "tokens": ', u.tokens, ', "service_tier": ',
        to_json(u.service_tier), ', "price_id": "', u.price_id, '", "price_multiplier": "',
        u.price_multiplier, '"')
$$;

-- The refusal of a hold or a quote for a model that has no price.
-- api helper
CREATE OR REPLACE FUNCTION billing.price_unknown(p_provider text, p_model text) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT billing.outcome('price_unknown', json_build_object('provider', p_provider, 'model', p_model,
        'detail', format('The model %s of the provider %s has no price; add one by POST /v1/prices.',
            to_json(p_model), to_json(p_provider))))
$$;

-- api helper
CREATE OR REPLACE FUNCTION billing.rating_json(r billing.rating) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'amount_usd', r.amount_usd::text,
        'price_id', r.price_id,
        'provider', r.provider,
        'model', r.model,
        'source', r.source,
        'service_tier', r.service_tier,
        'price_multiplier', r.price_multiplier::text,
        'tokens', r.tokens,
        'lines', (
            SELECT coalesce(json_agg(json_build_object(
                'bucket', l.bucket, 'tokens', l.tokens, 'usd_per_million', l.usd_per_million::text,
                'amount_usd', (l.tokens * l.usd_per_million * 0.000001)::text,
                'rate', json_build_object('bucket', l.rate_bucket, 'service_tier', l.rate_service_tier,
                    'above_input_tokens', l.above_input_tokens)) ORDER BY ordinality), '[]')
            FROM unnest(r.lines) WITH ORDINALITY AS l))
$$;

-- What usage would cost an organization now; changes nothing.
-- api
CREATE OR REPLACE FUNCTION billing.quote(
    p_tenant text, p_organization_id uuid, p_provider text, p_model text, p_service_tier text, p_usage jsonb
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_multiplier numeric;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT price_multiplier INTO v_multiplier FROM billing.organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.quoted(p_provider, p_model, billing.rate(
        p_organization_id, v_multiplier, p_provider, p_model, p_service_tier, p_usage, billing.now()));
END $$;

-- What usage would cost now by everyone's price; changes nothing.
-- api
CREATE OR REPLACE FUNCTION billing.everyones_quote(
    p_tenant text, p_provider text, p_model text, p_service_tier text, p_usage jsonb
) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    RETURN billing.quoted(p_provider, p_model, billing.rate(
        NULL, 1, p_provider, p_model, p_service_tier, p_usage, billing.now()));
END $$;

-- api helper
CREATE OR REPLACE FUNCTION billing.quoted(p_provider text, p_model text, r billing.rating) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN r.amount_usd IS NULL THEN billing.price_unknown(p_provider, p_model)
        ELSE billing.outcome('found', billing.rating_json(r)) END
$$;

-- api helper
CREATE OR REPLACE FUNCTION billing.price_json(p billing.prices) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', p.id,
        'organization_id', p.organization_id,
        'provider', p.provider,
        'model', p.model,
        'effective_from', p.effective_from,
        'recorded_at', p.recorded_at,
        'source', p.source,
        'rates', (
            SELECT json_agg(json_build_object('bucket', t.bucket, 'service_tier', t.service_tier,
                'above_input_tokens', t.above_input_tokens, 'usd_per_million', t.usd_per_million::text)
                ORDER BY t.service_tier <> 'standard', t.service_tier, t.above_input_tokens, t.bucket)
            FROM billing.price_rates AS t WHERE t.price_id = p.id))
$$;

-- Add a price. What it replaces stays stored.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.create_price(p_tenant text, p_price jsonb) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    p billing.prices := jsonb_populate_record(NULL::billing.prices, p_price);
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM billing.set_tenant(p_tenant);
    IF p.organization_id IS NOT NULL THEN
        -- The lock makes it a part of this transaction also on the organization's node, with its tenant.
        PERFORM FROM billing.organizations WHERE id = p.organization_id FOR KEY SHARE;
        IF NOT FOUND THEN
            RETURN billing.outcome('organization_not_found');
        END IF;
    END IF;
    INSERT INTO billing.prices (organization_id, provider, model, effective_from, source)
    VALUES (p.organization_id, p.provider, p.model, p.effective_from, p.source)
    RETURNING * INTO p;
    PERFORM billing.store_rates((
        SELECT jsonb_agg(rate || jsonb_build_object('price_id', p.id, 'organization_id', p.organization_id))
        FROM jsonb_array_elements(p_price -> 'rates') AS rate));
    RETURN billing.outcome('created', billing.price_json(p));
END $$;

-- Store rates, [billing.price_rates], by one statement whose values are in its text: a cluster copies no other to
-- tables with row-level security.
CREATE OR REPLACE FUNCTION billing.store_rates(p_rates jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_values text := (
        SELECT string_agg(format('(%L, %L, %L, %L, %L, %L)', r.price_id, r.organization_id, r.bucket,
            r.service_tier, r.above_input_tokens, r.usd_per_million), ', ')
        FROM jsonb_populate_recordset(NULL::billing.price_rates, p_rates) AS r);
BEGIN
    IF v_values IS NOT NULL THEN
        EXECUTE 'INSERT INTO billing.price_rates (price_id, organization_id, bucket, service_tier,
            above_input_tokens, usd_per_million) VALUES ' || v_values;
    END IF;
END $$;

-- api
CREATE OR REPLACE FUNCTION billing.price(p_tenant text, p_price_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    p billing.prices;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO p FROM billing.prices WHERE id = p_price_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('price_not_found');
    END IF;
    RETURN billing.outcome('found', billing.price_json(p));
END $$;

-- Prices, newest first, before the id (exclusive) that an earlier page ended at. With an instant, those that
-- are in force at it.
-- api
CREATE OR REPLACE FUNCTION billing.prices(
    p_tenant text, p_owner_id uuid, p_provider text, p_model text, p_at timestamptz, p_before uuid,
    p_since uuid, p_limit int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    RETURN (
        SELECT coalesce(json_agg(billing.price_json(ROW(p.*)::billing.prices) ORDER BY p.id DESC), '[]')
        FROM (
            SELECT * FROM billing.prices AS q
            WHERE (p_owner_id IS NULL OR q.organization_id = p_owner_id)
                AND (p_provider IS NULL OR q.provider = p_provider)
                AND (p_model IS NULL OR q.model = p_model)
                AND (p_before IS NULL OR q.id < p_before) AND (p_since IS NULL OR q.id >= p_since)
                AND (p_at IS NULL OR q.effective_from <= p_at AND NOT EXISTS (
                    SELECT FROM billing.prices AS n
                    WHERE n.organization_id IS NOT DISTINCT FROM q.organization_id
                        AND n.provider = q.provider AND n.model = q.model AND n.effective_from <= p_at
                        AND (n.effective_from, n.recorded_at, n.id)
                            > (q.effective_from, q.recorded_at, q.id)))
            ORDER BY CASE WHEN p_since IS NULL THEN q.id END DESC, q.id LIMIT p_limit
        ) AS p);
END $$;
