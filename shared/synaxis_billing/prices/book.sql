-- The price book: prices of models, everyone's and those of single organizations, which are only ever added.
-- billing.price_request() prices usage for quotes, holds, charges, captures, batches and reratings alike.

-- The next name by which a model's price is looked for: without the provider's prefix, then without the date at
-- its end; NULL when there is none.
-- api helper
CREATE OR REPLACE FUNCTION billing.shorter_name(p_provider text, p_model text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN starts_with(p_model, p_provider || '/') THEN substr(p_model, length(p_provider) + 2)
        ELSE nullif(regexp_replace(p_model, '-(\d{8}|\d{4}-\d{2}-\d{2})$', ''), p_model) END
$$;

-- A request of an organization (NULL: anyone) with its usage priced as of an instant, by what was known of prices
-- at another: amount, tokens, and what makes them again. The organization's own price counts, else everyone's,
-- the newest that is in force. The amount stays NULL when the model has no price. Everyone's prices have a multiplier: the
-- request's, else the organization's. The platform pays everyone's price, also for usage that an organization's
-- own price sells; without one, the cost is not known.
-- api helper
CREATE OR REPLACE FUNCTION billing.price_request(
    p_organization_id uuid, u billing.usage_request, p_at timestamptz,
    p_known_at timestamptz DEFAULT 'infinity'
) RETURNS billing.usage_request LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_name text := u.model;
    -- Each look for a price sets the request's.
    v_multiplier numeric := u.price_multiplier;
    v_own boolean;
BEGIN
    u.service_tier := coalesce(u.service_tier, 'standard');
    WHILE v_name IS NOT NULL LOOP
        SELECT p.id, p.organization_id IS NOT NULL, p.multiplier, r.tokens, r.input_tokens, r.cached_tokens,
            r.output_tokens, billing.rated_usd(r.exact_usd, 1), billing.rated_usd(r.exact_usd, p.multiplier)
        INTO u.price_id, v_own, u.price_multiplier, u.tokens, u.input_tokens, u.cached_tokens, u.output_tokens,
            u.cost_usd, u.amount_usd
        FROM (
            -- Members of the table are read once, since a large one is stored compressed.
            SELECT id, organization_id, rates -> 'rates' AS rates,
                billing.rate_column(rates, u.service_tier, u.usage) AS column,
                CASE WHEN organization_id IS NULL THEN coalesce(v_multiplier,
                    (SELECT price_multiplier FROM billing.organizations WHERE id = p_organization_id), 1)
                ELSE 1 END AS multiplier
            FROM billing.prices
            WHERE owner_id = ANY (ARRAY[p_organization_id, '00000000-0000-0000-0000-000000000000'])
                AND provider = u.provider AND model = v_name
                AND effective_from <= p_at AND recorded_at <= p_known_at
            ORDER BY owner_id DESC, effective_from DESC, recorded_at DESC, id DESC LIMIT 1
        ) AS p CROSS JOIN LATERAL billing.rate_usage(p.rates, p.column, u.usage) AS r;
        EXIT WHEN FOUND;
        v_name := billing.shorter_name(u.provider, v_name);
    END LOOP;
    IF v_own THEN
        u.cost_usd := (billing.price_request(NULL, u, p_at, p_known_at)).cost_usd;
    END IF;
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

-- What a price makes of usage, line by line; NULL without a price.
-- api helper
CREATE OR REPLACE FUNCTION billing.rating_json(
    p_price_id uuid, p_service_tier text, p_usage jsonb, p_price_multiplier numeric
) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT json_build_object(
        'amount_usd', billing.rated_usd(r.exact_usd, p_price_multiplier)::text,
        'price_id', p.id,
        'provider', p.provider,
        'model', p.model,
        'source', p.source,
        'service_tier', p_service_tier,
        'price_multiplier', p_price_multiplier::text,
        'tokens', r.tokens,
        'lines', (
            SELECT coalesce(json_agg(json_build_object(
                'bucket', l.bucket, 'tokens', l.tokens, 'usd_per_million', l.rate ->> 'usd_per_million',
                'amount_usd', (l.tokens * (l.rate ->> 'usd_per_million')::numeric * 0.000001)::text,
                'rate', l.rate - 'usd_per_million')), '[]')
            FROM billing.rate_lines(p.rates, p.column, p_usage) AS l))
    FROM (
        SELECT id, provider, model, source, rates -> 'rates' AS rates,
            billing.rate_column(rates, p_service_tier, p_usage) AS column
        FROM billing.prices WHERE id = p_price_id
    ) AS p CROSS JOIN LATERAL billing.rate_usage(p.rates, p.column, p_usage) AS r);
END $$;

-- What usage would cost an organization now; changes nothing.
-- api
CREATE OR REPLACE FUNCTION billing.quote(
    p_tenant text, p_organization_id uuid, p_provider text, p_model text, p_service_tier text, p_usage jsonb
) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.quoted(p_organization_id, p_provider, p_model, p_service_tier, p_usage);
END $$;

-- What usage would cost now by everyone's price; changes nothing.
-- api
CREATE OR REPLACE FUNCTION billing.everyones_quote(
    p_tenant text, p_provider text, p_model text, p_service_tier text, p_usage jsonb
) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    RETURN billing.quoted(NULL, p_provider, p_model, p_service_tier, p_usage);
END $$;

-- api helper
CREATE OR REPLACE FUNCTION billing.quoted(
    p_organization_id uuid, p_provider text, p_model text, p_service_tier text, p_usage jsonb
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    u billing.usage_request;
BEGIN
    u.provider := p_provider;
    u.model := p_model;
    u.service_tier := p_service_tier;
    u.usage := p_usage;
    u := billing.price_request(p_organization_id, u, billing.now());
    RETURN CASE WHEN u.amount_usd IS NULL THEN billing.price_unknown(p_provider, p_model)
        ELSE billing.outcome('found', billing.rating_json(
            u.price_id, u.service_tier, u.usage, u.price_multiplier)) END;
END $$;

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
            FROM jsonb_populate_recordset(NULL::billing.price_rate, p.rates -> 'rates') AS t))
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
    INSERT INTO billing.prices (organization_id, provider, model, effective_from, source, rates)
    VALUES (p.organization_id, p.provider, p.model, p.effective_from, p.source, billing.rate_table(p.rates))
    RETURNING * INTO p;
    RETURN billing.outcome('created', billing.price_json(p));
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
                    WHERE n.owner_id = q.owner_id
                        AND n.provider = q.provider AND n.model = q.model AND n.effective_from <= p_at
                        AND (n.effective_from, n.recorded_at, n.id)
                            > (q.effective_from, q.recorded_at, q.id)))
            ORDER BY CASE WHEN p_since IS NULL THEN q.id END DESC, q.id LIMIT p_limit
        ) AS p);
END $$;
