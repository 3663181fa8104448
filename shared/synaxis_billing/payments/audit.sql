-- The invariants of payments, checked on live data: one row for each violation.

-- A payment, its grant, its movements and its invoice agree, and nothing is credited, refunded or lost twice.
CREATE OR REPLACE FUNCTION billing.audit_payments()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH brought AS (
        -- The surplus of an invoice's payment names it; the payment names the grant that settles the invoice.
        SELECT g.organization_id, (g.paid ->> 'payment_id')::uuid AS payment_id, g.amount_usd, g.cost_basis_usd
        FROM billing.credit_grants AS g WHERE g.paid ? 'payment_id'
        UNION ALL
        SELECT p.organization_id, p.id, g.amount_usd, g.cost_basis_usd
        FROM billing.payments AS p
        JOIN billing.credit_grants AS g ON g.organization_id = p.organization_id AND g.id = p.grant_id
        WHERE NOT coalesce(g.paid ? 'payment_id', false)
    ), bought AS (
        SELECT b.organization_id, b.payment_id, sum(b.amount_usd) AS usd, sum(b.cost_basis_usd) AS cost_usd
        FROM brought AS b GROUP BY 1, 2
    )
    SELECT p.organization_id, 'a payment is one grant of what it bought',
        format('payment %s: captured %s of %s, credited %s of %s, grants %s at a cost of %s', p.id, p.captured,
            p.amount, p.credited_usd, p.credit_usd, coalesce(b.usd, 0), coalesce(b.cost_usd, 0))
    FROM billing.payments AS p
    LEFT JOIN bought AS b ON b.organization_id = p.organization_id AND b.payment_id = p.id
    WHERE p.credited_usd <> coalesce(b.usd, 0) OR p.credited_usd <> coalesce(b.cost_usd, 0)
        OR p.credited_usd <> round(p.credit_usd * p.captured / p.amount, 8)
    UNION ALL
    SELECT p.organization_id, 'credit leaves as money went back',
        format('payment %s: out %s, charged back %s, target %s', p.id, p.paid_out_usd, p.charged_back_usd,
            billing.credit_of_part(ROW(p.*)::billing.payments, p.refunded + p.lost))
    FROM billing.payments AS p
    WHERE p.paid_out_usd + p.charged_back_usd
        <> billing.credit_of_part(ROW(p.*)::billing.payments, p.refunded + p.lost)
    UNION ALL
    SELECT p.organization_id, 'what a payment took is in its transactions',
        format('payment %s: took %s, transactions %s', p.id, p.paid_out_usd + p.charged_back_usd, coalesce(t.usd, 0))
    FROM billing.payments AS p
    LEFT JOIN (
        SELECT f.organization_id, f.reference_id, -sum(f.amount_usd) AS usd FROM billing.credit_transactions AS f
        WHERE f.transaction_type IN ('payout', 'adjustment') AND f.reference_id IS NOT NULL GROUP BY 1, 2
    ) AS t ON t.organization_id = p.organization_id AND t.reference_id = p.id::text
    WHERE p.paid_out_usd + p.charged_back_usd <> coalesce(t.usd, 0)
    UNION ALL
    SELECT p.organization_id, 'the invoice of a payment is what the payer paid',
        format('payment %s: %s, invoice %s', p.id, p.amount, i.total_amount_billing_currency)
    FROM billing.payments AS p
    JOIN billing.invoices AS i ON i.organization_id = p.organization_id AND i.transaction_id = p.transaction_id
        AND i.kind = 'topup' AND i.status <> 'cancelled' AND i.corrects_number IS NULL
    WHERE p.captured = p.amount AND p.purpose <> 'invoice' AND (i.total_amount_billing_currency <> p.amount
        OR i.tax_billing_currency <> p.tax OR i.billing_currency <> p.currency)
    UNION ALL
    SELECT g.organization_id, 'only a dispute or a refund freezes credit', format('grant %s: %s', g.id, g.frozen_usd)
    FROM billing.credit_grants AS g
    LEFT JOIN billing.payments AS p ON p.organization_id = g.organization_id AND p.grant_id = g.id AND (p.disputed > 0
        OR EXISTS (
            SELECT FROM billing.payment_refunds AS r WHERE r.organization_id = p.organization_id
                AND r.payment_id = p.id AND r.status IN ('pending', 'unknown')))
    WHERE g.frozen_usd > 0 AND p.id IS NULL;
END $$;
