-- Receipts: how a transaction came to be, which grants paid for it, and the proof that it is the one in the
-- chain.

-- api
CREATE OR REPLACE FUNCTION billing.receipt(p_tenant text, p_organization_id uuid, p_transaction_id uuid)
RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
    t billing.credit_transactions;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    t := billing.transaction_by_id(o.id, p_transaction_id);
    IF t.id IS NULL THEN
        RETURN billing.outcome('transaction_not_found');
    END IF;
    RETURN billing.outcome('found', (jsonb_build_object(
        'transaction', billing.transaction_json(t),
        -- Computed again from the usage; NULL when the amount was given.
        'price', billing.rating_json(t.price_id, t.service_tier, t.usage, t.price_multiplier),
        'hold', (SELECT billing.hold_json(ROW(h.*)::billing.holds) FROM billing.holds AS h
            WHERE h.organization_id = o.id AND h.id = t.hold_id),
        'budgets', billing.counted_by(o, t),
        'invoice', billing.invoiced_by(t),
        'proof', json_build_object(
            'previous_hash', encode(t.previous_hash, 'hex'),
            'hash', encode(t.hash, 'hex'),
            'text', billing.hashed_text(t),
            'personal_text', CASE WHEN t.personal_salt IS NOT NULL THEN billing.personal_text(
                t.personal_salt, t.description, t.initiated_by, t.end_user, t.metadata) END)
    ) || billing.paid_by(o, t))::json);
END $$;

-- The budgets that counted a charge: those that were there, and those that found it in their calendar window when they
-- were created.
-- api helper
CREATE OR REPLACE FUNCTION billing.counted_by(o billing.organizations, t billing.credit_transactions) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(json_agg(json_build_object('id', b.id, 'subject', split_part(b.subject, ' ', 1),
            'subject_id', billing.subject_id(b.subject), 'window', b.window_length, 'limit_usd', b.limit_usd::text)
            ORDER BY b.created_at), '[]')
        FROM billing.budgets AS b
        WHERE b.organization_id = o.id AND t.transaction_type = 'charge'
            AND b.subject = ANY (billing.subjects(t.team_id, t.virtual_key_id, t.end_user, t.model, t.provider))
            AND (b.created_at < t.created_at OR b.burst_usd IS NULL
                AND t.created_at >= billing.window_start(b.window_length, o.timezone, b.created_at)));
END $$;

-- The issued document that a charge, a negative adjustment or a top-up is on; NULL when there is none. The periods of
-- documents do not overlap, and each contains exactly what was drawn in its range.
-- api helper
CREATE OR REPLACE FUNCTION billing.invoiced_by(t billing.credit_transactions) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT json_build_object('id', i.id, 'number', i.invoice_number, 'kind', i.kind, 'status', i.status)
        FROM billing.invoices AS i
        WHERE i.organization_id = t.organization_id AND i.status NOT IN ('draft', 'cancelled')
            AND CASE i.kind WHEN 'topup' THEN i.transaction_id = t.id
                ELSE t.transaction_type IN ('charge', 'adjustment') AND t.amount_usd <= 0
                    AND t.created_at >= i.period_start AND t.created_at < i.period_end END);
END $$;

-- What settles the part of the odometer that a transaction drew, and the refunds that gave some of it back.
-- api helper
CREATE OR REPLACE FUNCTION billing.paid_by(o billing.organizations, t billing.credit_transactions) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        WITH parts AS (
            SELECT * FROM billing.allocations_between(o, t.drawn_usd, t.drawn_usd + billing.drawn_by(t))
        )
        SELECT jsonb_build_object(
            'grants', (SELECT coalesce(json_agg(json_build_object('grant_id', u.grant_id, 'kind', g.kind,
                    'amount_usd', u.usd::text, 'payment_id', billing.payment_of(ROW(g.*)::billing.credit_grants))
                    ORDER BY u.first_usd), '[]')
                FROM (
                    SELECT grant_id, sum(to_usd - from_usd) AS usd, min(from_usd) AS first_usd FROM parts
                    WHERE grant_id IS NOT NULL GROUP BY grant_id
                ) AS u JOIN billing.credit_grants AS g ON g.organization_id = o.id AND g.id = u.grant_id),
            'debt_usd', (SELECT coalesce(sum(to_usd - from_usd), 0)::text FROM parts
                WHERE grant_id IS NULL AND refund_id IS NULL),
            'refunds', (SELECT coalesce(json_agg(billing.transaction_json(
                    billing.transaction_by_id(o.id, r.refund_id)) ORDER BY r.refund_id), '[]')
                FROM (SELECT DISTINCT refund_id FROM parts WHERE refund_id IS NOT NULL) AS r)));
END $$;

-- The payment that bought the credit of a grant, or of the ended one whose credit it gives back; NULL when the platform
-- gave it, or took the money by other means.
-- api helper
CREATE OR REPLACE FUNCTION billing.payment_of(g billing.credit_grants) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((g.paid ->> 'payment_id')::uuid, (
        SELECT id FROM billing.payments
        WHERE organization_id = g.organization_id AND grant_id IN (g.id, g.origin_id) LIMIT 1));
END $$;
