-- Settlement: what was drawn since the last one becomes allocations to grants, or debt; then grants that are due
-- start and end. Between two settlements the set of usable grants does not change, so the outcome is that of
-- burning each charge at once. It costs as much as there are open grants, whatever the number of charges.
-- Readers compute the settled credit by the same function, and write nothing.

-- The credit of an organization, settled up to an instant; p_grants are its open_grants(). Steps come in the order of their instants. A hold is
-- live by the clock (p_clock), which changed_at may be ahead of. STABLE for the time zones alone.
-- api helper
CREATE OR REPLACE FUNCTION billing.settle_grants(
    o billing.organizations, p_grants billing.credit_grants[], p_settled_usd numeric, p_debt_usd numeric,
    p_invoiced_usd numeric, p_held billing.held_credit[], p_clock timestamptz, p_until timestamptz
) RETURNS billing.settlement LANGUAGE plpgsql STABLE AS $$
DECLARE
    s billing.settlement;
    v_part record;
    v_due record;
    v_at timestamptz;
    -- The positions of ended grants that still have credit.
    v_ended int[] := '{}';
    v_usd numeric;
BEGIN
    s.grants := p_grants;
    s.debt_usd := p_debt_usd;
    s.invoiced_usd := p_invoiced_usd;
    s.balance_usd := o.balance_usd;
    FOR v_part IN SELECT * FROM billing.burn_down(s.grants, p_settled_usd, o.drawn_usd) LOOP
        v_usd := v_part.to_usd - v_part.from_usd;
        IF v_part.ordinal IS NULL THEN
            s.debt_usd := s.debt_usd + v_usd;
        ELSE
            s.grants[v_part.ordinal].remaining_usd := s.grants[v_part.ordinal].remaining_usd - v_usd;
        END IF;
    END LOOP;
    FOR v_due IN SELECT * FROM billing.due(s.grants, p_held, p_clock, p_until) LOOP
        -- What has ended leaves when all that starts at the same instant has started.
        IF v_at < v_due.at AND v_ended <> '{}' THEN
            s := billing.end_grants(s, v_ended, billing.held_at(p_held, least(v_at, p_clock)),
                o.credit_limit_usd, v_at);
            v_ended := ARRAY(SELECT i FROM unnest(v_ended) AS i WHERE s.grants[i].remaining_usd > 0);
        END IF;
        v_at := v_due.at;
        IF v_due.starts THEN
            s := billing.start_grant(s, v_due.ordinal, v_at);
        ELSIF v_due.ordinal IS NOT NULL THEN
            v_ended := v_ended || v_due.ordinal;
        END IF;
    END LOOP;
    RETURN s;
END $$;

-- A scheduled grant starts, and covers debt that is on no invoice first.
-- api helper
CREATE OR REPLACE FUNCTION billing.start_grant(s billing.settlement, p_ordinal int, p_at timestamptz)
RETURNS billing.settlement LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    g billing.credit_grants := s.grants[p_ordinal];
    v_covered_usd numeric := least(s.debt_usd - s.invoiced_usd, g.amount_usd);
BEGIN
    s.steps := s.steps || (p_at, 'grant', g.id, g.amount_usd, v_covered_usd)::billing.settlement_step;
    s.debt_usd := s.debt_usd - v_covered_usd;
    s.balance_usd := s.balance_usd + g.amount_usd;
    s.grants[p_ordinal].started := true;
    s.grants[p_ordinal].remaining_usd := g.amount_usd - v_covered_usd;
    RETURN s;
END $$;

-- The credit of ended grants leaves, but for what holds need.
-- api helper
CREATE OR REPLACE FUNCTION billing.end_grants(
    s billing.settlement, p_ended int[], p_held_usd numeric, p_credit_limit_usd numeric, p_at timestamptz
) RETURNS billing.settlement LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    g billing.credit_grants;
    v_usd numeric;
    i int;
BEGIN
    FOREACH i IN ARRAY p_ended LOOP
        g := s.grants[i];
        v_usd := g.remaining_usd - billing.needed_by_holds(g.remaining_usd, p_held_usd,
            s.balance_usd + s.debt_usd - g.remaining_usd - billing.frozen_usd(s.grants), p_credit_limit_usd - s.debt_usd);
        IF v_usd > 0 THEN
            s.steps := s.steps || (p_at, CASE WHEN g.voided_at IS NULL THEN 'expiry' ELSE 'void' END,
                g.id, v_usd, 0)::billing.settlement_step;
            s.balance_usd := s.balance_usd - v_usd;
            s.grants[i].remaining_usd := g.remaining_usd - v_usd;
        END IF;
    END LOOP;
    RETURN s;
END $$;

-- The instants up to p_until at which a grant starts or ends or a hold ends, and p_until itself, each with the
-- grant's position; then one that is later than all.
-- api helper
CREATE OR REPLACE FUNCTION billing.due(
    p_grants billing.credit_grants[], p_held billing.held_credit[], p_clock timestamptz, p_until timestamptz
) RETURNS TABLE (at timestamptz, starts boolean, ordinal int) LANGUAGE sql STABLE AS $$
    SELECT * FROM (
        SELECT g.effective_at, true, g.ordinality::int
        FROM unnest(p_grants) WITH ORDINALITY AS g WHERE NOT g.started AND g.effective_at <= p_until
        UNION ALL
        SELECT least(g.expires_at, g.voided_at), false, g.ordinality::int
        FROM unnest(p_grants) WITH ORDINALITY AS g
        WHERE g.remaining_usd > 0 AND least(g.expires_at, g.voided_at) <= p_until
        UNION ALL
        SELECT h.expires_at, false, NULL FROM unnest(p_held) AS h WHERE h.expires_at <= least(p_clock, p_until)
        UNION ALL
        SELECT i, false, NULL FROM unnest(ARRAY[p_until, 'infinity']) AS i
    ) AS due (at, starts, ordinal)
    ORDER BY due.at, NOT due.starts, due.ordinal
$$;

-- api helper
CREATE OR REPLACE FUNCTION billing.held_at(p_held billing.held_credit[], p_instant timestamptz) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(sum(h.amount_usd), 0) FROM unnest(p_held) AS h WHERE h.expires_at > p_instant
$$;

-- The open grants, in burn-down order, as they were settled last; of each schedule also the grants that follow
-- until one starts after p_until.
-- api helper
CREATE OR REPLACE FUNCTION billing.open_grants(o billing.organizations, p_until timestamptz)
RETURNS billing.credit_grants[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_open billing.credit_grants[] := ARRAY(
        SELECT ROW(c.*)::billing.credit_grants FROM billing.credit_grants AS c
        WHERE organization_id = o.id AND remaining_usd > 0);
    g billing.credit_grants;
BEGIN
    FOREACH g IN ARRAY v_open LOOP
        WHILE g.schedule_id IS NOT NULL AND NOT g.started AND g.effective_at <= p_until LOOP
            g := billing.next_grant(g, o.timezone);
            v_open := v_open || g;
        END LOOP;
    END LOOP;
    RETURN billing.in_burn_down_order(v_open);
END $$;

-- The credit of each open hold, with the instant at which it ends.
-- api helper
CREATE OR REPLACE FUNCTION billing.held_credit_of(p_organization_id uuid) RETURNS billing.held_credit[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT array_agg((amount_usd, expires_at)::billing.held_credit) FROM billing.holds
        WHERE organization_id = p_organization_id AND status = 'held');
END $$;

-- The credit now, as a settlement would leave it. Writes nothing.
-- api helper
CREATE OR REPLACE FUNCTION billing.settled_credit(o billing.organizations, p_now timestamptz)
RETURNS billing.settlement LANGUAGE sql STABLE AS $$
    SELECT billing.settle_grants(o, billing.open_grants(o, greatest(p_now, o.changed_at)),
        billing.settled_usd(o.id), billing.debt_usd(o.id), billing.invoiced_usd(o.id), billing.held_credit_of(o.id), p_now,
        greatest(p_now, o.changed_at))
$$;

-- Settle the locked organization up to an instant, and return it. What starts or ends is written whole, with its
-- transactions, which have the instant of their cause; without that, the caller writes the organization.
CREATE OR REPLACE FUNCTION billing.settle(o billing.organizations, p_until timestamptz)
RETURNS billing.organizations LANGUAGE plpgsql AS $$
DECLARE
    v_open billing.credit_grants[] := billing.open_grants(o, p_until);
    v_settled_usd numeric := billing.settled_usd(o.id);
    s billing.settlement;
BEGIN
    s := billing.settle_grants(o, v_open, v_settled_usd, billing.debt_usd(o.id),
        billing.invoiced_usd(o.id), billing.held_credit_of(o.id), billing.now(), p_until);
    INSERT INTO billing.allocations (organization_id, from_usd, to_usd, grant_id)
    SELECT o.id, b.from_usd, b.to_usd, b.grant_id FROM billing.burn_down(v_open, v_settled_usd, o.drawn_usd) AS b;
    PERFORM billing.insert_grants(ARRAY(
        SELECT g FROM unnest(v_open) AS g WHERE g.schedule_id IS NOT NULL AND NOT g.started));
    IF s.steps IS NOT NULL THEN
        o := billing.expire_holds(billing.take_steps(o, s));
        o.floor_usd := least(o.floor_usd, o.balance_usd - o.held_usd);
    END IF;
    UPDATE billing.credit_grants AS c SET remaining_usd = g.remaining_usd
    FROM unnest(s.grants) AS g
    WHERE c.organization_id = o.id AND c.id = g.id AND c.remaining_usd <> g.remaining_usd;
    o.settle_at := billing.next_settlement(s.grants, p_until);
    PERFORM billing.save_organization(o) WHERE s.steps IS NOT NULL;
    RETURN o;
END $$;

-- Write the steps of a settlement: a transaction each, under a key of its own, and the debt that each new grant
-- covers.
CREATE OR REPLACE FUNCTION billing.take_steps(o billing.organizations, s billing.settlement)
RETURNS billing.organizations LANGUAGE plpgsql AS $$
DECLARE
    v_step billing.settlement_step;
    g billing.credit_grants;
    t billing.credit_transactions;
    v_transactions billing.credit_transactions[];
BEGIN
    FOREACH v_step IN ARRAY s.steps LOOP
        SELECT * INTO STRICT g FROM billing.credit_grants
        WHERE organization_id = o.id AND id = v_step.grant_id;
        o.changed_at := greatest(v_step.at, o.changed_at + interval '1 microsecond');
        IF v_step.type = 'grant' THEN
            t := billing.next_transaction(o, 'grant', v_step.amount_usd, g.description, NULL, g.initiated_by,
                p_grants => billing.grant_terms(ARRAY[g]));
            UPDATE billing.credit_grants SET started = true, transaction_id = t.id
            WHERE organization_id = o.id AND id = g.id;
            PERFORM billing.cover_debt(o.id, g.id, v_step.covered_usd, t.created_at);
        ELSE
            t := billing.next_transaction(o, v_step.type, -v_step.amount_usd, NULL, NULL, NULL,
                p_grant_id => g.id);
            PERFORM billing.record_event(o.id, 'grant.expired', billing.grant_event_json(g)
                || jsonb_build_object('expired_usd', v_step.amount_usd::text, 'transaction_id', t.id))
            WHERE v_step.type = 'expiry';
        END IF;
        v_transactions := v_transactions || t;
        o := billing.after(o, t);
    END LOOP;
    PERFORM billing.store_transactions(v_transactions);
    INSERT INTO billing.idempotency (organization_id, key, fingerprint, result_type, result_id, created_at)
    SELECT o.id, billing.own_key(n.transaction_type::text, n.id), n.hash, 'transaction', n.id, n.created_at
    FROM unnest(v_transactions) AS n;
    RETURN o;
END $$;

-- The next instant at which the settled grants change; -infinity while an ended one still has credit, which
-- waits for holds.
CREATE OR REPLACE FUNCTION billing.next_settlement(p_grants billing.credit_grants[], p_settled_at timestamptz)
RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(min(CASE WHEN NOT g.started THEN g.effective_at
        WHEN least(g.expires_at, g.voided_at) <= p_settled_at THEN '-infinity' ELSE g.expires_at END), 'infinity')
    FROM unnest(p_grants) AS g WHERE g.remaining_usd > 0
$$;
