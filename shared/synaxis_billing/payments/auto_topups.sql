-- Automatic top-ups: a saved card is charged when the available credit falls below a threshold. Each minute those that
-- are due are claimed, so every way in which credit leaves counts, and the charge path asks nothing. An index lets no
-- organization have two under way; a breaker ends the attempts on a card that is declined.

-- api helper
CREATE OR REPLACE FUNCTION billing.auto_topup_json(a billing.auto_topups) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_now timestamptz := billing.now();
    o billing.organizations;
    v_card text;
BEGIN
    SELECT * INTO o FROM billing.organizations WHERE id = a.organization_id;
    SELECT card INTO v_card FROM billing.payment_customers
    WHERE organization_id = a.organization_id AND provider = 'stripe';
    RETURN json_build_object(
        'organization_id', a.organization_id,
        'threshold_usd', a.threshold_usd::text,
        'target_usd', a.target_usd::text,
        'monthly_limit_usd', a.monthly_limit_usd::text,
        'charged_this_month_usd', billing.topped_up_this_month(o, v_now)::text,
        'card', v_card,
        'declines', a.declines,
        'next_attempt_at', CASE WHEN a.paused_at IS NULL AND a.next_attempt_at > v_now THEN a.next_attempt_at END,
        'paused_at', a.paused_at,
        'paused_reason', a.paused_reason,
        'created_at', a.created_at,
        'updated_at', a.updated_at);
END $$;

-- The credit that automatic top-ups have bought, or are about to buy, since the local month began.
-- api helper
CREATE OR REPLACE FUNCTION billing.topped_up_this_month(o billing.organizations, p_at timestamptz) RETURNS numeric
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_month timestamptz := billing.month_start(to_char(p_at AT TIME ZONE o.timezone, 'YYYY-MM'), o.timezone);
BEGIN
    RETURN (
        SELECT coalesce(sum(credit_usd), 0) FROM billing.payments
        WHERE organization_id = o.id AND purpose = 'auto_topup' AND status NOT IN ('failed', 'expired')
            AND created_at >= v_month);
END $$;

-- Switch automatic top-ups on, or change them. The breaker stays as it is: only another payment that succeeds
-- resets it.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.set_auto_topup(
    p_tenant text, p_organization_id uuid, p_threshold_usd numeric, p_target_usd numeric,
    p_monthly_limit_usd numeric, p_initiated_by text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    a billing.auto_topups;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    ELSIF NOT EXISTS (
        SELECT FROM billing.payment_customers
        WHERE organization_id = o.id AND provider = 'stripe' AND payment_method_id IS NOT NULL
    ) THEN
        RETURN billing.outcome('no_saved_card');
    END IF;
    INSERT INTO billing.auto_topups AS known
        (organization_id, threshold_usd, target_usd, monthly_limit_usd, initiated_by, created_at, updated_at)
    VALUES (o.id, p_threshold_usd, p_target_usd, p_monthly_limit_usd, p_initiated_by, o.changed_at, o.changed_at)
    ON CONFLICT (organization_id) DO UPDATE SET threshold_usd = excluded.threshold_usd,
        target_usd = excluded.target_usd, monthly_limit_usd = excluded.monthly_limit_usd,
        initiated_by = excluded.initiated_by, updated_at = excluded.updated_at, active = true,
        -- A limit that was reached may be higher now.
        next_attempt_at = CASE known.declines WHEN 0 THEN '-infinity' ELSE known.next_attempt_at END
    RETURNING * INTO a;
    RETURN billing.outcome('found', billing.auto_topup_json(a));
END $$;

-- api
CREATE OR REPLACE FUNCTION billing.auto_topup(p_tenant text, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    a billing.auto_topups;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO a FROM billing.auto_topups WHERE organization_id = p_organization_id AND active;
    IF FOUND THEN
        RETURN billing.outcome('found', billing.auto_topup_json(a));
    END IF;
    RETURN billing.outcome(CASE WHEN EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id)
        THEN 'auto_topup_not_found' ELSE 'organization_not_found' END);
END $$;

-- Switch automatic top-ups off. The row stays, and with it the breaker.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.delete_auto_topup(p_tenant text, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    a billing.auto_topups;
BEGIN
    UPDATE billing.auto_topups SET active = false, updated_at = o.changed_at
    WHERE organization_id = o.id AND active RETURNING * INTO a;
    IF NOT FOUND THEN
        RETURN billing.outcome(CASE WHEN o.id IS NULL THEN 'organization_not_found' ELSE 'auto_topup_not_found' END);
    END IF;
    RETURN billing.outcome('found', billing.auto_topup_json(a));
END $$;

-- The organizations after p_after whose credit may be below the threshold.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.due_auto_topups(p_tenant text, p_after uuid, p_limit int) RETURNS uuid[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN ARRAY(
        SELECT a.organization_id
        FROM billing.auto_topups AS a JOIN billing.organizations AS o ON o.id = a.organization_id
        WHERE a.organization_id > p_after AND a.active AND a.paused_at IS NULL AND a.next_attempt_at <= v_now
            AND o.status = 'active' AND o.balance_usd - o.held_usd < a.threshold_usd
        ORDER BY 1 LIMIT p_limit);
END $$;

-- Claim the top-up that an organization needs now: a payment that is to be sent to the provider. NULL when it needs
-- none, when one is under way, or when the month's limit is reached.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.claim_auto_topup(p_tenant text, p_organization_id uuid, p_terms jsonb) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    a billing.auto_topups;
    p billing.payments;
    v_usd numeric;
BEGIN
    SELECT * INTO a FROM billing.auto_topups WHERE organization_id = o.id AND active AND paused_at IS NULL
        AND next_attempt_at <= o.changed_at AND o.status = 'active' AND p_terms -> 'rates' ? o.billing_currency
        AND NOT EXISTS (
            SELECT FROM billing.payments WHERE organization_id = o.id AND purpose = 'auto_topup'
                AND status IN ('pending', 'unknown'));
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    o := billing.expire_holds(billing.settle(o, o.changed_at));
    v_usd := billing.auto_topup_usd(o, a);
    IF v_usd IS NULL THEN
        PERFORM billing.save_organization(o);
        RETURN NULL;
    END IF;
    p := billing.priced_payment(o, NULL, v_usd, p_terms);
    p.purpose := 'auto_topup';
    p.provider := 'stripe';
    p.initiated_by := a.initiated_by;
    p.idempotency_key := billing.own_key('automatic top-up', uuidv7());
    p.fingerprint := '';
    RETURN (billing.store_payment(o, p)).id;
END $$;

-- The credit to buy now, in whole cents within the month's limit; NULL for none. Less than a dollar is not worth the
-- provider's fee: the limit counts as reached until the next local month.
CREATE OR REPLACE FUNCTION billing.auto_topup_usd(o billing.organizations, a billing.auto_topups) RETURNS numeric
LANGUAGE plpgsql AS $$
DECLARE
    v_available_usd numeric := o.balance_usd - o.held_usd;
    v_left_usd numeric := a.monthly_limit_usd - billing.topped_up_this_month(o, o.changed_at);
BEGIN
    IF v_available_usd >= a.threshold_usd THEN
        RETURN NULL;
    ELSIF v_left_usd < 1 THEN
        UPDATE billing.auto_topups SET next_attempt_at = billing.month_start(
            billing.next_month(to_char(o.changed_at AT TIME ZONE o.timezone, 'YYYY-MM')), o.timezone)
        WHERE organization_id = o.id;
        RETURN NULL;
    END IF;
    RETURN greatest(least(ceil((a.target_usd - v_available_usd) * 100), trunc(v_left_usd * 100)) / 100, 1);
END $$;

-- What a payment's new state means to automatic top-ups: a success resets the breaker, and lets the next one come; a
-- decline of the card delays it, by 1, 2, 4 and 8 hours, and the fourth, or one that no later try can mend, pauses
-- them, as does a lost dispute. A call that the provider refused did not touch the card.
CREATE OR REPLACE FUNCTION billing.auto_topup_learns(p_before billing.payments, p billing.payments) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_failed boolean := p.purpose = 'auto_topup' AND p.status IN ('failed', 'expired')
        AND p_before.status IN ('pending', 'unknown');
    v_declined boolean := v_failed AND p.external_id IS NOT NULL;
    v_lost boolean := p.dispute_state = 'lost' AND p_before.dispute_state IS DISTINCT FROM 'lost';
    a billing.auto_topups;
BEGIN
    IF p.grant_id IS NOT NULL AND p_before.grant_id IS NULL THEN
        UPDATE billing.auto_topups
        SET declines = 0, next_attempt_at = '-infinity', paused_at = NULL, paused_reason = NULL
        WHERE organization_id = p.organization_id;
    ELSIF v_failed THEN
        UPDATE billing.auto_topups SET declines = declines + v_declined::int, next_attempt_at = p.updated_at
            + interval '1 hour' * CASE WHEN v_declined THEN 2 ^ least(declines, 3) ELSE 1 END
        WHERE organization_id = p.organization_id RETURNING * INTO a;
    END IF;
    IF v_lost OR v_declined AND (a.declines >= 4 OR billing.is_final_decline(p.failure_code)) THEN
        UPDATE billing.auto_topups SET paused_at = p.updated_at,
            paused_reason = CASE WHEN v_lost THEN 'dispute_lost' ELSE coalesce(p.failure_code, 'declined') END
        WHERE organization_id = p.organization_id AND paused_at IS NULL RETURNING * INTO a;
        IF FOUND AND a.active THEN
            PERFORM billing.record_event(p.organization_id, 'auto_topup.paused', jsonb_build_object(
                'reason', a.paused_reason, 'declines', a.declines, 'payment_id', p.id));
        END IF;
    END IF;
END $$;

-- Whether a card that was declined so will be declined again, or needs its holder: https://docs.stripe.com/declines/codes
CREATE OR REPLACE FUNCTION billing.is_final_decline(p_code text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(p_code = ANY ('{authentication_required,card_not_supported,currency_not_supported,expired_card,
        fraudulent,incorrect_number,invalid_account,invalid_expiry_month,invalid_expiry_year,invalid_number,lost_card,
        merchant_blacklist,new_account_information_available,pickup_card,restricted_card,
        revocation_of_all_authorizations,revocation_of_authorization,stolen_card,stop_payment_order,testmode_decline,
        transaction_not_allowed}'), false)
$$;
