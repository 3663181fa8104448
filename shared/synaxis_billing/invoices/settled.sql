-- What was drawn in a period, and what settles it: each part of it by credit that was given or bought, or by
-- nothing yet, which an invoice asks for. These functions write nothing.

-- The settlement of a period. A refund of credit counts in the period in which it was made; one of debt in the
-- period of its charge, which then asks for less.
CREATE OR REPLACE FUNCTION billing.settlement_of(
    o billing.organizations, p_start timestamptz, p_end timestamptz
) RETURNS billing.period_settlement LANGUAGE plpgsql STABLE AS $$
DECLARE
    s billing.period_settlement;
    v_given_back_usd numeric;
    v_bought_back_usd numeric;
BEGIN
    s.drawn_from_usd := billing.drawn_at(o, p_start);
    s.drawn_to_usd := billing.drawn_at(o, p_end);
    SELECT coalesce(sum(a.to_usd - a.from_usd) FILTER (WHERE g.cost_basis_usd = 0), 0),
        coalesce(sum(a.to_usd - a.from_usd) FILTER (WHERE g.cost_basis_usd > 0), 0),
        coalesce(sum(a.to_usd - a.from_usd) FILTER (WHERE g.id IS NULL AND a.refund_id IS NULL), 0),
        coalesce(sum(a.to_usd - a.from_usd) FILTER (WHERE g.id IS NULL AND a.refund_id IS NOT NULL), 0)
    INTO s.promotional_usd, s.prepaid_usd, s.due_usd, s.refunded_usd
    FROM billing.allocations_between(o, s.drawn_from_usd, s.drawn_to_usd) AS a
    LEFT JOIN billing.credit_grants AS g ON g.organization_id = o.id AND g.id = a.grant_id;
    SELECT coalesce(sum(a.to_usd - a.from_usd) FILTER (WHERE g.cost_basis_usd = 0), 0),
        coalesce(sum(a.to_usd - a.from_usd) FILTER (WHERE g.cost_basis_usd > 0), 0)
    INTO v_given_back_usd, v_bought_back_usd
    FROM billing.credit_transactions AS t
    JOIN billing.allocations AS a ON a.organization_id = t.organization_id AND a.refund_id = t.id
    JOIN billing.credit_grants AS g ON g.organization_id = a.organization_id AND g.id = a.grant_id
    WHERE t.organization_id = o.id AND t.transaction_type <> 'charge' AND t.transaction_type = 'refund'
        AND t.created_at >= p_start AND t.created_at < p_end;
    s.refunded_usd := s.refunded_usd + v_given_back_usd + v_bought_back_usd;
    s.promotional_usd := s.promotional_usd - v_given_back_usd;
    s.prepaid_usd := s.prepaid_usd - v_bought_back_usd;
    s.adjusted_usd := coalesce((
        SELECT sum(-t.amount_usd) FROM billing.credit_transactions AS t
        WHERE t.organization_id = o.id AND t.transaction_type <> 'charge' AND t.transaction_type = 'adjustment'
            AND t.amount_usd < 0 AND t.created_at >= p_start AND t.created_at < p_end), 0);
    RETURN s;
END $$;

-- How the balance moved in a period, from its opening to its closing.
CREATE OR REPLACE FUNCTION billing.credit_statement(
    o billing.organizations, s billing.period_settlement, p_start timestamptz, p_end timestamptz
) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object(
            'opening_balance_usd', opening_usd::text,
            'purchased_usd', purchased_usd::text,
            'granted_usd', granted_usd::text,
            'refunded_usd', refunded_usd::text,
            'used_usd', (s.drawn_to_usd - s.drawn_from_usd)::text,
            'expired_usd', expired_usd::text,
            'paid_out_usd', paid_out_usd::text,
            'closing_balance_usd', (opening_usd + purchased_usd + granted_usd + refunded_usd
                - (s.drawn_to_usd - s.drawn_from_usd) - expired_usd - paid_out_usd)::text)
        FROM (
            SELECT coalesce((
                    SELECT balance_before_usd FROM billing.credit_transactions
                    WHERE organization_id = o.id AND created_at >= p_start ORDER BY created_at LIMIT 1),
                o.balance_usd) AS opening_usd
        ) AS opening CROSS JOIN (
            SELECT coalesce(sum(amount_usd) FILTER (WHERE transaction_type = 'topup'), 0) AS purchased_usd,
                coalesce(sum(amount_usd) FILTER (
                    WHERE transaction_type = 'grant' OR transaction_type = 'adjustment' AND amount_usd > 0
                ), 0) AS granted_usd,
                coalesce(sum(amount_usd) FILTER (WHERE transaction_type = 'refund'), 0) AS refunded_usd,
                coalesce(-sum(amount_usd) FILTER (WHERE transaction_type IN ('expiry', 'void')), 0) AS expired_usd,
                coalesce(-sum(amount_usd) FILTER (WHERE transaction_type = 'payout'), 0) AS paid_out_usd
            FROM billing.credit_transactions
            WHERE organization_id = o.id AND transaction_type <> 'charge'
                AND created_at >= p_start AND created_at < p_end
        ) AS moved);
END $$;

-- Whether a document of the period has anything to show.
CREATE OR REPLACE FUNCTION billing.is_used(o billing.organizations, p_start timestamptz, p_end timestamptz)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT EXISTS (
            SELECT FROM billing.spend_between(o.id, o.timezone, p_start, p_end) WHERE charged
        ) OR EXISTS (
            SELECT FROM billing.credit_transactions
            WHERE organization_id = o.id AND transaction_type <> 'charge' AND created_at >= p_start AND created_at < p_end
                AND (transaction_type = 'refund' OR transaction_type = 'adjustment' AND amount_usd < 0)));
END $$;
