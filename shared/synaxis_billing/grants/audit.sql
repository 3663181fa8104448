-- The invariants of grants and allocations, checked on live data: each function returns one row for each
-- violation.

-- The odometer counts what transactions draw, and allocations partition it up to the newest settlement.
CREATE OR REPLACE FUNCTION billing.audit_odometer()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH drawn AS (
        SELECT t.organization_id, t.id, t.drawn_usd,
            sum(billing.drawn_by(ROW(t.*)::billing.credit_transactions)) OVER newest - billing.drawn_by(ROW(t.*)::billing.credit_transactions) AS before_usd
        FROM billing.credit_transactions AS t
        WINDOW newest AS (PARTITION BY t.organization_id ORDER BY t.created_at, t.version)
    ), totals AS (
        SELECT t.organization_id, sum(billing.drawn_by(ROW(t.*)::billing.credit_transactions)) AS drawn_usd
        FROM billing.credit_transactions AS t GROUP BY 1
    ), ranges AS (
        SELECT a.*, lag(a.to_usd, 1, 0) OVER (PARTITION BY a.organization_id ORDER BY a.from_usd) AS before_usd
        FROM billing.allocations AS a
    )
    SELECT d.organization_id, 'the odometer is the sum of what was drawn',
        format('transaction %s: %s, drawn %s', d.id, d.drawn_usd, d.before_usd)
    FROM drawn AS d WHERE d.drawn_usd <> d.before_usd
    UNION ALL
    SELECT o.id, 'the odometer is the sum of what was drawn',
        format('%s, drawn %s', o.drawn_usd, coalesce(t.drawn_usd, 0))
    FROM billing.organizations AS o LEFT JOIN totals AS t ON t.organization_id = o.id
    WHERE o.drawn_usd <> coalesce(t.drawn_usd, 0)
    UNION ALL
    SELECT r.organization_id, 'allocations partition the odometer',
        format('from %s, after %s', r.from_usd, r.before_usd)
    FROM ranges AS r WHERE r.from_usd <> r.before_usd
    UNION ALL
    SELECT r.organization_id, 'allocations partition the odometer',
        format('to %s, drawn %s', max(r.to_usd), o.drawn_usd)
    FROM ranges AS r JOIN billing.organizations AS o ON o.id = r.organization_id
    GROUP BY r.organization_id, o.drawn_usd HAVING max(r.to_usd) > o.drawn_usd
    UNION ALL
    SELECT coalesce(t.organization_id, a.organization_id), 'a refund gives back as much as it says',
        format('refund %s: %s, of allocations %s', coalesce(t.id, a.refund_id), t.amount_usd, a.usd)
    FROM (SELECT * FROM billing.credit_transactions WHERE transaction_type = 'refund') AS t
    FULL JOIN (
        SELECT f.organization_id, f.refund_id, sum(f.to_usd - f.from_usd) AS usd
        FROM billing.allocations AS f WHERE f.refund_id IS NOT NULL GROUP BY 1, 2
    ) AS a ON a.organization_id = t.organization_id AND a.refund_id = t.id
    WHERE t.amount_usd IS DISTINCT FROM a.usd;
END $$;

-- Grants add up to the balance, each is the sum of its movements and has the terms that its transaction's hash
-- contains, and none was used before its start or after its end: then only captures of the holds that it waits for
-- take it, and adjustments that may take more than is available.
CREATE OR REPLACE FUNCTION billing.audit_grants()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH grants AS (
        SELECT g.organization_id, sum(g.remaining_usd) AS remaining_usd
        FROM billing.credit_grants AS g WHERE g.started GROUP BY 1
    ), moved AS (
        SELECT m.organization_id, m.grant_id, sum(m.usd) AS usd FROM (
            SELECT a.organization_id, a.grant_id, a.to_usd - a.from_usd AS usd FROM billing.allocations AS a
            WHERE a.restored_to IS DISTINCT FROM a.grant_id
            UNION ALL
            -- An adjustment names the grant whose spent credit was charged back, and takes none of it.
            SELECT t.organization_id, t.grant_id, -t.amount_usd FROM billing.credit_transactions AS t
            WHERE t.grant_id IS NOT NULL AND t.transaction_type <> 'adjustment'
        ) AS m WHERE m.grant_id IS NOT NULL GROUP BY 1, 2
    )
    SELECT o.id, 'grants less debt are the balance', format('balance %s, grants %s, debt %s, drawn since %s',
        o.balance_usd, coalesce(g.remaining_usd, 0), billing.debt_usd(o.id), o.drawn_usd - billing.settled_usd(o.id))
    FROM billing.organizations AS o LEFT JOIN grants AS g ON g.organization_id = o.id
    WHERE o.balance_usd <> coalesce(g.remaining_usd, 0) - billing.debt_usd(o.id)
        - (o.drawn_usd - billing.settled_usd(o.id))
    UNION ALL
    SELECT g.organization_id, 'a grant is the sum of its movements',
        format('grant %s: %s of %s remain, moved %s', g.id, g.remaining_usd, g.amount_usd, m.usd)
    FROM billing.credit_grants AS g
    LEFT JOIN moved AS m ON m.organization_id = g.organization_id AND m.grant_id = g.id
    WHERE g.amount_usd - g.remaining_usd <> coalesce(m.usd, 0) AND (g.started OR g.voided_at IS NULL)
    UNION ALL
    SELECT g.organization_id, 'a grant has the terms of its transaction', format('grant %s', g.id)
    FROM billing.credit_grants AS g
    LEFT JOIN billing.credit_transactions AS t ON t.organization_id = g.organization_id AND t.id = g.transaction_id
    WHERE g.started AND (t.grants @> billing.grant_terms(ARRAY[ROW(g.*)::billing.credit_grants])) IS NOT TRUE
    UNION ALL
    SELECT a.organization_id, 'credit is used between its start and its end', format('grant %s by %s', g.id, t.id)
    FROM billing.credit_grants AS g
    JOIN billing.organizations AS o ON o.id = g.organization_id
    JOIN billing.allocations AS a ON a.organization_id = g.organization_id AND a.grant_id = g.id
        AND a.covered_at IS NULL AND (a.from_usd < billing.drawn_at(ROW(o.*)::billing.organizations, g.effective_at)
            OR a.to_usd > billing.drawn_at(ROW(o.*)::billing.organizations, least(g.expires_at, g.voided_at)))
    JOIN billing.credit_transactions AS t ON t.organization_id = a.organization_id
        AND t.drawn_usd < a.to_usd AND t.drawn_usd + billing.drawn_by(ROW(t.*)::billing.credit_transactions) > a.from_usd
        AND (t.created_at < g.effective_at
            OR t.created_at >= least(g.expires_at, g.voided_at)
            AND t.transaction_type = 'charge' AND t.hold_id IS NULL);
END $$;

-- Revenue reconciles: what is still deferred is the cost basis of the credit that remains. Of settled organizations,
-- whose grants show what remains.
CREATE OR REPLACE FUNCTION billing.audit_revenue()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT s.id, 'revenue reconciles', format('deferred %s, cost basis of what remains %s', s.deferred_usd, s.remaining_usd)
    FROM (
        SELECT o.id, billing.deferred_usd(ROW(o.*)::billing.organizations) AS deferred_usd, (
            SELECT coalesce(sum(g.cost_basis_usd
                - round(g.cost_basis_usd * (g.amount_usd - g.remaining_usd) / g.amount_usd, 8)), 0)
            FROM billing.credit_grants AS g WHERE g.organization_id = o.id) AS remaining_usd
        FROM billing.organizations AS o
        WHERE o.drawn_usd = billing.settled_usd(o.id) AND coalesce(cardinality(
            (billing.settled_credit(ROW(o.*)::billing.organizations, billing.now())).steps), 0) = 0
    ) AS s WHERE s.deferred_usd <> s.remaining_usd;
END $$;

-- What is deferred of an organization's grants when all is told.
CREATE OR REPLACE FUNCTION billing.deferred_usd(o billing.organizations) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(sum(basis_usd - gone_basis_usd), 0) FROM billing.gone_at(o, 'infinity'));
END $$;
