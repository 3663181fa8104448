-- The invariants of budgets, checked on live data: one row for each violation.

-- A window that is open counts what its subject was charged in it, less refunds. Charges whose person was erased
-- may have been a person's. The level of a rate depends on each instant and on limits that it had before, which
-- are not kept: it lies between nothing and all that was charged since it counts.
CREATE OR REPLACE FUNCTION billing.audit_budgets()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE sql STABLE AS $$
    WITH counted AS (
        SELECT b.organization_id, b.id, b.burst_usd IS NOT NULL AS rate, b.spent_usd,
            coalesce(sum(-t.amount_usd - CASE WHEN b.burst_usd IS NULL THEN coalesce(r.refunded_usd, 0) ELSE 0 END)
                FILTER (WHERE b.subject = ANY (s.subjects)), 0) AS known_usd,
            coalesce(sum(-t.amount_usd) FILTER (WHERE t.personal_salt IS NULL
                AND starts_with(b.subject, 'end_user ')), 0) AS erased_usd
        FROM billing.budgets AS b
        LEFT JOIN billing.credit_transactions AS t ON t.organization_id = b.organization_id
            AND t.transaction_type = 'charge' AND t.created_at < b.window_end
            AND t.created_at >= CASE WHEN b.burst_usd IS NULL THEN b.window_start ELSE b.created_at END
        LEFT JOIN billing.charge_refunds AS r ON r.organization_id = t.organization_id AND r.charge_id = t.id
        LEFT JOIN LATERAL billing.subjects(t.team_id, t.virtual_key_id, t.end_user, t.model, t.provider)
            AS s (subjects) ON true
        WHERE b.window_end > billing.now()
        GROUP BY b.organization_id, b.id
    )
    SELECT c.organization_id, 'a budget has spent what its subject was charged in its window',
        format('budget %s: %s, charged %s and perhaps %s', c.id, c.spent_usd, c.known_usd, c.erased_usd)
    FROM counted AS c
    WHERE c.spent_usd > c.known_usd + c.erased_usd OR c.spent_usd < CASE WHEN c.rate THEN 0 ELSE c.known_usd END
    UNION ALL
    SELECT b.organization_id, 'a budget holds what its open holds hold',
        format('budget %s: %s, holds %s', b.id, b.held_usd, coalesce(sum(h.amount_usd), 0))
    FROM billing.budgets AS b
    LEFT JOIN billing.holds AS h ON h.organization_id = b.organization_id AND h.status = 'held'
        AND b.id = ANY (h.budget_ids)
    GROUP BY b.organization_id, b.id HAVING b.held_usd <> coalesce(sum(h.amount_usd), 0)
    UNION ALL
    SELECT b.organization_id, 'a hard budget keeps its limit', format('budget %s: spent %s, held %s, limit %s,'
        ' allowed to %s', b.id, b.spent_usd, b.held_usd, b.limit_usd, b.ceiling_usd)
    FROM billing.budgets AS b
    WHERE b.mode = 'hard'
        AND b.spent_usd + b.held_usd > greatest(coalesce(b.burst_usd, b.limit_usd), b.ceiling_usd)
    UNION ALL
    SELECT o.id, 'charges count in budgets where there are some', format('budgeted %s', o.budgeted)
    FROM billing.organizations AS o
    WHERE o.budgeted <> EXISTS (SELECT FROM billing.budgets AS b WHERE b.organization_id = o.id)
$$;
