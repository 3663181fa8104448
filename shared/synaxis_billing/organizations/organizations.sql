-- The organization's row: every change locks it, advances its clock and writes it back. The clock
-- (changed_at) never repeats an instant, so rows of one organization are ordered by time.

-- Set the tenant of this transaction, also for what it does on other nodes of a cluster; set_config() sets it
-- here alone, and is quicker. A cluster begins no transaction on them for SELECT INTO: the first statement after
-- this has a subquery, or changes something.
-- api helper
CREATE OR REPLACE FUNCTION billing.set_tenant(p_tenant text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL billing.tenant TO %L', p_tenant);
END $$;

-- Whether this is a cluster, whose organizations live on several nodes.
-- api helper
CREATE OR REPLACE FUNCTION billing.is_distributed() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL
$$;

-- Lock the organization for this transaction and advance its clock; NULL when the tenant has none of
-- that id. From here on the transaction sees this organization alone, also for the platform's own machine.
CREATE OR REPLACE FUNCTION billing.lock_organization(p_tenant text, p_organization_id uuid)
RETURNS billing.organizations LANGUAGE plpgsql AS $$
DECLARE
    v_tenant text := set_config('billing.tenant',
        CASE p_tenant WHEN '*' THEN p_organization_id::text ELSE p_tenant END, true);
    o billing.organizations;
BEGIN
    IF billing.take_place(p_organization_id) IS NULL THEN
        RAISE EXCEPTION 'organization % has too many calls under way', p_organization_id
            USING ERRCODE = 'SB429';
    END IF;
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id FOR NO KEY UPDATE;
    IF FOUND THEN
        o := billing.advance_clock(o);
    END IF;
    RETURN o;
END $$;

-- The next instant of an organization's clock.
CREATE OR REPLACE FUNCTION billing.next_instant(p_changed_at timestamptz, p_now timestamptz) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN greatest(p_now, p_changed_at + interval '1 microsecond'); END $$;

-- The organization with changed_at at the next instant, and the day that the instant is in; its grants that start
-- or end until then are settled.
CREATE OR REPLACE FUNCTION billing.advance_clock(o billing.organizations)
RETURNS billing.organizations LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := billing.next_instant(o.changed_at, billing.now());
BEGIN
    WHILE o.settle_at <= v_now LOOP
        o := billing.settle(o, v_now);
        v_now := billing.next_instant(o.changed_at, v_now);
        -- What waits for holds is settled as far as it can be.
        EXIT WHEN o.settle_at = '-infinity';
    END LOOP;
    o.changed_at := v_now;
    IF o.changed_at >= o.day_end THEN
        o.day_start := billing.day_start((o.changed_at AT TIME ZONE o.timezone)::date, o.timezone);
        o.day_end := billing.day_start((o.changed_at AT TIME ZONE o.timezone)::date + 1, o.timezone);
    END IF;
    RETURN o;
END $$;

-- Write the locked organization back, and record when its balance falls below the threshold, whichever of
-- them moved.
CREATE OR REPLACE FUNCTION billing.save_organization(o billing.organizations) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_became_low boolean;
BEGIN
    o.fast_until := CASE o.status WHEN 'active' THEN least(o.day_end, o.settle_at) ELSE '-infinity' END;
    UPDATE billing.organizations SET
        external_id = o.external_id,
        name = o.name,
        email = o.email,
        status = o.status,
        billing_currency = o.billing_currency,
        timezone = o.timezone,
        region = o.region,
        low_balance_threshold_usd = o.low_balance_threshold_usd,
        runs_out_alert_days = o.runs_out_alert_days,
        tax = o.tax,
        address = o.address,
        buyer_reference = o.buyer_reference,
        locale = o.locale,
        payment_terms_days = o.payment_terms_days,
        credit_limit_usd = o.credit_limit_usd,
        price_multiplier = o.price_multiplier,
        balance_usd = o.balance_usd,
        held_usd = o.held_usd,
        drawn_usd = o.drawn_usd,
        -- New credit raises the floor again, never above zero.
        floor_usd = least(0, greatest(o.floor_usd, o.balance_usd - o.held_usd)),
        exhausted_at = CASE WHEN o.balance_usd > balance_usd OR o.credit_limit_usd > credit_limit_usd THEN NULL
            ELSE exhausted_at END,
        version = o.version,
        head_hash = o.head_hash,
        changed_at = o.changed_at,
        day_start = o.day_start,
        day_end = o.day_end,
        settle_at = o.settle_at,
        budgeted = o.budgeted,
        fast_until = o.fast_until
    WHERE id = o.id
    RETURNING new.balance_usd < new.low_balance_threshold_usd
        AND (old.balance_usd < old.low_balance_threshold_usd) IS NOT TRUE INTO v_became_low;
    IF v_became_low THEN
        PERFORM billing.balance_low(o.id, o.balance_usd, o.low_balance_threshold_usd, o.version);
    END IF;
END $$;
