-- Reratings: what a model's usage should have cost by what is known of its price today. Charges are never
-- rewritten; each organization gets one adjustment for each rerating.

-- Each charge of a period whose amount differs from today's knowledge of the price at its time. What an
-- earlier rerating has corrected counts as corrected; refunded charges are left alone.
CREATE OR REPLACE FUNCTION billing.charges_to_correct(
    p_provider text, p_model text, p_start timestamptz, p_end timestamptz
) RETURNS TABLE (
    organization_id uuid, transaction_id uuid, price_id uuid, charged_usd numeric, amount_usd numeric
) LANGUAGE sql STABLE AS $$
    SELECT c.organization_id, c.transaction_id, (c.rating).price_id, c.charged_usd, (c.rating).amount_usd
    FROM (
        SELECT t.organization_id, t.id AS transaction_id, coalesce((
                SELECT r.amount_usd FROM billing.rerated_charges AS r
                WHERE r.organization_id = t.organization_id AND r.transaction_id = t.id
                ORDER BY r.rerating_id DESC LIMIT 1
            ), -t.amount_usd) AS charged_usd,
            billing.rate(t.organization_id, t.price_multiplier, t.provider, t.model, t.service_tier,
                t.usage, t.created_at) AS rating
        FROM billing.organizations AS o
        JOIN billing.credit_transactions AS t ON t.organization_id = o.id
            AND t.created_at >= p_start AND t.created_at < p_end
        JOIN billing.prices AS p ON p.id = t.price_id
        WHERE p.provider = p_provider AND p.model = p_model AND NOT EXISTS (
            SELECT FROM billing.charge_refunds AS f
            WHERE f.organization_id = t.organization_id AND f.charge_id = t.id)
        -- Rates each charge once: the subquery is not merged into the one around it.
        OFFSET 0
    ) AS c
    WHERE (c.rating).amount_usd <> c.charged_usd
$$;

-- Correct what a period's usage of a model was charged; a dry run only tells what would be corrected. A second
-- run finds nothing left.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.rerate(
    p_tenant text, p_provider text, p_model text, p_start timestamptz, p_end timestamptz, p_dry_run boolean,
    p_initiated_by text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_id uuid;
    v_organizations json[] := '{}';
    v_found record;
    v_transaction_id uuid;
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM set_config('billing.tenant', p_tenant, true);
    -- One at a time: each corrects what the ones before it have left.
    PERFORM pg_advisory_xact_lock(hashtext('billing.reratings'));
    IF NOT p_dry_run THEN
        INSERT INTO billing.reratings (provider, model, period_start, period_end, initiated_by)
        VALUES (p_provider, p_model, p_start, p_end, p_initiated_by) RETURNING id INTO v_id;
    END IF;
    FOR v_found IN
        SELECT c.organization_id, count(*) AS charges, sum(c.charged_usd) AS charged_usd,
            sum(c.amount_usd) AS rerated_usd, sum(c.amount_usd) - sum(c.charged_usd) AS correction_usd,
            array_agg(c.transaction_id) AS ids, array_agg(c.price_id) AS price_ids,
            array_agg(c.amount_usd) AS amounts
        FROM billing.charges_to_correct(p_provider, p_model, p_start, p_end) AS c
        GROUP BY c.organization_id ORDER BY c.organization_id
    LOOP
        IF NOT p_dry_run THEN
            v_transaction_id := billing.adjust_rerated(
                v_id, v_found.organization_id, v_found.charges, v_found.correction_usd, p_initiated_by);
            -- The lock showed this organization alone; the loop reads the others' rows too.
            PERFORM set_config('billing.tenant', p_tenant, true);
            INSERT INTO billing.rerated_charges
                (organization_id, transaction_id, rerating_id, price_id, amount_usd)
            SELECT v_found.organization_id, c.id, v_id, c.price_id, c.amount_usd
            FROM unnest(v_found.ids, v_found.price_ids, v_found.amounts) AS c (id, price_id, amount_usd);
        END IF;
        -- An answer has its largest size.
        CONTINUE WHEN cardinality(v_organizations) >= 10000;
        v_organizations := v_organizations || json_build_object(
            'organization_id', v_found.organization_id, 'charges', v_found.charges,
            'charged_usd', v_found.charged_usd::text, 'rerated_usd', v_found.rerated_usd::text,
            'correction_usd', v_found.correction_usd::text, 'transaction_id', v_transaction_id);
    END LOOP;
    RETURN billing.outcome('created', json_build_object(
        'id', v_id, 'provider', p_provider, 'model', p_model, 'from', p_start, 'to', p_end,
        'dry_run', p_dry_run, 'organizations', v_organizations));
END $$;

-- Adjust an organization's balance by a correction, as debt if need be, and return the transaction's id.
CREATE OR REPLACE FUNCTION billing.adjust_rerated(
    p_rerating_id uuid, p_organization_id uuid, p_charges bigint, p_correction_usd numeric,
    p_initiated_by text
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    o billing.organizations := billing.lock_organization('*', p_organization_id);
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
