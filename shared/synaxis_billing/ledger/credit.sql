-- Changes of credit that are not spend: top-ups, refunds and adjustments. A payment credits once; refunds
-- stay within their charge, and give back to the grants that it was drawn from; only an explicit adjustment makes the balance negative.

-- Add credit that was paid for. A payment's reference credits once, whatever key it comes with.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.top_up(
    p_tenant text, p_organization_id uuid, p_key text, p_fingerprint bytea, p_amount_usd numeric,
    p_description text, p_reference_id text, p_initiated_by text, p_priority int, p_expires_at timestamptz,
    p_cost_basis_usd numeric, p_paid jsonb
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    g billing.credit_grants;
    t billing.credit_transactions;
    v_settled json;
    v_earlier uuid;
BEGIN
    v_settled := billing.settled(o, p_key, p_fingerprint);
    IF v_settled IS NOT NULL THEN
        RETURN v_settled;
    END IF;
    SELECT transaction_id INTO v_earlier FROM billing.credited_payments
    WHERE organization_id = o.id AND reference_id = p_reference_id;
    IF FOUND THEN
        RETURN billing.invalid_state(format('The reference_id %s was already credited by transaction %s.',
            to_json(p_reference_id), v_earlier));
    END IF;
    IF p_expires_at <= o.changed_at THEN
        RETURN billing.outcome('ended_grant');
    END IF;
    g := billing.new_grant(o, 'paid', p_amount_usd, p_priority, p_expires_at, p_cost_basis_usd);
    g.paid := p_paid;
    g.description := p_description;
    g.initiated_by := p_initiated_by;
    t := billing.store_grant(o, g, 'topup', p_reference_id, p_key, p_fingerprint);
    INSERT INTO billing.topups_to_invoice (organization_id, transaction_id) VALUES (o.id, t.id);
    IF p_reference_id IS NOT NULL THEN
        INSERT INTO billing.credited_payments (organization_id, reference_id, transaction_id)
        VALUES (o.id, p_reference_id, t.id);
    END IF;
    RETURN billing.outcome('created', billing.transaction_json(t));
END $$;

-- Refund a charge in part, or without an amount all that is left of it.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.refund(
    p_tenant text, p_organization_id uuid, p_key text, p_fingerprint bytea, p_charge_id uuid,
    p_amount_usd numeric, p_description text, p_initiated_by text, p_grace_days int
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    c billing.credit_transactions;
    t billing.credit_transactions;
    v_settled json;
    v_left_usd numeric;
    v_invoice_id uuid;
    v_amount_usd numeric;
    v_parts numeric[];
    v_replacing billing.credit_grants[];
BEGIN
    v_settled := billing.settled(o, p_key, p_fingerprint);
    IF v_settled IS NOT NULL THEN
        RETURN v_settled;
    END IF;
    c := billing.transaction_by_id(o.id, p_charge_id);
    IF c.id IS NULL THEN
        RETURN billing.outcome('transaction_not_found');
    END IF;
    IF c.transaction_type <> 'charge' THEN
        RETURN billing.invalid_state(format('Transaction %s is a %s; only a charge can be refunded.',
            c.id, c.transaction_type));
    END IF;
    o := billing.settle(o, o.changed_at);
    v_left_usd := billing.refundable_usd(o.id, c.drawn_usd, c.drawn_usd - c.amount_usd);
    v_amount_usd := coalesce(p_amount_usd, v_left_usd);
    IF v_amount_usd > v_left_usd OR v_left_usd = 0 THEN
        RETURN billing.outcome('refund_exceeds_charge', json_build_object(
            'refundable_usd', v_left_usd::text, 'required_usd', v_amount_usd::text));
    END IF;
    SELECT a.invoice_id INTO v_invoice_id
    FROM billing.allocations_between(o, c.drawn_usd, c.drawn_usd - c.amount_usd) AS a
    WHERE a.grant_id IS NULL AND a.refund_id IS NULL AND a.invoice_id IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RETURN billing.outcome('charge_is_invoiced', json_build_object('invoice_id', v_invoice_id));
    END IF;
    INSERT INTO billing.charge_refunds AS r (organization_id, charge_id, charged_usd, refunded_usd)
    VALUES (o.id, c.id, -c.amount_usd, v_amount_usd)
    ON CONFLICT (organization_id, charge_id) DO UPDATE SET refunded_usd = r.refunded_usd + excluded.refunded_usd;
    v_parts := billing.cut_back(o.id, c.drawn_usd, c.drawn_usd - c.amount_usd, v_amount_usd);
    v_replacing := billing.replacing_grants(o, v_parts, p_grace_days);
    t := billing.next_transaction(o, 'refund', v_amount_usd, p_description, c.reference_id,
        p_initiated_by, p_charge_id => c.id, p_grants => billing.grant_terms(v_replacing));
    o := billing.restore_grants(o, t, v_parts, v_replacing);
    PERFORM billing.store_transaction(o, t, p_key, p_fingerprint);
    PERFORM billing.refund_in_budgets(o, c, v_amount_usd);
    RETURN billing.outcome('created', billing.transaction_json(t));
END $$;

-- Correct a balance: upward by a grant, which may expire, downward as usage draws. Only p_allow_negative_balance lets it take more than the available credit.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.adjust(
    p_tenant text, p_organization_id uuid, p_key text, p_fingerprint bytea, p_amount_usd numeric,
    p_allow_negative_balance boolean, p_description text, p_initiated_by text, p_expires_at timestamptz
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    t billing.credit_transactions;
    v_settled json;
BEGIN
    v_settled := billing.settled(o, p_key, p_fingerprint);
    IF v_settled IS NOT NULL THEN
        RETURN v_settled;
    END IF;
    IF p_amount_usd < 0 AND billing.exceeds_credit(o, -p_amount_usd) THEN
        o := billing.expire_holds(o);
        IF p_allow_negative_balance THEN
            o.floor_usd := least(o.floor_usd, o.balance_usd - o.held_usd + p_amount_usd);
        ELSIF billing.exceeds_credit(o, -p_amount_usd) THEN
            PERFORM billing.save_organization(o);
            RETURN billing.insufficient_credits(o, -p_amount_usd);
        END IF;
    END IF;
    IF p_expires_at <= o.changed_at THEN
        RETURN billing.outcome('ended_grant');
    END IF;
    t := billing.store_adjustment(o, p_amount_usd, p_description, NULL, p_initiated_by, p_expires_at, p_key,
        p_fingerprint);
    RETURN billing.outcome('created', billing.transaction_json(t));
END $$;

-- Store an adjustment, which brings a grant or draws, with its key, and write the organization back.
CREATE OR REPLACE FUNCTION billing.store_adjustment(
    o billing.organizations, p_amount_usd numeric, p_description text, p_reference_id text, p_initiated_by text,
    p_expires_at timestamptz, p_key text, p_fingerprint bytea
) RETURNS billing.credit_transactions LANGUAGE plpgsql AS $$
DECLARE
    g billing.credit_grants;
    t billing.credit_transactions;
BEGIN
    IF p_amount_usd > 0 THEN
        g := billing.new_grant(o, 'adjustment', p_amount_usd, 50, p_expires_at, 0);
        g.description := p_description;
        g.initiated_by := p_initiated_by;
        RETURN billing.store_grant(o, g, 'adjustment', p_reference_id, p_key, p_fingerprint);
    END IF;
    t := billing.next_transaction(o, 'adjustment', p_amount_usd, p_description, p_reference_id, p_initiated_by);
    PERFORM billing.store_transaction(o, t, p_key, p_fingerprint);
    RETURN t;
END $$;
