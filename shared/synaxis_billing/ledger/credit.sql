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
    SELECT result_id INTO v_earlier FROM billing.idempotency
    WHERE organization_id = o.id AND kind = 'payment' AND key = p_reference_id;
    IF FOUND THEN
        RETURN billing.invalid_state(format('reference_id %s was already credited by transaction %s',
            to_json(p_reference_id), v_earlier));
    END IF;
    t := billing.next_transaction(o, 'topup', p_amount_usd, p_description, p_reference_id, p_initiated_by);
    PERFORM billing.store_credit(o, t, p_key, p_fingerprint);
    IF p_reference_id IS NOT NULL THEN
        INSERT INTO billing.idempotency
            (organization_id, kind, key, fingerprint, result_type, result_id, created_at)
        VALUES (o.id, 'payment', p_reference_id, p_fingerprint, 'transaction', t.id, o.changed_at);
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
    -- The time in the id finds the partition.
    SELECT * INTO c FROM billing.credit_transactions
    WHERE id = p_charge_id AND organization_id = o.id
        AND created_at >= uuid_extract_timestamp(p_charge_id) - interval '1 day'
        AND created_at < uuid_extract_timestamp(p_charge_id) + interval '1 day';
    IF NOT FOUND THEN
        RETURN billing.outcome('transaction_not_found');
    END IF;
    IF c.transaction_type <> 'charge' THEN
        RETURN billing.invalid_state(format('transaction %s is a %s; only a charge can be refunded',
            c.id, c.transaction_type));
    END IF;
    v_left_usd := -c.amount_usd - coalesce(
        (SELECT refunded_usd FROM billing.charge_refunds WHERE charge_id = c.id), 0);
    v_amount_usd := coalesce(p_amount_usd, v_left_usd);
    IF v_amount_usd > v_left_usd OR v_left_usd = 0 THEN
        RETURN billing.outcome('refund_exceeds_charge', json_build_object(
            'refundable_usd', v_left_usd::text, 'required_usd', v_amount_usd::text));
    END IF;
    INSERT INTO billing.charge_refunds AS r (charge_id, organization_id, charged_usd, refunded_usd)
    VALUES (c.id, o.id, -c.amount_usd, v_amount_usd)
    ON CONFLICT (charge_id) DO UPDATE SET refunded_usd = r.refunded_usd + excluded.refunded_usd;
    t := billing.next_transaction(o, 'refund', v_amount_usd, p_description, c.reference_id,
        p_initiated_by, p_charge_id => c.id);
    PERFORM billing.store_credit(o, t, p_key, p_fingerprint);
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
    IF p_amount_usd < 0 AND o.balance_usd - o.held_usd + p_amount_usd < 0 THEN
        o := billing.expire_holds(o);
        IF p_allow_negative_balance THEN
            o.floor_usd := least(o.floor_usd, o.balance_usd - o.held_usd + p_amount_usd);
        ELSIF o.balance_usd - o.held_usd + p_amount_usd < 0 THEN
            PERFORM billing.save_organization(o);
            RETURN billing.insufficient_credits(o, -p_amount_usd);
        END IF;
    END IF;
    t := billing.next_transaction(o, 'adjustment', p_amount_usd, p_description, NULL, p_initiated_by);
    PERFORM billing.store_credit(o, t, p_key, p_fingerprint);
    RETURN billing.outcome('created', billing.transaction_json(t));
END $$;

-- Store a change of credit that is not spend, with its key.
CREATE OR REPLACE FUNCTION billing.store_credit(
    o billing.organizations, t billing.credit_transactions, p_key text, p_fingerprint bytea
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing.idempotency
        (organization_id, kind, key, fingerprint, result_type, result_id, created_at)
    VALUES (o.id, 'key', p_key, p_fingerprint, 'transaction', t.id, o.changed_at);
    INSERT INTO billing.credit_transactions
        (id, organization_id, version, transaction_type, amount_usd, balance_before_usd,
        balance_after_usd, description, reference_id, initiated_by, hold_id, charge_id, personal_salt,
        personal_digest, previous_hash, hash, created_at)
    VALUES (t.id, t.organization_id, t.version, t.transaction_type, t.amount_usd, t.balance_before_usd,
        t.balance_after_usd, t.description, t.reference_id, t.initiated_by, t.hold_id, t.charge_id,
        t.personal_salt, t.personal_digest, t.previous_hash, t.hash, t.created_at);
    o.balance_usd := t.balance_after_usd;
    o.version := t.version;
    o.head_hash := t.hash;
    PERFORM billing.save_organization(o);
END $$;
