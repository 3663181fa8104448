-- The invariants of invoices and their numbers, checked on live data: one row for each violation.

-- Invoices, their lines and their numbers.
CREATE OR REPLACE FUNCTION billing.audit_invoices()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT i.organization_id, 'an invoice is its lines', format('invoice %s', i.id)
    FROM billing.invoices AS i CROSS JOIN LATERAL (
        SELECT coalesce(sum((line ->> 'amount_usd')::numeric), 0) AS amount_usd,
            coalesce(sum((line ->> 'amount_billing_currency')::numeric), 0) AS amount
        FROM jsonb_array_elements(i.line_items) AS line
    ) AS lines
    WHERE (lines.amount_usd, lines.amount) <> (i.subtotal_usd, i.subtotal_billing_currency)
    UNION ALL
    SELECT i.organization_id, 'an issued invoice is what was drawn in its period',
        format('invoice %s: from %s to %s, drawn %s', i.invoice_number, i.drawn_from_usd, i.drawn_to_usd, drawn.usd)
    FROM billing.invoices AS i CROSS JOIN LATERAL (
        SELECT coalesce(sum(billing.drawn_by(ROW(t.*)::billing.credit_transactions)), 0) AS usd FROM billing.credit_transactions AS t
        WHERE t.organization_id = i.organization_id
            AND t.created_at >= i.period_start AND t.created_at < i.period_end
    ) AS drawn
    WHERE i.invoice_number IS NOT NULL AND i.kind = 'usage' AND i.drawn_to_usd - i.drawn_from_usd <> drawn.usd
    UNION ALL
    SELECT i.organization_id, 'what an unpaid invoice asks for is its debt',
        format('invoice %s: %s, debt %s', i.invoice_number, (billing.uncredited(ROW(i.*)::billing.invoices)).subtotal_usd, debt.usd)
    FROM billing.invoices AS i CROSS JOIN LATERAL (
        SELECT coalesce(sum(a.to_usd - a.from_usd), 0) AS usd FROM billing.allocations AS a
        WHERE a.organization_id = i.organization_id AND a.invoice_id = i.id
            AND a.grant_id IS NULL AND a.refund_id IS NULL
    ) AS debt
    WHERE i.invoice_number IS NOT NULL AND i.kind = 'usage' AND debt.usd <> CASE
        WHEN billing.is_unpaid(i.status) THEN (billing.uncredited(ROW(i.*)::billing.invoices)).subtotal_usd ELSE 0 END
    UNION ALL
    SELECT g.organization_id, 'a top-up has an invoice or waits for one', format('grant %s', g.id)
    FROM billing.credit_grants AS g
    LEFT JOIN billing.topups_to_invoice AS w
        ON w.organization_id = g.organization_id AND w.transaction_id = g.transaction_id
    LEFT JOIN billing.invoices AS i ON i.organization_id = g.organization_id
        AND i.transaction_id = g.transaction_id AND i.status <> 'cancelled'
    WHERE g.kind = 'paid' AND g.invoice_id IS NULL AND w.transaction_id IS NULL
        AND i.subtotal_usd IS DISTINCT FROM g.cost_basis_usd
        AND NOT EXISTS (SELECT FROM billing.invoices AS c WHERE c.organization_id = g.organization_id
            AND c.transaction_id = g.transaction_id AND c.status = 'cancelled')
    UNION ALL
    SELECT n.organization_id, 'a corrected invoice is what its credit note took back',
        format('credit note %s, invoice %s', n.credit_note_number, c.invoice_number)
    FROM billing.credit_notes AS n
    JOIN billing.invoices AS c ON c.organization_id = n.organization_id AND c.id = n.corrected_invoice_id
    WHERE (n.subtotal_usd, n.tax_usd, n.subtotal_billing_currency, n.tax_billing_currency)
        <> (c.subtotal_usd, c.tax_usd, c.subtotal_billing_currency, c.tax_billing_currency)
    UNION ALL
    SELECT NULL, 'numbers have no gap', format('%s-%s: %s of %s', c.series, c.year, count(n), c.last)
    FROM billing.document_counters AS c
    LEFT JOIN (
        SELECT invoice_number AS n FROM billing.invoices
        UNION ALL SELECT credit_note_number FROM billing.credit_notes
    ) AS numbers ON n LIKE format('%s-%s-%%', c.series, c.year)
    GROUP BY c.series, c.year, c.last HAVING count(n) <> c.last;
END $$;
