-- Credit grants: their terms, how they come and are voided, and the list. A scheduled grant's credit is in the
-- balance from the settlement at its start on.

-- A grant of an organization that starts now, not yet stored.
CREATE OR REPLACE FUNCTION billing.new_grant(
    o billing.organizations, p_kind billing.grant_kind, p_amount_usd numeric, p_priority int,
    p_expires_at timestamptz, p_cost_basis_usd numeric
) RETURNS billing.credit_grants LANGUAGE plpgsql AS $$
DECLARE
    g billing.credit_grants;
BEGIN
    g.organization_id := o.id;
    g.id := billing.new_id(o.changed_at);
    g.kind := p_kind;
    g.amount_usd := p_amount_usd;
    g.remaining_usd := p_amount_usd;
    g.priority := p_priority;
    g.effective_at := o.changed_at;
    g.expires_at := coalesce(p_expires_at, 'infinity');
    g.cost_basis_usd := p_cost_basis_usd;
    g.frozen_usd := 0;
    g.started := false;
    g.created_at := o.changed_at;
    RETURN g;
END $$;

-- The grant of a schedule that follows one, without a gap. Its id follows from the schedule and the month, so that
-- it cannot be given twice.
-- api helper
CREATE OR REPLACE FUNCTION billing.next_grant(g billing.credit_grants, p_timezone text)
RETURNS billing.credit_grants LANGUAGE plpgsql STABLE AS $$
BEGIN
    g.period := billing.next_month(g.period);
    g.id := encode(substring(sha256(convert_to(concat(g.schedule_id, ' ', g.period), 'UTF8')) FOR 16), 'hex')::uuid;
    g.effective_at := g.expires_at;
    g.expires_at := billing.month_start(billing.next_month(g.period), p_timezone);
    g.created_at := g.effective_at;
    RETURN g;
END $$;

-- The terms of grants, as they enter the hash of the transaction that brings them: arrays of text, in which times
-- are microseconds since 1970-01-01 UTC.
CREATE OR REPLACE FUNCTION billing.grant_terms(p_grants billing.credit_grants[]) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_agg(jsonb_build_array(g.id, g.kind, g.amount_usd::text, g.priority::text,
        billing.version_of(g.effective_at)::text,
        CASE WHEN g.expires_at < 'infinity' THEN billing.version_of(g.expires_at)::text END,
        g.cost_basis_usd::text))
    FROM unnest(p_grants) AS g
$$;

-- The grants as started by a transaction.
CREATE OR REPLACE FUNCTION billing.brought(
    p_grants billing.credit_grants[], t billing.credit_transactions
) RETURNS billing.credit_grants[] LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..cardinality(p_grants) LOOP
        p_grants[i].started := true;
        p_grants[i].transaction_id := t.id;
    END LOOP;
    RETURN p_grants;
END $$;

-- Store grants; one that exists already is left as it is.
CREATE OR REPLACE FUNCTION billing.insert_grants(p_grants billing.credit_grants[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    g billing.credit_grants;
BEGIN
    FOREACH g IN ARRAY coalesce(p_grants, '{}') LOOP
        INSERT INTO billing.credit_grants (organization_id, id, kind, amount_usd, remaining_usd, priority,
            effective_at, expires_at, cost_basis_usd, paid, invoice_id, origin_id, schedule_id, period,
            description, initiated_by, started, transaction_id, voided_at, created_at)
        VALUES (g.organization_id, g.id, g.kind, g.amount_usd, g.remaining_usd, g.priority, g.effective_at,
            g.expires_at, g.cost_basis_usd, g.paid, g.invoice_id, g.origin_id, g.schedule_id, g.period,
            g.description, g.initiated_by, g.started, g.transaction_id, g.voided_at, g.created_at)
        ON CONFLICT (organization_id, id) DO NOTHING;
    END LOOP;
END $$;

-- Add a grant that a transaction brings to the settled organization, and return it with the instant of its next
-- settlement. The grant covers debt first.
CREATE OR REPLACE FUNCTION billing.bring_grant(
    o billing.organizations, g billing.credit_grants, t billing.credit_transactions
) RETURNS billing.organizations LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing.insert_grants(billing.brought(ARRAY[g], t));
    RETURN billing.cover_by_all(o, t.created_at);
END $$;

-- Settle the organization, store the transaction that brings a grant now, with its key, and write the
-- organization back.
CREATE OR REPLACE FUNCTION billing.store_grant(
    o billing.organizations, g billing.credit_grants, p_type billing.transaction_type, p_reference_id text,
    p_key text, p_fingerprint bytea
) RETURNS billing.credit_transactions LANGUAGE plpgsql AS $$
DECLARE
    t billing.credit_transactions;
BEGIN
    o := billing.settle(o, o.changed_at);
    g.effective_at := o.changed_at;
    g.created_at := o.changed_at;
    t := billing.next_transaction(o, p_type, g.amount_usd, g.description, p_reference_id, g.initiated_by,
        p_grants => billing.grant_terms(ARRAY[g]));
    -- The transaction has the personal fields.
    IF g.schedule_id IS NULL THEN
        g.description := NULL;
        g.initiated_by := NULL;
    END IF;
    o := billing.bring_grant(o, g, t);
    PERFORM billing.store_transaction(
        o, t, coalesce(p_key, billing.own_key('grant', t.id)), coalesce(p_fingerprint, t.hash));
    RETURN t;
END $$;

-- Give promotional credit, now or at p_effective_at, once or from then on in each local month, with which it
-- expires.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.create_grant(
    p_tenant text, p_organization_id uuid, p_key text, p_fingerprint bytea, p_amount_usd numeric,
    p_priority int, p_effective_at timestamptz, p_expires_at timestamptz, p_every text, p_description text,
    p_initiated_by text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    g billing.credit_grants;
    v_settled json;
BEGIN
    v_settled := billing.settled(o, p_key, p_fingerprint);
    IF v_settled IS NOT NULL THEN
        RETURN v_settled;
    END IF;
    g := billing.new_grant(o, 'promotional', p_amount_usd, p_priority, p_expires_at, 0);
    g.effective_at := greatest(p_effective_at, o.changed_at);
    g.description := p_description;
    g.initiated_by := p_initiated_by;
    IF p_every = 'month' THEN
        g.schedule_id := g.id;
        g.period := to_char(g.effective_at AT TIME ZONE o.timezone, 'YYYY-MM');
        g.expires_at := billing.month_start(billing.next_month(g.period), o.timezone);
    END IF;
    IF g.expires_at <= g.effective_at THEN
        RETURN billing.outcome('ended_grant');
    END IF;
    IF g.effective_at > o.changed_at THEN
        PERFORM billing.insert_grants(ARRAY[g]);
        o.settle_at := least(o.settle_at, g.effective_at);
        PERFORM billing.save_organization(o);
    ELSE
        IF g.schedule_id IS NOT NULL THEN
            PERFORM billing.insert_grants(ARRAY[billing.next_grant(g, o.timezone)]);
        END IF;
        PERFORM billing.store_grant(o, g, 'grant', NULL, NULL, NULL);
    END IF;
    INSERT INTO billing.idempotency (organization_id, key, fingerprint, result_type, result_id, created_at)
    VALUES (o.id, p_key, p_fingerprint, 'grant', g.id, g.created_at);
    RETURN billing.outcome('created', billing.first_grant_json(o.id, g.id));
END $$;

-- Take back what is left of a grant; what live holds need of it leaves when they end. A scheduled grant does not
-- start, and none of its schedule follows it.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.void_grant(
    p_tenant text, p_organization_id uuid, p_grant_id uuid, p_key text, p_fingerprint bytea, p_initiated_by text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    g billing.credit_grants;
    t billing.credit_transactions;
    v_settled json;
    v_taken_usd numeric := 0;
BEGIN
    v_settled := billing.settled(o, p_key, p_fingerprint);
    IF v_settled IS NOT NULL THEN
        RETURN v_settled;
    END IF;
    o := billing.settle(o, o.changed_at);
    SELECT * INTO g FROM billing.credit_grants WHERE organization_id = o.id AND id = p_grant_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('grant_not_found');
    ELSIF g.voided_at IS NOT NULL OR g.expires_at <= o.changed_at THEN
        RETURN billing.invalid_state(format('Grant %s is already %s.', g.id,
            CASE WHEN g.voided_at IS NULL THEN 'expired' ELSE 'voided' END));
    ELSIF g.frozen_usd > 0 THEN
        RETURN billing.invalid_state(format('A dispute or a refund of its payment freezes grant %s.', g.id));
    END IF;
    o := billing.expire_holds(o);
    IF g.started THEN
        v_taken_usd := g.remaining_usd - billing.needed_by_holds(g.remaining_usd, o.held_usd,
            o.balance_usd + billing.debt_usd(o.id) - g.remaining_usd, o.credit_limit_usd - billing.debt_usd(o.id));
    END IF;
    UPDATE billing.credit_grants SET voided_at = o.changed_at,
        remaining_usd = CASE WHEN started THEN remaining_usd - v_taken_usd ELSE 0 END
    WHERE organization_id = o.id AND id = g.id;
    t := billing.next_transaction(o, 'void', -v_taken_usd, NULL, NULL, p_initiated_by, p_grant_id => g.id);
    o.settle_at := billing.next_settlement(billing.open_grants(o, o.changed_at), o.changed_at);
    o.floor_usd := least(o.floor_usd, o.balance_usd - o.held_usd - v_taken_usd);
    PERFORM billing.store_transaction(o, t, p_key, p_fingerprint);
    RETURN billing.outcome('created', billing.transaction_json(t));
END $$;

-- api helper
CREATE OR REPLACE FUNCTION billing.grant_status(g billing.credit_grants, p_at timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN g.voided_at IS NOT NULL THEN 'voided'
        WHEN NOT g.started THEN 'scheduled'
        WHEN g.expires_at <= p_at THEN 'expired'
        WHEN g.remaining_usd = 0 THEN 'depleted'
        ELSE 'active' END
$$;

-- A grant as it is at an instant.
-- api helper
CREATE OR REPLACE FUNCTION billing.grant_json(g billing.credit_grants, p_at timestamptz) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', g.id,
        'organization_id', g.organization_id,
        'kind', g.kind,
        'status', billing.grant_status(g, p_at),
        'amount_usd', g.amount_usd::text,
        'remaining_usd', g.remaining_usd::text,
        'frozen_usd', g.frozen_usd::text,
        'priority', g.priority,
        'effective_at', g.effective_at,
        'expires_at', nullif(g.expires_at, 'infinity'),
        'cost_basis_usd', g.cost_basis_usd::text,
        'paid', g.paid,
        'origin_id', g.origin_id,
        'schedule_id', g.schedule_id,
        'transaction_id', g.transaction_id,
        'created_at', g.created_at
    )
$$;

-- A grant as it is stored, with its personal fields: as of the newest settlement.
CREATE OR REPLACE FUNCTION billing.credit_grant_json(g billing.credit_grants) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT (billing.grant_json(g, billing.now())::jsonb || jsonb_build_object(
        'description', g.description, 'initiated_by', g.initiated_by))::json
$$;

-- A grant as it was when it was created: what debt it covered then is stored.
CREATE OR REPLACE FUNCTION billing.first_grant_json(p_organization_id uuid, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    g billing.credit_grants;
BEGIN
    SELECT * INTO STRICT g FROM billing.credit_grants WHERE organization_id = p_organization_id AND id = p_id;
    g.voided_at := NULL;
    g.frozen_usd := 0;
    IF g.effective_at > g.created_at THEN
        g.started := false;
        g.transaction_id := NULL;
    END IF;
    g.remaining_usd := g.amount_usd - coalesce((
        SELECT sum(to_usd - from_usd) FROM billing.allocations
        WHERE organization_id = g.organization_id AND grant_id = g.id AND covered_at = g.created_at), 0);
    RETURN billing.grant_json(g, g.created_at);
END $$;

-- List grants as they are now, newest first, before an instant (exclusive): the first p_limit with a status among
-- the newest p_scan, and the time that the page reached, NULL at the end. Those of one instant come on one page.
-- api
CREATE OR REPLACE FUNCTION billing.grants(
    p_tenant text, p_organization_id uuid, p_status text, p_before timestamptz, p_since timestamptz, p_limit int,
    p_scan int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
    v_now timestamptz := billing.now();
    v_settled billing.credit_grants[];
    v_value json;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    v_settled := (billing.settled_credit(o, v_now)).grants;
    v_now := greatest(v_now, o.changed_at);
    WITH settled AS (
        SELECT g FROM unnest(v_settled) AS g
    ), scanned AS MATERIALIZED (
        SELECT coalesce(s.g, c.g) AS g FROM (
            SELECT ROW(r.*)::billing.credit_grants AS g FROM billing.credit_grants AS r
            WHERE organization_id = o.id
                AND created_at < coalesce(p_before, 'infinity') AND created_at >= coalesce(p_since, '-infinity')
            ORDER BY CASE WHEN p_since IS NULL THEN created_at END DESC, created_at
            FETCH FIRST p_scan ROWS WITH TIES
        ) AS c FULL JOIN settled AS s ON (s.g).id = (c.g).id
        CROSS JOIN LATERAL (SELECT (coalesce(s.g, c.g)).created_at) AS made
        WHERE made.created_at < coalesce(p_before, 'infinity') AND made.created_at >= coalesce(p_since, '-infinity')
        ORDER BY CASE WHEN p_since IS NULL THEN made.created_at END DESC, made.created_at
        FETCH FIRST p_scan ROWS WITH TIES
    ), found AS (
        SELECT g FROM scanned WHERE p_status IS NULL OR billing.grant_status(g, v_now) = p_status
        ORDER BY CASE WHEN p_since IS NULL THEN (g).created_at END DESC, (g).created_at
        FETCH FIRST p_limit ROWS WITH TIES
    )
    SELECT json_build_object(
        'items', (SELECT coalesce(json_agg(billing.grant_json(g, v_now) ORDER BY (g).created_at DESC, (g).id DESC), '[]') FROM found),
        'reached', coalesce(
            (SELECT CASE WHEN p_since IS NULL THEN min((g).created_at) ELSE max((g).created_at) END FROM found
                HAVING count(*) >= p_limit AND CASE WHEN p_since IS NULL
                    THEN min((g).created_at) > (SELECT min((g).created_at) FROM scanned)
                    ELSE max((g).created_at) < (SELECT max((g).created_at) FROM scanned) END),
            (SELECT CASE WHEN p_since IS NULL THEN min((g).created_at) ELSE max((g).created_at) END FROM scanned
                HAVING count(*) >= p_scan)))
    INTO v_value;
    RETURN billing.outcome('found', v_value);
END $$;

-- The grants that name a person or say what for, of all or of one initiator; NULL when there are none.
CREATE OR REPLACE FUNCTION billing.personal_grants(p_organization_id uuid, p_initiated_by text) RETURNS uuid[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT array_agg(id) FROM billing.credit_grants
        WHERE organization_id = p_organization_id AND num_nonnulls(description, initiated_by) > 0
            AND (p_initiated_by IS NULL OR initiated_by = p_initiated_by));
END $$;

-- Empty the personal fields of grants. Callers hold the organization's row lock.
CREATE OR REPLACE FUNCTION billing.erase_grants(p_organization_id uuid, p_initiated_by text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE billing.credit_grants SET description = NULL, initiated_by = NULL
    WHERE organization_id = p_organization_id
        AND id = ANY (billing.personal_grants(p_organization_id, p_initiated_by));
END $$;
