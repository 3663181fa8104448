-- Allocations: the ranges of an organization's odometer, and what settles each. A charge occupies the range
-- from its transaction's drawn_usd on that is as long as its amount. Callers that write hold the organization's
-- row lock.

-- What settles a range of the odometer, clipped to it and in its order: also what was drawn since the newest
-- settlement. Without a grant it is debt.
-- api helper
CREATE OR REPLACE FUNCTION billing.allocations_between(
    o billing.organizations, p_from_usd numeric, p_to_usd numeric
) RETURNS TABLE (
    from_usd numeric, to_usd numeric, grant_id uuid, covered_at timestamptz, refund_id uuid, restored_to uuid,
    invoice_id uuid
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_open billing.credit_grants[] := billing.open_grants(o, o.changed_at);
    v_settled_usd numeric := billing.settled_usd(o.id);
BEGIN
    RETURN QUERY
    SELECT greatest(a.from_usd, p_from_usd), least(a.to_usd, p_to_usd), a.grant_id, a.covered_at, a.refund_id,
        a.restored_to, a.invoice_id
    FROM (
        SELECT f.from_usd, f.to_usd, f.grant_id, f.covered_at, f.refund_id, f.restored_to, f.invoice_id
        FROM billing.allocations AS f WHERE f.organization_id = o.id AND f.from_usd < p_to_usd
            -- The one that contains the start, and those after it.
            AND f.from_usd >= coalesce((
                SELECT max(e.from_usd) FROM billing.allocations AS e
                WHERE e.organization_id = o.id AND e.from_usd <= p_from_usd), 0)
        UNION ALL
        SELECT b.from_usd, b.to_usd, b.grant_id, NULL, NULL, NULL, NULL
        FROM billing.burn_down(v_open, v_settled_usd, o.drawn_usd) AS b
    ) AS a
    WHERE a.from_usd < p_to_usd AND a.to_usd > p_from_usd
    ORDER BY 1;
END $$;

-- The odometer at an instant: all that transactions before it have drawn.
CREATE OR REPLACE FUNCTION billing.drawn_at(o billing.organizations, p_instant timestamptz) RETURNS numeric
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce((
            SELECT drawn_usd FROM billing.credit_transactions
            WHERE organization_id = o.id AND created_at >= p_instant ORDER BY created_at LIMIT 1), o.drawn_usd));
END $$;

-- The odometer at the newest settlement.
-- api helper
CREATE OR REPLACE FUNCTION billing.settled_usd(p_organization_id uuid) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce((
            SELECT to_usd FROM billing.allocations
            WHERE organization_id = p_organization_id ORDER BY from_usd DESC LIMIT 1), 0));
END $$;

-- The debt at the newest settlement, on an invoice or not.
-- api helper
CREATE OR REPLACE FUNCTION billing.debt_usd(p_organization_id uuid) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(sum(to_usd - from_usd), 0) FROM billing.allocations
        WHERE organization_id = p_organization_id AND grant_id IS NULL AND refund_id IS NULL);
END $$;

-- The debt at the newest settlement that an invoice asks for, which no new credit covers.
-- api helper
CREATE OR REPLACE FUNCTION billing.invoiced_usd(p_organization_id uuid) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(sum(to_usd - from_usd), 0) FROM billing.allocations
        WHERE organization_id = p_organization_id AND grant_id IS NULL AND refund_id IS NULL
            AND invoice_id IS NOT NULL);
END $$;

-- Cut the allocation that contains a position of the odometer in two.
CREATE OR REPLACE FUNCTION billing.cut_allocation(p_organization_id uuid, p_at_usd numeric) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    a billing.allocations;
BEGIN
    SELECT * INTO a FROM billing.allocations
    WHERE organization_id = p_organization_id AND from_usd < p_at_usd ORDER BY from_usd DESC LIMIT 1;
    IF a.to_usd > p_at_usd THEN
        UPDATE billing.allocations SET to_usd = p_at_usd
        WHERE organization_id = p_organization_id AND from_usd = a.from_usd;
        INSERT INTO billing.allocations
            (organization_id, from_usd, to_usd, grant_id, covered_at, refund_id, restored_to, invoice_id)
        VALUES (a.organization_id, p_at_usd, a.to_usd, a.grant_id, a.covered_at, a.refund_id, a.restored_to,
            a.invoice_id);
    END IF;
END $$;

-- Cover debt that is on no invoice by a grant's credit, the oldest first, and return how much of the credit that
-- took.
CREATE OR REPLACE FUNCTION billing.cover_debt(
    p_organization_id uuid, p_grant_id uuid, p_credit_usd numeric, p_at timestamptz
) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    v_end_usd numeric;
    v_covered_usd numeric;
BEGIN
    -- Where the credit is used up.
    SELECT min(to_usd - (sum_usd - p_credit_usd)) INTO v_end_usd FROM (
        SELECT to_usd, sum(to_usd - from_usd) OVER (ORDER BY from_usd) AS sum_usd FROM billing.allocations
        WHERE organization_id = p_organization_id AND grant_id IS NULL AND refund_id IS NULL
            AND invoice_id IS NULL
    ) AS debt WHERE sum_usd >= p_credit_usd;
    PERFORM billing.cut_allocation(p_organization_id, v_end_usd);
    WITH covered AS (
        UPDATE billing.allocations SET grant_id = p_grant_id, covered_at = p_at
        WHERE organization_id = p_organization_id AND grant_id IS NULL AND refund_id IS NULL
            AND invoice_id IS NULL AND to_usd <= coalesce(v_end_usd, 'infinity')
        RETURNING to_usd - from_usd AS usd
    )
    SELECT coalesce(sum(usd), 0) INTO v_covered_usd FROM covered;
    RETURN v_covered_usd;
END $$;

-- Cut off what a refund of an amount gives back of a range, or of the part of it that an invoice asks for: the
-- last drawn that is not refunded yet. Return where each allocation of it begins.
CREATE OR REPLACE FUNCTION billing.cut_back(
    p_organization_id uuid, p_from_usd numeric, p_to_usd numeric, p_amount_usd numeric,
    p_invoice_id uuid DEFAULT NULL
) RETURNS numeric[] LANGUAGE plpgsql AS $$
DECLARE
    v_start_usd numeric;
BEGIN
    PERFORM billing.cut_allocation(p_organization_id, p_from_usd);
    PERFORM billing.cut_allocation(p_organization_id, p_to_usd);
    SELECT max(from_usd + (sum_usd - p_amount_usd)) INTO STRICT v_start_usd FROM (
        SELECT from_usd, sum(to_usd - from_usd) OVER (ORDER BY from_usd DESC) AS sum_usd
        FROM billing.allocations
        WHERE organization_id = p_organization_id AND refund_id IS NULL
            AND from_usd >= p_from_usd AND from_usd < p_to_usd
            AND (p_invoice_id IS NULL OR invoice_id = p_invoice_id)
    ) AS drawn WHERE sum_usd >= p_amount_usd;
    PERFORM billing.cut_allocation(p_organization_id, v_start_usd);
    RETURN ARRAY(
        SELECT from_usd FROM billing.allocations
        WHERE organization_id = p_organization_id AND refund_id IS NULL
            AND from_usd >= v_start_usd AND from_usd < p_to_usd
            AND (p_invoice_id IS NULL OR invoice_id = p_invoice_id));
END $$;

-- What is not refunded yet of a range of the settled odometer, or of the part of it that an invoice asks for.
CREATE OR REPLACE FUNCTION billing.refundable_usd(
    p_organization_id uuid, p_from_usd numeric, p_to_usd numeric, p_invoice_id uuid DEFAULT NULL
) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(sum(least(to_usd, p_to_usd) - greatest(from_usd, p_from_usd)), 0) FROM billing.allocations
        WHERE organization_id = p_organization_id AND refund_id IS NULL
            AND from_usd < p_to_usd AND to_usd > p_from_usd
            AND (p_invoice_id IS NULL OR invoice_id = p_invoice_id));
END $$;

-- The grants that give back the allocations that begin at p_parts in place of grants that have ended, for
-- p_grace_days: of the same cost basis, so that all grants of one payment together cost what was paid.
CREATE OR REPLACE FUNCTION billing.replacing_grants(o billing.organizations, p_parts numeric[], p_grace_days int)
RETURNS billing.credit_grants[] LANGUAGE plpgsql AS $$
DECLARE
    v_ended record;
    g billing.credit_grants;
    v_grants billing.credit_grants[] := '{}';
BEGIN
    FOR v_ended IN
        SELECT e.*, sum(a.to_usd - a.from_usd) AS back_usd, (
                SELECT sum(u.to_usd - u.from_usd) FROM billing.allocations AS u
                WHERE u.organization_id = o.id AND u.grant_id = e.id AND u.refund_id IS NULL
            ) AS used_usd
        FROM billing.allocations AS a
        JOIN billing.credit_grants AS e ON e.organization_id = o.id AND e.id = a.grant_id
            AND least(e.expires_at, e.voided_at) <= o.changed_at
        WHERE a.organization_id = o.id AND a.from_usd = ANY (p_parts)
        GROUP BY e.organization_id, e.id ORDER BY e.id
    LOOP
        g := billing.new_grant(o, 'refund', v_ended.back_usd, v_ended.priority,
            o.changed_at + make_interval(days => p_grace_days),
            round(v_ended.cost_basis_usd * v_ended.used_usd / v_ended.amount_usd, 8)
                - round(v_ended.cost_basis_usd * (v_ended.used_usd - v_ended.back_usd) / v_ended.amount_usd, 8));
        g.origin_id := v_ended.id;
        v_grants := v_grants || g;
    END LOOP;
    RETURN v_grants;
END $$;

-- Give the allocations that begin at p_parts back to the grants that they were drawn from, and in place of ended
-- ones to their replacements. What comes back covers debt first.
CREATE OR REPLACE FUNCTION billing.restore_grants(
    o billing.organizations, t billing.credit_transactions, p_parts numeric[], p_replacing billing.credit_grants[]
) RETURNS billing.organizations LANGUAGE plpgsql AS $$
DECLARE
    v_back record;
BEGIN
    PERFORM billing.insert_grants(billing.brought(p_replacing, t));
    FOR v_back IN
        WITH refunded AS (
            UPDATE billing.allocations AS a SET refund_id = t.id, restored_to = coalesce(
                (SELECT r.id FROM unnest(p_replacing) AS r WHERE r.origin_id = a.grant_id), a.grant_id)
            WHERE a.organization_id = o.id AND a.from_usd = ANY (p_parts)
            RETURNING a.restored_to, a.to_usd - a.from_usd AS usd
        )
        SELECT restored_to, sum(usd) AS usd FROM refunded
        WHERE restored_to <> ALL (SELECT r.id FROM unnest(p_replacing) AS r) GROUP BY 1
    LOOP
        UPDATE billing.credit_grants SET remaining_usd = remaining_usd + v_back.usd
        WHERE organization_id = o.id AND id = v_back.restored_to;
    END LOOP;
    RETURN billing.cover_by_all(o, t.created_at);
END $$;

-- Cover debt by all credit that is not ended, in burn-down order, and return the organization with the instant
-- of its next settlement.
CREATE OR REPLACE FUNCTION billing.cover_by_all(o billing.organizations, p_at timestamptz)
RETURNS billing.organizations LANGUAGE plpgsql AS $$
DECLARE
    g billing.credit_grants;
    v_grants billing.credit_grants[] := billing.open_grants(o, p_at);
    v_covered_usd numeric;
BEGIN
    FOREACH g IN ARRAY v_grants LOOP
        EXIT WHEN billing.debt_usd(o.id) = 0;
        CONTINUE WHEN NOT g.started OR least(g.expires_at, g.voided_at) <= p_at;
        v_covered_usd := billing.cover_debt(o.id, g.id, g.remaining_usd - g.frozen_usd, p_at);
        UPDATE billing.credit_grants SET remaining_usd = remaining_usd - v_covered_usd
        WHERE organization_id = o.id AND id = g.id;
    END LOOP;
    o.settle_at := billing.next_settlement(v_grants, p_at);
    RETURN o;
END $$;
