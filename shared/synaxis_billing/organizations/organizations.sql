-- The organization's row: every change locks it, advances its clock and writes it back. The clock
-- (changed_at) never repeats an instant, so rows of one organization are ordered by time.

-- Lock the organization for this transaction and advance its clock; NULL when the tenant has none of
-- that id.
CREATE OR REPLACE FUNCTION billing.lock_organization(p_tenant text, p_organization_id uuid)
RETURNS billing.organizations LANGUAGE plpgsql AS $$
DECLARE
    v_tenant text := set_config('billing.tenant', p_tenant, true);
    o billing.organizations;
BEGIN
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id FOR NO KEY UPDATE;
    IF FOUND THEN
        o := billing.advance_clock(o);
    END IF;
    RETURN o;
END $$;

-- The organization with changed_at at the next instant, and the day that the instant is in.
CREATE OR REPLACE FUNCTION billing.advance_clock(o billing.organizations)
RETURNS billing.organizations LANGUAGE plpgsql AS $$
BEGIN
    o.changed_at := greatest(billing.now(), o.changed_at + interval '1 microsecond');
    IF o.changed_at >= o.day_end THEN
        o.day_start := billing.day_start((o.changed_at AT TIME ZONE o.timezone)::date, o.timezone);
        o.day_end := billing.day_start((o.changed_at AT TIME ZONE o.timezone)::date + 1, o.timezone);
    END IF;
    RETURN o;
END $$;

-- Write the locked organization back.
CREATE OR REPLACE FUNCTION billing.save_organization(o billing.organizations) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE billing.organizations SET
        balance_usd = o.balance_usd,
        held_usd = o.held_usd,
        -- New credit raises the floor again, never above zero.
        floor_usd = least(0, greatest(o.floor_usd, o.balance_usd - o.held_usd)),
        version = o.version,
        head_hash = o.head_hash,
        changed_at = o.changed_at,
        day_start = o.day_start,
        day_end = o.day_end
    WHERE id = o.id;
END $$;
