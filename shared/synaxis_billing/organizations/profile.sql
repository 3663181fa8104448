-- The profile of an organization. Each change invalidates the cached profile and everything computed by
-- its time zone.

-- api helper
CREATE OR REPLACE FUNCTION billing.organization_json(o billing.organizations) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', o.id,
        'name', o.name,
        'billing_currency', o.billing_currency,
        'timezone', o.timezone,
        'region', o.region,
        'low_balance_threshold_usd', o.low_balance_threshold_usd::text,
        'tax', o.tax,
        'address', o.address,
        'locale', o.locale,
        'payment_terms_days', o.payment_terms_days,
        'price_multiplier', o.price_multiplier::text,
        'created_at', o.created_at,
        'version', billing.version_of(o.changed_at)
    )
$$;

-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.create_organization(p_tenant text, p_profile jsonb) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    p billing.organizations := jsonb_populate_record(NULL::billing.organizations, p_profile);
    o billing.organizations;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = p.timezone) THEN
        RETURN billing.outcome('unknown_timezone');
    END IF;
    INSERT INTO billing.organizations
        (id, name, billing_currency, timezone, region, low_balance_threshold_usd, tax, address, locale,
        payment_terms_days, price_multiplier)
    VALUES (coalesce(p.id, uuidv7()), p.name, p.billing_currency, p.timezone, p.region,
        p.low_balance_threshold_usd, p.tax, p.address, p.locale, p.payment_terms_days,
        p.price_multiplier)
    ON CONFLICT (id) DO NOTHING
    RETURNING * INTO o;
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_exists');
    END IF;
    PERFORM billing.profile_changed(o);
    RETURN billing.outcome('created', billing.organization_json(o));
END $$;

-- Change the fields that p_profile contains. A new time zone cuts the open day's buckets, so that each
-- bucket lies within one local day of the time zone that counted it.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.update_organization(
    p_tenant text, p_organization_id uuid, p_profile jsonb
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    p billing.organizations;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    p := jsonb_populate_record(o, p_profile);
    IF p.timezone <> o.timezone THEN
        IF NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = p.timezone) THEN
            RETURN billing.outcome('unknown_timezone');
        END IF;
        UPDATE billing.spend_rollups SET bucket_end = p.changed_at
        WHERE organization_id = o.id AND bucket_start = o.day_start AND bucket_end > p.changed_at;
        p.day_start := p.changed_at;
        p.day_end := billing.day_start((p.changed_at AT TIME ZONE p.timezone)::date + 1, p.timezone);
    END IF;
    UPDATE billing.organizations SET
        name = p.name,
        billing_currency = p.billing_currency,
        timezone = p.timezone,
        region = p.region,
        low_balance_threshold_usd = p.low_balance_threshold_usd,
        tax = p.tax,
        address = p.address,
        locale = p.locale,
        payment_terms_days = p.payment_terms_days,
        price_multiplier = p.price_multiplier,
        changed_at = p.changed_at,
        day_start = p.day_start,
        day_end = p.day_end
    WHERE id = o.id;
    PERFORM billing.profile_changed(p);
    RETURN billing.outcome('found', billing.organization_json(p));
END $$;

-- api
CREATE OR REPLACE FUNCTION billing.organization(p_tenant text, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', billing.organization_json(o));
END $$;

-- Invalidate the cached profile and the values computed by its time zone.
CREATE OR REPLACE FUNCTION billing.profile_changed(o billing.organizations) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO billing.invalidations (tenant, keys, tags, version)
    VALUES (o.id, ARRAY['organization'], ARRAY['profile'], billing.version_of(o.changed_at))
$$;
