-- Revenue: what was paid for credit, and how much of it has been earned. A grant's cost basis is recognized as its
-- credit is used, and the rest as breakage when it expires: by rounding what is gone so far, so that the pieces add
-- up to what was paid. All is found at its time, so the figures of a month that has ended never change.

-- What was used of each grant of an organization before an instant.
CREATE OR REPLACE FUNCTION billing.used_at(o billing.organizations, p_instant timestamptz)
RETURNS TABLE (grant_id uuid, usd numeric) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_steps billing.settlement_step[] := (billing.settled_credit(o, billing.now())).steps;
    v_drawn_usd numeric := billing.drawn_at(o, p_instant);
BEGIN
    RETURN QUERY
    SELECT u.grant_id, sum(u.usd) FROM (
        -- What was covered before the instant was drawn before it.
        SELECT a.grant_id, a.to_usd - a.from_usd AS usd
        FROM billing.allocations_between(o, 0, v_drawn_usd) AS a
        WHERE a.grant_id IS NOT NULL AND (a.covered_at IS NULL OR a.covered_at < p_instant)
            -- The id of a refund has its time.
            AND (a.restored_to IS DISTINCT FROM a.grant_id OR uuid_extract_timestamp(a.refund_id) >= p_instant)
        UNION ALL
        -- Debt that grants cover as they start, which no settlement has written yet.
        SELECT s.grant_id, s.covered_usd
        FROM unnest(v_steps) AS s
        WHERE s.covered_usd > 0 AND s.at < p_instant
    ) AS u GROUP BY u.grant_id;
END $$;

-- The credit that was given and used before an instant. Credit that a refund gave back in place of an ended grant is
-- not used until the new grant is.
CREATE OR REPLACE FUNCTION billing.promotional_used_at(o billing.organizations, p_instant timestamptz)
RETURNS numeric LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce((
            SELECT sum(u.usd) FROM billing.used_at(o, p_instant) AS u
            JOIN billing.credit_grants AS g ON g.organization_id = o.id AND g.id = u.grant_id
            WHERE g.cost_basis_usd = 0), 0) - coalesce((
            SELECT sum(g.amount_usd) FROM billing.credit_grants AS g
            WHERE g.organization_id = o.id AND g.kind = 'refund' AND g.cost_basis_usd = 0
                AND g.created_at < p_instant), 0));
END $$;

-- What is gone of each paid grant of an organization at an instant, and what of that was used. Credit that a refund
-- gave to a grant in its place is still counted as used: that grant has its cost basis.
CREATE OR REPLACE FUNCTION billing.gone_at(o billing.organizations, p_instant timestamptz)
RETURNS TABLE (
    grant_id uuid, basis_usd numeric, used_basis_usd numeric, expired_basis_usd numeric, gone_basis_usd numeric
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_steps billing.settlement_step[] := (billing.settled_credit(o, billing.now())).steps;
BEGIN
    RETURN QUERY
    WITH used AS (
        SELECT * FROM billing.used_at(o, p_instant)
    ), left_again AS (
        SELECT t.grant_id, -t.amount_usd AS usd, t.transaction_type
        FROM billing.credit_transactions AS t
        WHERE t.organization_id = o.id AND t.transaction_type <> 'charge' AND t.transaction_type <> 'adjustment'
            AND t.grant_id IS NOT NULL
            AND t.created_at < p_instant
        UNION ALL
        -- What no settlement has written yet.
        SELECT s.grant_id, s.amount_usd, s.type
        FROM unnest(v_steps) AS s
        WHERE s.type <> 'grant' AND s.at < p_instant
    ), ended AS (
        SELECT l.grant_id, coalesce(sum(l.usd) FILTER (WHERE l.transaction_type <> 'payout'), 0) AS expired_usd,
            sum(l.usd) AS usd
        FROM left_again AS l GROUP BY l.grant_id
    )
    SELECT g.id, g.cost_basis_usd,
        round(g.cost_basis_usd * coalesce(u.usd, 0) / g.amount_usd, 8),
        round(g.cost_basis_usd * (coalesce(u.usd, 0) + coalesce(e.expired_usd, 0)) / g.amount_usd, 8)
            - round(g.cost_basis_usd * coalesce(u.usd, 0) / g.amount_usd, 8),
        round(g.cost_basis_usd * (coalesce(u.usd, 0) + coalesce(e.usd, 0)) / g.amount_usd, 8)
    FROM billing.credit_grants AS g
    LEFT JOIN used AS u ON u.grant_id = g.id LEFT JOIN ended AS e ON e.grant_id = g.id
    WHERE g.organization_id = o.id AND g.cost_basis_usd > 0 AND g.created_at < p_instant;
END $$;

-- The debt of an organization at an instant, and what of it invoices asked for then.
CREATE OR REPLACE FUNCTION billing.receivable_at(
    o billing.organizations, p_instant timestamptz, OUT debt_usd numeric, OUT invoiced_usd numeric, OUT overdue_usd numeric
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_covered_usd numeric := (
        SELECT coalesce(sum(s.covered_usd), 0)
        FROM unnest((billing.settled_credit(o, billing.now())).steps) AS s WHERE s.at < p_instant);
BEGIN
    SELECT coalesce(sum(a.to_usd - a.from_usd), 0) - v_covered_usd INTO debt_usd
    FROM billing.allocations_between(o, 0, billing.drawn_at(o, p_instant)) AS a
    WHERE (a.grant_id IS NULL OR a.covered_at >= p_instant)
        AND (a.refund_id IS NULL OR uuid_extract_timestamp(a.refund_id) >= p_instant);
    SELECT coalesce(sum(asked.usd), 0), coalesce(sum(asked.usd) FILTER (
        WHERE asked.due_date < (p_instant AT TIME ZONE o.timezone)::date), 0)
    INTO invoiced_usd, overdue_usd
    FROM (
        SELECT i.due_date, i.amount_due_usd - i.tax_usd - coalesce((
            SELECT sum(n.subtotal_usd) FROM billing.credit_notes AS n
            WHERE n.organization_id = o.id AND n.invoice_id = i.id AND n.created_at < p_instant), 0) AS usd
        FROM billing.invoices AS i
        WHERE i.organization_id = o.id AND i.kind = 'usage' AND i.issued_at < p_instant AND i.amount_due_usd > 0
            AND NOT EXISTS (
                SELECT FROM billing.credit_grants AS g
                WHERE g.organization_id = o.id AND g.invoice_id = i.id AND g.created_at < p_instant)
    ) AS asked;
END $$;

-- The revenue of an organization in a half-open period.
CREATE OR REPLACE FUNCTION billing.revenue_of(o billing.organizations, p_start timestamptz, p_end timestamptz)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        WITH grants AS (
            SELECT coalesce(sum(g.cost_basis_usd) FILTER (WHERE g.kind = 'paid'), 0) AS sold_usd,
                coalesce(sum(g.cost_basis_usd) FILTER (WHERE g.kind = 'refund'), 0) AS given_back_usd
            FROM billing.credit_grants AS g
            WHERE g.organization_id = o.id AND g.created_at >= p_start AND g.created_at < p_end
        ), charged_back AS (
            -- Of credit that was used, and whose payment the payer took back: it was earned from nobody.
            SELECT coalesce(sum(round(g.cost_basis_usd * -t.amount_usd / g.amount_usd, 8)), 0) AS usd
            FROM billing.credit_transactions AS t
            JOIN billing.credit_grants AS g ON g.organization_id = t.organization_id AND g.id = t.grant_id
            WHERE t.organization_id = o.id AND t.transaction_type <> 'charge' AND t.transaction_type = 'adjustment'
                AND t.created_at >= p_start AND t.created_at < p_end
        ), opening AS (
            SELECT coalesce(sum(basis_usd), 0) AS basis_usd, coalesce(sum(used_basis_usd), 0) AS used_usd,
                coalesce(sum(expired_basis_usd), 0) AS expired_usd, coalesce(sum(gone_basis_usd), 0) AS gone_usd
            FROM billing.gone_at(o, p_start)
        ), closing AS (
            SELECT coalesce(sum(basis_usd), 0) AS basis_usd, coalesce(sum(used_basis_usd), 0) AS used_usd,
                coalesce(sum(expired_basis_usd), 0) AS expired_usd, coalesce(sum(gone_basis_usd), 0) AS gone_usd
            FROM billing.gone_at(o, p_end)
        )
        SELECT jsonb_build_object(
            'organization_id', o.id,
            'opening_deferred_usd', (opening.basis_usd - opening.gone_usd)::numeric(28, 8)::text,
            'sold_usd', sold_usd::numeric(28, 8)::text,
            'recognized_usd', (closing.used_usd - opening.used_usd - given_back_usd
                - charged_back.usd)::numeric(28, 8)::text,
            'breakage_usd', (closing.expired_usd - opening.expired_usd)::numeric(28, 8)::text,
            'paid_out_usd', (closing.gone_usd - closing.used_usd - closing.expired_usd
                - (opening.gone_usd - opening.used_usd - opening.expired_usd) + charged_back.usd)::numeric(28, 8)::text,
            'closing_deferred_usd', (closing.basis_usd - closing.gone_usd)::numeric(28, 8)::text,
            'promotional_used_usd', (billing.promotional_used_at(o, p_end)
                - billing.promotional_used_at(o, p_start))::numeric(28, 8)::text,
            'debt_usd', (receivable).debt_usd::numeric(28, 8)::text,
            'invoiced_usd', (receivable).invoiced_usd::numeric(28, 8)::text,
            'overdue_usd', (receivable).overdue_usd::numeric(28, 8)::text)
        FROM grants, charged_back, opening, closing, billing.receivable_at(o, p_end) AS receivable);
END $$;

-- The revenue of organizations with an id above p_after, in the order of their ids.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.revenue(
    p_tenant text, p_start timestamptz, p_end timestamptz, p_after uuid, p_limit int
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    IF p_tenant <> '*' THEN
        RETURN billing.outcome('forbidden');
    END IF;
    PERFORM billing.set_tenant(p_tenant);
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(billing.revenue_of(ROW(o.*)::billing.organizations, p_start, p_end) ORDER BY o.id), '[]') FROM (
            SELECT * FROM billing.organizations
            WHERE id > coalesce(p_after, '00000000-0000-0000-0000-000000000000') ORDER BY id LIMIT p_limit
        ) AS o));
END $$;
