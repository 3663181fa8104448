-- The profile of an organization. Each change invalidates the cached profile and everything computed by
-- its time zone.

-- api helper
CREATE OR REPLACE FUNCTION billing.organization_json(o billing.organizations) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', o.id,
        'external_id', o.external_id,
        'name', o.name,
        'email', o.email,
        'status', o.status,
        'billing_currency', o.billing_currency,
        'timezone', o.timezone,
        'region', o.region,
        'credit_limit_usd', o.credit_limit_usd::text,
        'low_balance_threshold_usd', o.low_balance_threshold_usd::text,
        'runs_out_alert_days', o.runs_out_alert_days,
        'tax', o.tax,
        'address', o.address,
        'buyer_reference', o.buyer_reference,
        'locale', o.locale,
        'payment_terms_days', o.payment_terms_days,
        'price_multiplier', o.price_multiplier::text,
        'created_at', o.created_at,
        'version', billing.version_of(o.changed_at)
    )
$$;

-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.create_organization(
    p_tenant text, p_organization_id uuid, p_profile jsonb
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    p billing.organizations := jsonb_populate_record(NULL::billing.organizations, p_profile);
    o billing.organizations;
BEGIN
    -- The external ids are on another node.
    PERFORM billing.set_tenant(p_tenant);
    IF NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = p.timezone) THEN
        RETURN billing.outcome('unknown_timezone');
    END IF;
    BEGIN
        INSERT INTO billing.organizations
            (id, external_id, name, email, billing_currency, timezone, region, low_balance_threshold_usd,
            runs_out_alert_days, tax, address, buyer_reference, locale, payment_terms_days, credit_limit_usd,
            price_multiplier)
        VALUES (p_organization_id, p.external_id, p.name, p.email, p.billing_currency, p.timezone,
            p.region, p.low_balance_threshold_usd, p.runs_out_alert_days, p.tax, p.address,
            p.buyer_reference, p.locale, p.payment_terms_days, p.credit_limit_usd, p.price_multiplier)
        RETURNING * INTO o;
        IF o.external_id IS NOT NULL THEN
            INSERT INTO billing.external_ids (external_id, organization_id) VALUES (o.external_id, o.id);
        END IF;
    EXCEPTION WHEN unique_violation THEN
        RETURN billing.outcome(CASE WHEN o.id IS NULL THEN 'organization_exists' ELSE 'external_id_exists' END);
    END;
    PERFORM billing.profile_changed(o);
    RETURN billing.outcome('created', billing.organization_json(o));
END $$;

-- Give the organization an external id in place of an old one; false when another organization has it.
CREATE OR REPLACE FUNCTION billing.claim_external_id(p_organization_id uuid, p_old text, p_new text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF p_new IS NOT DISTINCT FROM p_old THEN
        RETURN true;
    END IF;
    PERFORM billing.set_tenant(p_organization_id::text);
    IF p_new IS NOT NULL THEN
        INSERT INTO billing.external_ids (external_id, organization_id) VALUES (p_new, p_organization_id)
        ON CONFLICT (external_id) DO NOTHING;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
    END IF;
    DELETE FROM billing.external_ids WHERE external_id = p_old AND organization_id = p_organization_id;
    RETURN true;
END $$;

-- Whether o becomes p by changes of what is the organization's own to decide: its addresses, reference, tax id and alerts.
CREATE OR REPLACE FUNCTION billing.changes_settings_only(o billing.organizations, p billing.organizations)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    -- A tax that names no category is of the standard one.
    c_tax CONSTANT jsonb := '{"category": "standard"}';
BEGIN
    IF (c_tax || (o.tax - 'tax_id')) IS DISTINCT FROM (c_tax || (p.tax - 'tax_id')) THEN
        RETURN false;
    END IF;
    p.address := o.address;
    p.buyer_reference := o.buyer_reference;
    p.email := o.email;
    p.tax := o.tax;
    p.low_balance_threshold_usd := o.low_balance_threshold_usd;
    p.runs_out_alert_days := o.runs_out_alert_days;
    RETURN p IS NOT DISTINCT FROM o;
END $$;

-- Change the fields that p_profile contains; p_settings_only refuses what the platform decides. A new time zone cuts the open day's buckets, so that each
-- bucket lies within one local day of the time zone that counted it. A lower credit limit takes nothing back.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.update_organization(
    p_tenant text, p_organization_id uuid, p_profile jsonb, p_settings_only boolean
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    p billing.organizations;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    p := jsonb_populate_record(o, p_profile);
    IF p_settings_only AND NOT billing.changes_settings_only(o, p) THEN
        RETURN billing.outcome('forbidden');
    END IF;
    IF p.timezone <> o.timezone THEN
        IF NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = p.timezone) THEN
            RETURN billing.outcome('unknown_timezone');
        END IF;
        UPDATE billing.spend_rollups SET bucket_end = p.changed_at
        WHERE organization_id = o.id AND bucket_start = o.day_start AND bucket_end > p.changed_at;
        p.day_start := p.changed_at;
        p.day_end := billing.day_start((p.changed_at AT TIME ZONE p.timezone)::date + 1, p.timezone);
        PERFORM billing.recount_budgets(p);
    END IF;
    IF NOT billing.claim_external_id(o.id, o.external_id, p.external_id) THEN
        RETURN billing.outcome('external_id_exists');
    END IF;
    p.floor_usd := least(p.floor_usd, p.balance_usd - p.held_usd);
    PERFORM billing.save_organization(p);
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
