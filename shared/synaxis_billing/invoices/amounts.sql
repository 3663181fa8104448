-- What an invoice comes to: what was drawn in its period, what credit settles of it, tax, and rounding. The subtotal
-- and the tax are each rounded once, half-up; the lines are rounded down or up, so that they add up to the subtotal.
-- These functions write nothing.

-- The invoice of its period, computed from what was drawn in it and what settles that. The lines add up to the
-- subtotal, and the subtotal is what is settled and what is due; tax is on what is due.
CREATE OR REPLACE FUNCTION billing.computed_invoice(
    i billing.invoices, o billing.organizations, p_terms jsonb
) RETURNS billing.invoices LANGUAGE plpgsql STABLE AS $$
DECLARE
    s billing.period_settlement := billing.settlement_of(o, i.period_start, i.period_end);
    v_units numeric;
    v_parts numeric[];
BEGIN
    -- A draft is in the currency of today.
    i.billing_currency := NULL;
    i := billing.on_terms(i, o, p_terms);
    v_units := i.exchange_rate * 10 ^ i.minor_units::numeric;
    SELECT * INTO i.line_items, i.line_count, i.subtotal_usd, i.subtotal_billing_currency
    FROM billing.usage_lines(i, s, v_units);
    v_parts := billing.allocate(ARRAY[s.promotional_usd, s.prepaid_usd, s.due_usd], v_units);
    i.settled := coalesce((
        SELECT jsonb_agg(jsonb_build_object('kind', kind, 'amount_usd', usd::numeric(28, 8)::text,
            'amount_billing_currency', (units / 10 ^ i.minor_units::numeric)::numeric(28, 4)::text))
        FROM unnest(ARRAY['promotional', 'prepaid'], ARRAY[s.promotional_usd, s.prepaid_usd], v_parts[1:2])
            AS settled (kind, usd, units)
        WHERE usd <> 0), '[]');
    i.settled_usd := s.promotional_usd + s.prepaid_usd;
    i.settled_billing_currency := (v_parts[1] + v_parts[2]) / 10 ^ i.minor_units::numeric;
    i.drawn_from_usd := s.drawn_from_usd;
    i.drawn_to_usd := s.drawn_to_usd;
    i.credit := billing.credit_statement(o, s, i.period_start, i.period_end);
    RETURN billing.with_tax_on(i, s.due_usd);
END $$;

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

-- The lines of a period, the largest amount first, then negative adjustments and refunds, each line in the
-- billing currency by largest remainder; and their number and sums. p_units is minor units per US dollar.
CREATE OR REPLACE FUNCTION billing.usage_lines(
    i billing.invoices, s billing.period_settlement, p_units numeric, OUT lines jsonb, OUT line_count int,
    OUT usd numeric, OUT billing_currency numeric
) LANGUAGE sql STABLE AS $$
    WITH used AS (
        SELECT place, concat_ws(', ', coalesce(model, 'Usage'), provider) AS description, model, provider, requests,
            tokens, amount_usd
        FROM billing.charged_models(i.organization_id, i.timezone, i.period_start, i.period_end)
        UNION ALL
        SELECT 10001, 'Adjustments', NULL, NULL, 0, 0, s.adjusted_usd WHERE s.adjusted_usd <> 0
        UNION ALL
        SELECT 10002, 'Refunds', NULL, NULL, 0, 0, -s.refunded_usd WHERE s.refunded_usd <> 0
    ), allocated AS (
        SELECT used.*, units / 10 ^ i.minor_units::numeric AS amount
        FROM (SELECT *, row_number() OVER (ORDER BY place) AS ordinal FROM used) AS used
        JOIN unnest(billing.allocate((SELECT array_agg(amount_usd ORDER BY place) FROM used), p_units))
            WITH ORDINALITY AS allocated (units, ordinal) USING (ordinal)
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object(
            'description', description,
            'model', model,
            'provider', provider,
            'requests', requests,
            'tokens', tokens,
            'amount_usd', amount_usd::numeric(28, 8)::text,
            'amount_billing_currency', amount::numeric(28, 4)::text)
            ORDER BY place), '[]'),
        count(*)::int, coalesce(sum(amount_usd), 0), coalesce(sum(amount), 0)
    FROM allocated
$$;

-- What was charged in a period by model and provider, the largest amount first. The last of 10,000 is of all
-- other models: an invoice is issued however many there are.
CREATE OR REPLACE FUNCTION billing.charged_models(
    p_organization_id uuid, p_timezone text, p_start timestamptz, p_end timestamptz
) RETURNS TABLE (
    place bigint, model text, provider text, requests numeric, tokens numeric, amount_usd numeric
) LANGUAGE sql STABLE AS $$
    WITH charged AS (
        SELECT row_number() OVER (ORDER BY sum(s.amount_usd) DESC, s.model, s.provider) AS place, s.model,
            s.provider, sum(s.requests) AS requests, sum(s.tokens) AS tokens, sum(s.amount_usd) AS amount_usd
        FROM billing.spend_between(p_organization_id, p_timezone, p_start, p_end) AS s
        WHERE s.charged GROUP BY s.model, s.provider
    )
    SELECT * FROM charged WHERE charged.place < 10000
    UNION ALL
    SELECT min(charged.place), 'Further models', NULL, sum(charged.requests), sum(charged.tokens),
        sum(charged.amount_usd)
    FROM charged WHERE charged.place >= 10000 HAVING count(*) > 0
$$;

-- The invoice with tax on an amount, and its totals. The tax is computed from its unrounded base.
CREATE OR REPLACE FUNCTION billing.with_tax_on(i billing.invoices, p_taxed_usd numeric) RETURNS billing.invoices
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_tax_usd numeric := p_taxed_usd * billing.tax_rate(i.tax);
BEGIN
    i.tax_usd := round(v_tax_usd, 8);
    i.tax_billing_currency := billing.in_currency(v_tax_usd, i.exchange_rate, i.minor_units);
    i.total_amount_usd := i.subtotal_usd + i.tax_usd;
    i.total_amount_billing_currency := i.subtotal_billing_currency + i.tax_billing_currency;
    i.amount_due_usd := i.total_amount_usd - i.settled_usd;
    i.amount_due_billing_currency := i.total_amount_billing_currency - i.settled_billing_currency;
    RETURN i;
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

-- An amount in US dollars in another currency, rounded to its minor unit.
CREATE OR REPLACE FUNCTION billing.in_currency(p_usd numeric, p_exchange_rate numeric, p_minor_units int)
RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT round(p_usd * p_exchange_rate, p_minor_units) $$;

-- The rate of tax, 0.19 for 19 %; none without tax details, under reverse charge and for what is exempt.
CREATE OR REPLACE FUNCTION billing.tax_rate(p_tax jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_tax IS NULL OR p_tax ->> 'category' <> 'standard' THEN 0
        ELSE (p_tax ->> 'rate_percent')::numeric / 100 END
$$;

-- The amounts in minor units, each rounded down or up, so that they add up to their rounded sum: by largest
-- remainder, then largest amount, then place. p_units is the minor units per US dollar.
CREATE OR REPLACE FUNCTION billing.allocate(p_amounts_usd numeric[], p_units numeric) RETURNS numeric[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(units + (place <= short)::int ORDER BY ordinal), '{}')
    FROM (
        SELECT ordinal, floor(usd * p_units) AS units,
            round(sum(usd) OVER () * p_units) - sum(floor(usd * p_units)) OVER () AS short,
            row_number() OVER (
                ORDER BY usd * p_units - floor(usd * p_units) DESC, usd DESC, ordinal) AS place
        FROM unnest(p_amounts_usd) WITH ORDINALITY AS amounts (usd, ordinal)
    ) AS floored
$$;
