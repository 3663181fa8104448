-- Settlement of payments: what the provider's object says is compared with what is recorded, and the difference is
-- booked under the organization's lock. The same answer again, an older one, and several webhooks of one fact book
-- nothing.

-- Book a provider's answer to a question that was asked at p_as_of: the one entry of money through payments.
-- p_state has status, currency, captured, refunded, disputed, lost, dispute_state, and what names the provider's
-- objects; amounts are totals, never changes.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.settle_payment(
    p_tenant text, p_organization_id uuid, p_payment_id uuid, p_as_of timestamptz, p_state jsonb
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    p billing.payments;
    v_before billing.payments;
BEGIN
    SELECT * INTO p FROM billing.payments WHERE organization_id = o.id AND id = p_payment_id;
    IF NOT FOUND THEN
        RETURN billing.outcome(CASE WHEN o.id IS NULL THEN 'organization_not_found' ELSE 'payment_not_found' END);
    ELSIF p_as_of <= p.as_of THEN
        RETURN billing.outcome('found', billing.payment_json(p));
    ELSIF p_state ->> 'currency' <> p.currency THEN
        RETURN billing.invalid_state(format('The payment is in %s, and the provider says %s.',
            p.currency, p_state ->> 'currency'));
    END IF;
    v_before := p;
    p := billing.with_state(p, p_state);
    p.as_of := p_as_of;
    p.updated_at := o.changed_at;
    PERFORM billing.know_objects(p, ARRAY(SELECT jsonb_array_elements_text(p_state -> 'external_ids')));
    PERFORM billing.know_card(p, p_state, o.changed_at);
    PERFORM billing.settle_refunds(p, p_state -> 'refunds');
    IF p.captured > 0 AND p.grant_id IS NULL THEN
        p := billing.credit_payment(o, p);
    END IF;
    IF p.grant_id IS NOT NULL THEN
        p := billing.take_back(p);
    END IF;
    p := billing.save_payment(p);
    PERFORM billing.auto_topup_learns(v_before, p);
    PERFORM billing.payment_events_of(v_before, p);
    RETURN billing.outcome('found', billing.payment_json(p));
END $$;

-- The payment with the provider's state. What succeeded stays so, whatever a later answer says of the page.
CREATE OR REPLACE FUNCTION billing.with_state(p billing.payments, p_state jsonb) RETURNS billing.payments
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    p.external_id := coalesce(p_state ->> 'external_id', p.external_id);
    p.captured := greatest(p.captured, (p_state ->> 'captured')::numeric);
    p.refunded := (p_state ->> 'refunded')::numeric;
    p.disputed := (p_state ->> 'disputed')::numeric;
    p.lost := (p_state ->> 'lost')::numeric;
    p.dispute_state := p_state ->> 'dispute_state';
    p.fee := coalesce((p_state ->> 'fee')::numeric, p.fee);
    p.fee_currency := coalesce(p_state ->> 'fee_currency', p.fee_currency);
    p.status := CASE WHEN p.captured > 0 THEN 'succeeded' ELSE p_state ->> 'status' END;
    p.failure_code := CASE WHEN p.status = 'failed' THEN p_state ->> 'failure_code' END;
    RETURN p;
END $$;

-- Write the settled payment back. Events that came before the question are done by its answer, in this same
-- transaction; the payment is asked for again later and later.
CREATE OR REPLACE FUNCTION billing.save_payment(p billing.payments) RETURNS billing.payments
LANGUAGE plpgsql AS $$
DECLARE
    v_age interval := p.updated_at - p.created_at;
    v_settled_at timestamptz := billing.now();
    v_open boolean;
BEGIN
    UPDATE billing.payment_events SET settled_at = v_settled_at
    WHERE organization_id = p.organization_id AND payment_id = p.id AND settled_at IS NULL
        AND received_at < p.as_of;
    v_open := EXISTS (
        SELECT FROM billing.payment_events
        WHERE organization_id = p.organization_id AND payment_id = p.id AND settled_at IS NULL);
    -- By itself: the events are on another node.
    v_open := v_open OR EXISTS (
        SELECT FROM billing.payment_refunds
        WHERE organization_id = p.organization_id AND payment_id = p.id AND status IN ('pending', 'unknown'));
    p.next_ask_at := CASE
        WHEN v_open THEN p.updated_at + interval '1 minute'
        WHEN p.status IN ('pending', 'unknown') THEN
            p.updated_at + least(greatest(v_age, interval '1 minute'), interval '1 hour')
        -- A refund or a dispute whose webhooks were lost is found all the same.
        WHEN p.status = 'succeeded' AND v_age < interval '400 days' THEN
            p.updated_at + least(greatest(v_age, interval '1 hour'), interval '7 days')
        WHEN v_age < interval '2 days' THEN p.updated_at + interval '1 day'
        ELSE 'infinity' END;
    UPDATE billing.payments SET status = p.status, external_id = p.external_id, captured = p.captured,
        refunded = p.refunded, disputed = p.disputed, lost = p.lost, dispute_state = p.dispute_state, fee = p.fee,
        fee_currency = p.fee_currency, failure_code = p.failure_code, as_of = p.as_of, next_ask_at = p.next_ask_at,
        credited_usd = p.credited_usd, paid_out_usd = p.paid_out_usd, charged_back_usd = p.charged_back_usd,
        grant_id = p.grant_id, transaction_id = p.transaction_id, updated_at = p.updated_at
    WHERE organization_id = p.organization_id AND id = p.id RETURNING * INTO p;
    RETURN p;
END $$;

-- Bring the credit that was captured, once: in proportion, if it is not what was asked for. The payment of an invoice
-- that cannot be paid any more becomes credit.
CREATE OR REPLACE FUNCTION billing.credit_payment(o billing.organizations, p billing.payments)
RETURNS billing.payments LANGUAGE plpgsql AS $$
DECLARE
    i billing.invoices;
    rest billing.credit_notes;
    v_credit_usd numeric := round(p.credit_usd * p.captured / p.amount, 8);
BEGIN
    SELECT * INTO i FROM billing.invoices WHERE organization_id = o.id AND id = p.invoice_id;
    rest := billing.uncredited(i);
    p.credited_usd := v_credit_usd;
    IF billing.is_unpaid(i.status) AND p.captured >= rest.total_amount_billing_currency
        AND v_credit_usd >= rest.subtotal_usd
    THEN
        PERFORM billing.mark_paid(o, i, NULL, p.initiated_by);
        SELECT id, transaction_id INTO p.grant_id, p.transaction_id FROM billing.credit_grants
        WHERE organization_id = o.id AND invoice_id = i.id;
        v_credit_usd := v_credit_usd - rest.subtotal_usd;
        o := billing.locked_again(o.id);
    END IF;
    IF v_credit_usd > 0 THEN
        p := billing.bring_payment(o, p, v_credit_usd);
    END IF;
    RETURN p;
END $$;

-- The locked organization after a transaction was stored, at the next instant of its clock.
CREATE OR REPLACE FUNCTION billing.locked_again(p_organization_id uuid) RETURNS billing.organizations
LANGUAGE plpgsql AS $$
DECLARE
    o billing.organizations;
BEGIN
    SELECT * INTO STRICT o FROM billing.organizations WHERE id = p_organization_id;
    RETURN billing.advance_clock(o);
END $$;

-- Bring a paid grant, whose cost basis is the net price, and which gets an invoice on the payment's terms.
CREATE OR REPLACE FUNCTION billing.bring_payment(
    o billing.organizations, p billing.payments, p_credit_usd numeric
) RETURNS billing.payments LANGUAGE plpgsql AS $$
DECLARE
    g billing.credit_grants := billing.new_grant(o, 'paid', p_credit_usd, 50, NULL, p_credit_usd);
    t billing.credit_transactions;
BEGIN
    g.paid := jsonb_build_object(
        'amount', billing.in_currency(p_credit_usd, p.exchange_rate, p.minor_units)::text,
        'currency', p.currency, 'exchange_rate', p.exchange_rate::text, 'rate_source', p.rate_source,
        'rate_as_of', p.rate_as_of, 'tax', p.tax_terms, 'payment_id', p.id);
    g.description := format('Payment by %s', CASE p.provider WHEN 'stripe' THEN 'card' ELSE 'PayPal' END);
    g.initiated_by := p.initiated_by;
    t := billing.store_grant(o, g, 'topup', p.id::text, billing.own_key('payment', p.id), p.fingerprint);
    INSERT INTO billing.topups_to_invoice (organization_id, transaction_id) VALUES (o.id, t.id);
    p.grant_id := coalesce(p.grant_id, g.id);
    p.transaction_id := coalesce(p.transaction_id, t.id);
    RETURN p;
END $$;

-- Have as much credit gone as the provider says is refunded or lost, and as much of the rest frozen as is under
-- dispute or on its way back: targets, so a full refund takes exactly what was given, and nothing is taken twice.
CREATE OR REPLACE FUNCTION billing.take_back(p billing.payments) RETURNS billing.payments
LANGUAGE plpgsql AS $$
DECLARE
    o billing.organizations := billing.locked_again(p.organization_id);
    v_target_usd numeric := billing.credit_of_part(p, p.refunded + p.lost);
    v_change_usd numeric := v_target_usd - p.paid_out_usd - p.charged_back_usd;
    v_under_way numeric;
BEGIN
    o := billing.settle(o, o.changed_at);
    SELECT coalesce(sum(r.amount), 0) INTO v_under_way FROM billing.payment_refunds AS r
    WHERE r.organization_id = p.organization_id AND r.payment_id = p.id AND r.status IN ('pending', 'unknown');
    -- What leaves is not frozen any more.
    o := billing.freeze_grant(o, p, billing.credit_of_part(p, p.refunded + p.lost + p.disputed + v_under_way)
        - v_target_usd, greatest(v_change_usd, 0));
    IF v_change_usd > 0 THEN
        p := billing.take_credit(o, p, v_change_usd);
    ELSIF v_change_usd < 0 THEN
        p := billing.give_back(o, p, -v_change_usd);
    ELSE
        PERFORM billing.save_organization(o);
    END IF;
    RETURN p;
END $$;

-- The credit that a part of the captured money bought.
CREATE OR REPLACE FUNCTION billing.credit_of_part(p billing.payments, p_part numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p.captured = 0 THEN 0
        ELSE round(p.credited_usd * least(p_part, p.captured) / p.captured, 8) END
$$;

-- Freeze so much of a payment's grant, beside what is about to leave it: available falls, and the balance stays.
-- Holds that need it may still be captured. Return the organization, not yet stored.
CREATE OR REPLACE FUNCTION billing.freeze_grant(
    o billing.organizations, p billing.payments, p_frozen_usd numeric, p_leaving_usd numeric
) RETURNS billing.organizations LANGUAGE plpgsql AS $$
DECLARE
    g billing.credit_grants;
    v_frozen_usd numeric;
BEGIN
    SELECT * INTO STRICT g FROM billing.credit_grants WHERE organization_id = o.id AND id = p.grant_id;
    v_frozen_usd := CASE WHEN least(g.expires_at, g.voided_at) <= o.changed_at THEN 0
        ELSE greatest(least(p_frozen_usd, g.remaining_usd - p_leaving_usd), 0) END;
    IF v_frozen_usd <> g.frozen_usd THEN
        UPDATE billing.credit_grants SET frozen_usd = v_frozen_usd
        WHERE organization_id = o.id AND id = g.id;
        o.held_usd := o.held_usd + v_frozen_usd - g.frozen_usd;
        o.floor_usd := least(o.floor_usd, o.balance_usd - o.held_usd);
        -- Credit that is free again covers what became debt meanwhile.
        o := billing.cover_by_all(o, o.changed_at);
    END IF;
    RETURN o;
END $$;

-- Take credit of a payment: what is left of its grant is paid out, and what was spent of it is drawn again, from
-- other credit or as debt.
CREATE OR REPLACE FUNCTION billing.take_credit(o billing.organizations, p billing.payments, p_usd numeric)
RETURNS billing.payments LANGUAGE plpgsql AS $$
DECLARE
    t billing.credit_transactions;
    v_out_usd numeric;
BEGIN
    SELECT least(remaining_usd - frozen_usd, p_usd) INTO STRICT v_out_usd FROM billing.credit_grants
    WHERE organization_id = o.id AND id = p.grant_id;
    IF v_out_usd > 0 THEN
        o.floor_usd := least(o.floor_usd, o.balance_usd - o.held_usd - v_out_usd);
        UPDATE billing.credit_grants SET remaining_usd = remaining_usd - v_out_usd
        WHERE organization_id = o.id AND id = p.grant_id;
        t := billing.next_transaction(o, 'payout', -v_out_usd, NULL, p.id::text, NULL, p_grant_id => p.grant_id);
        PERFORM billing.store_transaction(o, t, billing.own_key('payout', t.id), t.hash);
        o := billing.locked_again(o.id);
    END IF;
    IF p_usd > v_out_usd THEN
        o.floor_usd := least(o.floor_usd, o.balance_usd - o.held_usd - (p_usd - v_out_usd));
        t := billing.next_transaction(o, 'adjustment', v_out_usd - p_usd, 'Charged back', p.id::text, NULL,
            p_grant_id => p.grant_id);
        PERFORM billing.store_transaction(o, t, billing.own_key('charge back', t.id), t.hash);
    END IF;
    p.paid_out_usd := p.paid_out_usd + v_out_usd;
    p.charged_back_usd := p.charged_back_usd + p_usd - v_out_usd;
    RETURN p;
END $$;

-- Give credit of a payment back, because a refund failed or a dispute was won after all: what was paid out returns
-- to the grant, and what was drawn again is put right.
CREATE OR REPLACE FUNCTION billing.give_back(o billing.organizations, p billing.payments, p_usd numeric)
RETURNS billing.payments LANGUAGE plpgsql AS $$
DECLARE
    t billing.credit_transactions;
    v_out_usd numeric := least(p_usd, p.paid_out_usd);
BEGIN
    IF v_out_usd > 0 THEN
        UPDATE billing.credit_grants SET remaining_usd = remaining_usd + v_out_usd
        WHERE organization_id = o.id AND id = p.grant_id;
        t := billing.next_transaction(o, 'payout', v_out_usd, NULL, p.id::text, NULL, p_grant_id => p.grant_id);
        o := billing.cover_by_all(o, o.changed_at);
        PERFORM billing.store_transaction(o, t, billing.own_key('payout', t.id), t.hash);
        o := billing.locked_again(o.id);
    END IF;
    IF p_usd > v_out_usd THEN
        PERFORM billing.store_adjustment(o, p_usd - v_out_usd, 'Charge back returned', p.id::text, NULL, NULL,
            NULL, NULL);
    END IF;
    p.paid_out_usd := p.paid_out_usd - v_out_usd;
    p.charged_back_usd := p.charged_back_usd - (p_usd - v_out_usd);
    RETURN p;
END $$;

-- Record what the platform is told of a change of a payment, once for each fact.
CREATE OR REPLACE FUNCTION billing.payment_events_of(p_before billing.payments, p billing.payments) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_type text;
    v_data jsonb := jsonb_build_object(
        'payment_id', p.id, 'purpose', p.purpose, 'provider', p.provider, 'status', p.status,
        'invoice_id', p.invoice_id, 'currency', p.currency, 'amount', round(p.amount, p.minor_units)::text,
        'credited_usd', p.credited_usd::text, 'refunded', round(p.refunded, p.minor_units)::text,
        'disputed', round(p.disputed + p.lost, p.minor_units)::text, 'dispute_state', p.dispute_state,
        'failure_code', p.failure_code, 'transaction_id', p.transaction_id);
BEGIN
    FOREACH v_type IN ARRAY array_remove(ARRAY[
        CASE WHEN p_before.grant_id IS NULL AND p.grant_id IS NOT NULL THEN 'payment.succeeded' END,
        CASE WHEN p.status = 'failed' AND p_before.status <> 'failed' THEN 'payment.failed' END,
        CASE WHEN p.refunded <> p_before.refunded THEN 'payment.refunded' END,
        CASE WHEN p.dispute_state IS DISTINCT FROM p_before.dispute_state THEN 'payment.disputed' END], NULL)
    LOOP
        PERFORM billing.record_event(p.organization_id, v_type, v_data);
    END LOOP;
END $$;
