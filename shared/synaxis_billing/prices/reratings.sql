-- Reratings: what a model's usage should have cost by what is known of its price today. Charges are never
-- rewritten; each organization gets one adjustment for each rerating.

-- The organizations after p_after that were charged by a model's price in a period.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.organizations_charged_for(
    p_tenant text, p_provider text, p_model text, p_start timestamptz, p_end timestamptz, p_after uuid, p_limit int
) RETURNS uuid[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN ARRAY(
        SELECT DISTINCT t.organization_id FROM billing.credit_transactions AS t
        JOIN billing.prices AS p ON p.id = t.price_id
        WHERE p.provider = p_provider AND p.model = p_model AND t.organization_id > p_after
            AND t.created_at >= p_start AND t.created_at < p_end
        ORDER BY 1 LIMIT p_limit);
END $$;

-- Each charge of an organization in a period whose amount differs from today's knowledge of the price at its
-- time. What an earlier rerating has corrected counts as corrected; refunded charges are left alone.
CREATE OR REPLACE FUNCTION billing.charges_to_correct(
    p_organization_id uuid, p_provider text, p_model text, p_start timestamptz, p_end timestamptz
) RETURNS TABLE (transaction_id uuid, price_id uuid, charged_usd numeric, amount_usd numeric)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    c record;
    u billing.usage_request;
BEGIN
    FOR c IN
        SELECT t.*, coalesce((
            SELECT e.amount_usd FROM billing.rerated_charges AS e
            WHERE e.organization_id = p_organization_id AND e.transaction_id = t.id
            ORDER BY e.rerating_id DESC LIMIT 1), -t.amount_usd) AS charged
        FROM billing.credit_transactions AS t JOIN billing.prices AS p ON p.id = t.price_id
        WHERE t.organization_id = p_organization_id AND t.created_at >= p_start AND t.created_at < p_end
            AND p.provider = p_provider AND p.model = p_model AND NOT EXISTS (
                SELECT FROM billing.charge_refunds AS f
                WHERE f.organization_id = p_organization_id AND f.charge_id = t.id)
    LOOP
        u.provider := c.provider;
        u.model := c.model;
        u.service_tier := c.service_tier;
        u.usage := c.usage;
        u.price_multiplier := c.price_multiplier;
        u := billing.price_request(p_organization_id, u, c.created_at);
        IF u.amount_usd <> c.charged THEN
            transaction_id := c.id;
            price_id := u.price_id;
            charged_usd := c.charged;
            amount_usd := u.amount_usd;
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;

-- Record a rerating, whose corrections follow.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.create_rerating(
    p_tenant text, p_provider text, p_model text, p_start timestamptz, p_end timestamptz, p_initiated_by text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_id uuid;
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM billing.set_tenant(p_tenant);
    INSERT INTO billing.reratings (provider, model, period_start, period_end, initiated_by)
    VALUES (p_provider, p_model, p_start, p_end, p_initiated_by) RETURNING id INTO v_id;
    RETURN billing.outcome('created', to_json(v_id));
END $$;

-- Correct what a period's usage of a model was charged to an organization, for a rerating; without one, only tell
-- what would be corrected. NULL when there is nothing.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.rerate(
    p_tenant text, p_organization_id uuid, p_rerating_id uuid, p_provider text, p_model text, p_start timestamptz,
    p_end timestamptz, p_initiated_by text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    v_found record;
    v_transaction_id uuid;
BEGIN
    SELECT count(*) AS charges, sum(c.charged_usd) AS charged_usd, sum(c.amount_usd) AS rerated_usd,
        sum(c.amount_usd) - sum(c.charged_usd) AS correction_usd, array_agg(c.transaction_id) AS ids,
        array_agg(c.price_id) AS price_ids, array_agg(c.amount_usd) AS amounts
    INTO v_found FROM billing.charges_to_correct(o.id, p_provider, p_model, p_start, p_end) AS c;
    IF v_found.charges = 0 THEN
        RETURN NULL;
    END IF;
    IF p_rerating_id IS NOT NULL THEN
        v_transaction_id := billing.adjust_rerated(
            p_rerating_id, o, v_found.charges, v_found.correction_usd, p_initiated_by);
        FOR v_number IN 1..v_found.charges LOOP
            INSERT INTO billing.rerated_charges
                (organization_id, transaction_id, rerating_id, price_id, amount_usd)
            VALUES (o.id, v_found.ids[v_number], p_rerating_id, v_found.price_ids[v_number],
                v_found.amounts[v_number]);
        END LOOP;
    END IF;
    RETURN json_build_object(
        'organization_id', o.id, 'charges', v_found.charges, 'charged_usd', v_found.charged_usd::text,
        'rerated_usd', v_found.rerated_usd::text, 'correction_usd', v_found.correction_usd::text,
        'transaction_id', v_transaction_id);
END $$;

-- Adjust an organization's balance by a correction, as debt if need be, and return the transaction's id.
CREATE OR REPLACE FUNCTION billing.adjust_rerated(
    p_rerating_id uuid, o billing.organizations, p_charges bigint, p_correction_usd numeric,
    p_initiated_by text
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    t billing.credit_transactions;
BEGIN
    o.floor_usd := least(o.floor_usd, o.balance_usd - o.held_usd - p_correction_usd);
    t := billing.store_adjustment(o, -p_correction_usd,
        format('correction of %s charges by a later price', p_charges), p_rerating_id::text, p_initiated_by,
        NULL, billing.own_key('rerating', p_rerating_id), sha256(p_rerating_id::text::bytea));
    INSERT INTO billing.rerating_adjustments
        (organization_id, rerating_id, transaction_id, charges, correction_usd)
    VALUES (o.id, p_rerating_id, t.id, p_charges, p_correction_usd);
    RETURN t.id;
END $$;
