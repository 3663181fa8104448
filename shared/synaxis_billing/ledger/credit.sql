-- Changes of credit that are not spend: top-ups, refunds and adjustments. A payment credits once; refunds
-- stay within their charge; only an explicit adjustment makes the balance negative.

-- Add credit. A payment's reference credits once, whatever key it comes with.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.top_up(
    p_tenant text, p_organization_id uuid, p_key text, p_fingerprint bytea, p_amount_usd numeric,
    p_description text, p_reference_id text, p_initiated_by text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
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
        RETURN billing.invalid_state(format('reference_id %s was already credited by transaction %s',
            to_json(p_reference_id), v_earlier));
    END IF;
    t := billing.next_transaction(o, 'topup', p_amount_usd, p_description, p_reference_id, p_initiated_by);
    PERFORM billing.store_transaction(o, t, p_key, p_fingerprint);
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
    p_amount_usd numeric, p_description text, p_initiated_by text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    c billing.credit_transactions;
    t billing.credit_transactions;
    v_settled json;
    v_left_usd numeric;
    v_amount_usd numeric;
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
        RETURN billing.invalid_state(format('transaction %s is a %s; only a charge can be refunded',
            c.id, c.transaction_type));
    END IF;
    v_left_usd := -c.amount_usd - coalesce(
        (SELECT refunded_usd FROM billing.charge_refunds
        WHERE organization_id = o.id AND charge_id = c.id), 0);
    v_amount_usd := coalesce(p_amount_usd, v_left_usd);
    IF v_amount_usd > v_left_usd OR v_left_usd = 0 THEN
        RETURN billing.outcome('refund_exceeds_charge', json_build_object(
            'refundable_usd', v_left_usd::text, 'required_usd', v_amount_usd::text));
    END IF;
    INSERT INTO billing.charge_refunds AS r (organization_id, charge_id, charged_usd, refunded_usd)
    VALUES (o.id, c.id, -c.amount_usd, v_amount_usd)
    ON CONFLICT (organization_id, charge_id) DO UPDATE SET refunded_usd = r.refunded_usd + excluded.refunded_usd;
    t := billing.next_transaction(o, 'refund', v_amount_usd, p_description, c.reference_id,
        p_initiated_by, p_charge_id => c.id);
    PERFORM billing.store_transaction(o, t, p_key, p_fingerprint);
    PERFORM billing.refund_in_budgets(o, c, v_amount_usd);
    RETURN billing.outcome('created', billing.transaction_json(t));
END $$;

-- Correct a balance. Only p_allow_negative_balance lets it take more than the available credit.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.adjust(
    p_tenant text, p_organization_id uuid, p_key text, p_fingerprint bytea, p_amount_usd numeric,
    p_allow_negative_balance boolean, p_description text, p_initiated_by text
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
    t := billing.next_transaction(o, 'adjustment', p_amount_usd, p_description, NULL, p_initiated_by);
    PERFORM billing.store_transaction(o, t, p_key, p_fingerprint);
    RETURN billing.outcome('created', billing.transaction_json(t));
END $$;
