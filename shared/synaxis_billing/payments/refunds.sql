-- Refunds to the payer: unspent credit of a payment goes back as money. The credit is frozen before the provider is
-- asked, and leaves when the provider's object says so.

-- api helper
CREATE OR REPLACE FUNCTION billing.payment_refund_json(r billing.payment_refunds, p billing.payments) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', r.id, 'payment_id', r.payment_id, 'status', r.status, 'currency', p.currency,
        'amount', round(r.amount, p.minor_units)::text, 'credit_usd', r.credit_usd::text,
        'failure_code', r.failure_code, 'initiated_by', r.initiated_by, 'created_at', r.created_at)
$$;

-- Refund credit of a payment to its payer: so much, or all that is unspent. Only p_allow_negative_balance lets it take
-- more than that, and the spent part becomes debt. The provider does not know of it yet.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.create_payment_refund(
    p_tenant text, p_organization_id uuid, p_payment_id uuid, p_key text, p_fingerprint bytea,
    p_amount_usd numeric, p_allow_negative_balance boolean, p_initiated_by text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    p billing.payments;
    r billing.payment_refunds;
    v_refundable_usd numeric;
BEGIN
    SELECT * INTO p FROM billing.payments WHERE organization_id = o.id AND id = p_payment_id;
    IF NOT FOUND THEN
        RETURN billing.outcome(CASE WHEN o.id IS NULL THEN 'organization_not_found' ELSE 'payment_not_found' END);
    END IF;
    SELECT * INTO r FROM billing.payment_refunds WHERE organization_id = o.id AND idempotency_key = p_key;
    IF FOUND THEN
        RETURN CASE WHEN r.fingerprint = p_fingerprint THEN billing.outcome('replayed', billing.payment_refund_json(r, p))
            ELSE billing.outcome('idempotency_key_reused') END;
    ELSIF p.grant_id IS NULL THEN
        RETURN billing.invalid_state(format('Payment %s is %s: nothing of it can be refunded.', p.id, p.status));
    ELSIF p.disputed > 0 THEN
        RETURN billing.invalid_state(format('Payment %s is disputed: the dispute decides.', p.id));
    END IF;
    o := billing.expire_holds(billing.settle(o, o.changed_at));
    v_refundable_usd := billing.refundable_of_payment(o, p, p_allow_negative_balance);
    r := billing.priced_refund(p, coalesce(p_amount_usd, v_refundable_usd));
    IF coalesce(p_amount_usd, 0) > v_refundable_usd OR r.amount <= 0 OR r.credit_usd <= 0 THEN
        PERFORM billing.save_organization(o);
        RETURN billing.outcome('refund_exceeds_payment', json_build_object(
            'refundable_usd', v_refundable_usd::text,
            'required_usd', coalesce(p_amount_usd, v_refundable_usd)::text));
    END IF;
    INSERT INTO billing.payment_refunds (organization_id, id, payment_id, amount, credit_usd, initiated_by,
        idempotency_key, fingerprint, created_at)
    VALUES (o.id, billing.new_id(o.changed_at), p.id, r.amount, r.credit_usd, p_initiated_by, p_key, p_fingerprint,
        o.changed_at) RETURNING * INTO r;
    PERFORM billing.save_organization(o);
    PERFORM billing.take_back(p);
    UPDATE billing.payments SET next_ask_at = least(next_ask_at, r.created_at + interval '1 minute')
    WHERE organization_id = o.id AND id = p.id;
    RETURN billing.outcome('created', billing.payment_refund_json(r, p));
END $$;

-- The credit of a payment that may be refunded to the payer: what is left of its grant and no hold needs, or, where
-- the spent part may become debt, all that has not gone back yet.
CREATE OR REPLACE FUNCTION billing.refundable_of_payment(
    o billing.organizations, p billing.payments, p_spent_too boolean
) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
DECLARE
    g billing.credit_grants;
    v_free_usd numeric := greatest(o.balance_usd - o.held_usd, 0);
    v_under_way_usd numeric;
BEGIN
    SELECT * INTO STRICT g FROM billing.credit_grants WHERE organization_id = o.id AND id = p.grant_id;
    IF NOT p_spent_too THEN
        RETURN least(g.remaining_usd - g.frozen_usd, v_free_usd);
    END IF;
    SELECT coalesce(sum(credit_usd), 0) INTO v_under_way_usd FROM billing.payment_refunds
    WHERE organization_id = o.id AND payment_id = p.id AND status IN ('pending', 'unknown');
    RETURN p.credited_usd - p.paid_out_usd - p.charged_back_usd - v_under_way_usd;
END $$;

-- The money that an amount of credit was bought for, rounded down to minor units but for all that is left, and the
-- credit that this money bought.
CREATE OR REPLACE FUNCTION billing.priced_refund(p billing.payments, p_usd numeric) RETURNS billing.payment_refunds
LANGUAGE plpgsql STABLE AS $$
DECLARE
    r billing.payment_refunds;
    v_before numeric;
    v_before_usd numeric;
BEGIN
    SELECT p.refunded + p.lost + coalesce(sum(amount), 0) INTO v_before FROM billing.payment_refunds
    WHERE organization_id = p.organization_id AND payment_id = p.id AND status IN ('pending', 'unknown');
    v_before_usd := billing.credit_of_part(p, v_before);
    r.amount := trunc(p.captured * least(v_before_usd + p_usd, p.credited_usd) / p.credited_usd, p.minor_units)
        - v_before;
    r.credit_usd := billing.credit_of_part(p, v_before + r.amount) - v_before_usd;
    RETURN r;
END $$;

-- Record what the provider's list says of the refunds that we asked for.
CREATE OR REPLACE FUNCTION billing.settle_refunds(p billing.payments, p_refunds jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE billing.payment_refunds AS r
    SET status = s.status, external_id = s.external_id, failure_code = s.failure_code
    FROM jsonb_to_recordset(p_refunds) AS s (id uuid, status text, external_id text, failure_code text)
    WHERE r.organization_id = p.organization_id AND r.payment_id = p.id AND r.id = s.id;
END $$;

-- One refund of a payment.
-- api
CREATE OR REPLACE FUNCTION billing.payment_refund(
    p_tenant text, p_organization_id uuid, p_payment_id uuid, p_refund_id uuid
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    p billing.payments;
    r billing.payment_refunds;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO p FROM billing.payments WHERE organization_id = p_organization_id AND id = p_payment_id;
    SELECT * INTO r FROM billing.payment_refunds
    WHERE organization_id = p_organization_id AND payment_id = p.id AND id = p_refund_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('payment_not_found');
    END IF;
    RETURN billing.outcome('found', billing.payment_refund_json(r, p));
END $$;
