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
    SELECT i.organization_id, 'an issued invoice is what was charged in its period',
        format('invoice %s: %s, charged %s', i.invoice_number, i.subtotal_usd, charged.amount_usd)
    FROM billing.invoices AS i CROSS JOIN LATERAL (
        SELECT coalesce(sum(s.amount_usd), 0) AS amount_usd FROM billing.spend_logs AS s
        WHERE s.organization_id = i.organization_id AND s.transaction_id IS NOT NULL
            AND s.created_at >= i.period_start AND s.created_at < i.period_end
    ) AS charged
    WHERE i.invoice_number IS NOT NULL AND i.subtotal_usd <> charged.amount_usd
    UNION ALL
    SELECT NULL, 'numbers have no gap', format('%s-%s: %s of %s', c.series, c.year, count(n), c.last)
    FROM billing.document_counters AS c
    LEFT JOIN (
        SELECT invoice_number AS n FROM billing.invoices
        UNION ALL SELECT credit_note_number FROM billing.credit_notes
    ) AS numbers ON n LIKE format('%s-%s-%%', c.series, c.year)
    GROUP BY c.series, c.year, c.last HAVING count(n) <> c.last;
END $$;
