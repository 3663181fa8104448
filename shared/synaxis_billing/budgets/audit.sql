-- The invariants of budgets, checked on live data: one row for each violation.

-- A window that is open counts what its subject was charged in it, less refunds. Charges whose person was erased
-- may have been a person's. The level of a rate depends on each instant and on limits that it had before, which
-- are not kept: it lies between nothing and all that was charged since it counts.
CREATE OR REPLACE FUNCTION billing.audit_budgets()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH known AS (
        SELECT b.organization_id, b.id, sum(-t.amount_usd
            - CASE WHEN b.burst_usd IS NULL THEN coalesce(r.refunded_usd, 0) ELSE 0 END) AS usd
        FROM billing.organizations AS o
        JOIN billing.credit_transactions AS t ON t.organization_id = o.id AND t.transaction_type = 'charge'
        JOIN billing.budgets AS b ON b.organization_id = o.id AND b.subject = ANY (billing.subjects(
                t.team_id, t.virtual_key_id, t.end_user, t.model, t.provider))
            AND t.created_at >= CASE WHEN b.burst_usd IS NULL THEN b.window_start ELSE b.created_at END
            AND t.created_at < b.window_end
        LEFT JOIN billing.charge_refunds AS r ON r.organization_id = o.id AND r.charge_id = t.id
        WHERE o.budgeted
        GROUP BY b.organization_id, b.id
    )
    SELECT b.organization_id, 'a budget has spent what its subject was charged in its window',
        format('budget %s: %s, charged %s', b.id, b.spent_usd, coalesce(k.usd, 0))
    FROM billing.budgets AS b LEFT JOIN known AS k ON k.organization_id = b.organization_id AND k.id = b.id
    WHERE b.window_end > billing.now() AND CASE
        WHEN b.spent_usd < coalesce(k.usd, 0) THEN b.burst_usd IS NULL OR b.spent_usd < 0
        WHEN b.spent_usd > coalesce(k.usd, 0) THEN NOT starts_with(b.subject, 'end_user ')
            OR b.spent_usd - coalesce(k.usd, 0) > (
                SELECT coalesce(sum(-t.amount_usd), 0) FROM billing.credit_transactions AS t
                WHERE t.organization_id = b.organization_id AND t.transaction_type = 'charge'
                    AND t.personal_salt IS NULL AND t.created_at >= b.window_start)
        ELSE false END
    UNION ALL
    SELECT b.organization_id, 'a budget holds what its open holds hold',
        format('budget %s: %s, holds %s', b.id, b.held_usd, coalesce(h.usd, 0))
    FROM billing.budgets AS b
    LEFT JOIN (
        SELECT o.organization_id, i.id, sum(o.amount_usd) AS usd
        FROM billing.holds AS o CROSS JOIN LATERAL unnest(o.budget_ids) AS i (id)
        WHERE o.status = 'held' GROUP BY o.organization_id, i.id
    ) AS h ON h.organization_id = b.organization_id AND h.id = b.id
    WHERE b.held_usd <> coalesce(h.usd, 0)
    UNION ALL
    SELECT b.organization_id, 'a hard budget keeps its limit', format('budget %s: spent %s, held %s, limit %s,'
        ' allowed to %s', b.id, b.spent_usd, b.held_usd, b.limit_usd, b.ceiling_usd)
    FROM billing.budgets AS b
    WHERE b.mode = 'hard'
        AND b.spent_usd + b.held_usd > greatest(coalesce(b.burst_usd, b.limit_usd), b.ceiling_usd)
    UNION ALL
    SELECT o.id, 'charges count in budgets where there are some', format('budgeted %s', o.budgeted)
    FROM billing.organizations AS o
    WHERE o.budgeted <> EXISTS (SELECT FROM billing.budgets AS b WHERE b.organization_id = o.id);
END $$;
