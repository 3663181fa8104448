-- The invariants of prices, checked on live data: one row for each violation.

-- Every priced amount follows from what is stored with it, and usage that was kept is charged once.
CREATE OR REPLACE FUNCTION billing.audit_prices()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT s.organization_id, 'an amount is what its price makes of its usage',
        format('spend log %s: %s for %s tokens, by price %s it is %s for %s', s.id, s.amount_usd, s.tokens,
            s.price_id, (s.rated).amount_usd, (s.rated).tokens)
    FROM (
        SELECT l.*, billing.rating(l.price_id, l.service_tier, l.usage, l.price_multiplier) AS rated
        FROM billing.spend_logs AS l WHERE l.usage IS NOT NULL
    ) AS s
    WHERE (s.rated).amount_usd IS DISTINCT FROM s.amount_usd OR (s.rated).tokens IS DISTINCT FROM s.tokens
    UNION ALL
    SELECT s.organization_id, 'the cost of usage is everyone''s price',
        format('spend log %s: cost %s, by price %s it is %s', s.id, s.cost_usd, s.price_id, (s.rated).cost_usd)
    FROM (
        SELECT l.*, billing.rating(l.price_id, l.service_tier, l.usage, l.price_multiplier) AS rated
        FROM billing.spend_logs AS l
        WHERE l.price_id IN (SELECT p.id FROM billing.prices AS p WHERE p.organization_id IS NULL)
    ) AS s
    WHERE (s.rated).cost_usd IS DISTINCT FROM s.cost_usd
    UNION ALL
    SELECT n.organization_id, 'usage without a price is charged once, by its own key',
        format('usage %s, transaction %s, key %s', n.id, n.transaction_id, k.key)
    FROM billing.unpriced_usage AS n
    LEFT JOIN billing.idempotency AS k ON k.organization_id = n.organization_id
        AND k.key = billing.own_key('unpriced', n.id)
    WHERE k.result_id IS DISTINCT FROM n.transaction_id
    UNION ALL
    SELECT a.organization_id, 'a rerating is one adjustment', format('rerating %s', a.rerating_id)
    FROM billing.rerating_adjustments AS a
    LEFT JOIN billing.credit_transactions AS t ON t.id = a.transaction_id
        AND t.organization_id = a.organization_id
    WHERE t.amount_usd IS DISTINCT FROM -a.correction_usd;
END $$;
