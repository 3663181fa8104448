-- Export and erasure of personal data. An erasure empties personal fields, never amounts; the hash chain
-- stays valid, and each erasure leaves a record.

-- Empty the personal fields of an organization's transactions and holds, of all or of one initiator, for the
-- newest p_limit of either before p_before. The charge that captured a hold is emptied with the hold, since
-- it copies the hold's fields; their rows are locked together, so no capture comes in between. Returns the
-- time that it reached, NULL at the end. It waits for no change but another erasure: it skips locked rows
-- and answers busy, and the caller repeats the call.
-- api as synaxis_eraser
CREATE OR REPLACE FUNCTION billing.erase_personal_data(
    p_tenant text, p_organization_id uuid, p_initiated_by text, p_reason text, p_erased_by text,
    p_before timestamptz, p_limit int
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_before timestamptz := coalesce(p_before, 'infinity');
    v_from timestamptz;
    v_wanted uuid[];
    v_captured uuid[];
    v_holds bigint;
    v_own bigint;
    v_of_holds bigint;
BEGIN
    IF coalesce(p_tenant, '') NOT IN (p_organization_id::text, '*')
        OR NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('erasure of ' || p_organization_id, 0));
    PERFORM billing.erase_unpriced(p_organization_id, p_initiated_by);
    v_from := billing.erased_until(p_organization_id, v_before, p_limit);
    SELECT array_agg(id) INTO v_wanted FROM billing.holds
    WHERE organization_id = p_organization_id AND created_at >= coalesce(v_from, '-infinity') AND created_at < v_before
        AND (p_initiated_by IS NULL OR initiated_by = p_initiated_by)
        AND num_nonnulls(description, initiated_by, end_user, metadata) > 0;
    WITH emptied AS (
        UPDATE billing.holds
        SET description = NULL, initiated_by = NULL, end_user = NULL, metadata = NULL
        WHERE organization_id = p_organization_id AND id = ANY (ARRAY(
            SELECT id FROM billing.holds WHERE organization_id = p_organization_id AND id = ANY (v_wanted)
            FOR NO KEY UPDATE SKIP LOCKED))
        RETURNING transaction_id
    )
    SELECT count(*), array_agg(transaction_id) FILTER (WHERE transaction_id IS NOT NULL)
    INTO v_holds, v_captured FROM emptied;
    -- One statement for each condition: joined by OR they would read all newer rows.
    UPDATE billing.credit_transactions
    SET description = NULL, initiated_by = NULL, end_user = NULL, metadata = NULL, personal_salt = NULL
    WHERE organization_id = p_organization_id AND personal_salt IS NOT NULL
        AND created_at >= coalesce(v_from, '-infinity') AND id = ANY (v_captured);
    GET DIAGNOSTICS v_of_holds = ROW_COUNT;
    UPDATE billing.credit_transactions
    SET description = NULL, initiated_by = NULL, end_user = NULL, metadata = NULL, personal_salt = NULL
    WHERE organization_id = p_organization_id AND personal_salt IS NOT NULL
        AND created_at >= coalesce(v_from, '-infinity') AND created_at < v_before
        AND (p_initiated_by IS NULL OR initiated_by = p_initiated_by);
    GET DIAGNOSTICS v_own = ROW_COUNT;
    -- Spend that was only logged has no initiator.
    UPDATE billing.logged_spend SET end_user = NULL, metadata = NULL
    WHERE p_initiated_by IS NULL AND organization_id = p_organization_id
        AND created_at >= coalesce(v_from, '-infinity') AND created_at < v_before
        AND num_nonnulls(end_user, metadata) > 0;
    IF p_before IS NULL OR v_own + v_of_holds + v_holds > 0 THEN
        INSERT INTO billing.erasures (organization_id, initiated_by_digest, reason, transactions, holds, erased_by)
        VALUES (p_organization_id, sha256(convert_to(p_initiated_by, 'UTF8')), p_reason,
            v_own + v_of_holds, v_holds, coalesce(p_erased_by, session_user));
    END IF;
    RETURN billing.outcome('found', json_build_object(
        'transactions', v_own + v_of_holds, 'holds', v_holds, 'reached', v_from,
        'busy', v_holds < coalesce(cardinality(v_wanted), 0)));
END $$;

-- The time of the last of the newest p_limit transactions, holds or logs before an instant, whichever is the
-- latest; NULL when there are fewer of each.
CREATE OR REPLACE FUNCTION billing.erased_until(p_organization_id uuid, p_before timestamptz, p_limit int)
RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT max(created_at) FROM (
            (SELECT created_at FROM billing.credit_transactions
            WHERE organization_id = p_organization_id AND created_at < p_before
            ORDER BY created_at DESC OFFSET p_limit - 1 LIMIT 1)
            UNION ALL
            (SELECT created_at FROM billing.holds
            WHERE organization_id = p_organization_id AND created_at < p_before
            ORDER BY created_at DESC OFFSET p_limit - 1 LIMIT 1)
            UNION ALL
            (SELECT created_at FROM billing.logged_spend
            WHERE organization_id = p_organization_id AND created_at < p_before
            ORDER BY created_at DESC OFFSET p_limit - 1 LIMIT 1)
        ) AS last);
END $$;

-- Empty the customer's fields in the profile, drafts and cancelled drafts; p_name replaces the name. Issued
-- documents do not change.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.erase_profile(
    p_tenant text, p_organization_id uuid, p_name text, p_reason text, p_erased_by text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    UPDATE billing.organizations
    SET name = p_name, email = NULL, address = NULL, buyer_reference = NULL,
        tax = jsonb_set(tax, '{tax_id}', 'null'), changed_at = o.changed_at
    WHERE id = o.id;
    UPDATE billing.invoices SET
        customer = customer || jsonb_build_object('name', p_name, 'address', NULL, 'tax_id', NULL, 'reference', NULL),
        tax = jsonb_set(tax, '{tax_id}', 'null')
    WHERE organization_id = o.id AND invoice_number IS NULL;
    INSERT INTO billing.erasures (organization_id, reason, transactions, holds, profile, erased_by)
    VALUES (o.id, p_reason, 0, 0, true, coalesce(p_erased_by, session_user));
    PERFORM billing.profile_changed(o);
    RETURN billing.outcome('found');
END $$;

-- Delete the budgets of persons, of all or of the one whose id is the initiator's, and empty payments, refused events
-- and grants, from which settlements copy into transactions; of all, delete the names of teams and keys too. What
-- changes under the organization's lock is changed under it here too. It is taken only when there is something.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.erase_persons(p_tenant text, p_organization_id uuid, p_initiated_by text)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    PERFORM billing.erase_refused_events(p_organization_id, p_initiated_by);
    IF billing.personal_budgets(p_organization_id, p_initiated_by) IS NOT NULL
        OR billing.personal_grants(p_organization_id, p_initiated_by) IS NOT NULL
        OR EXISTS (SELECT FROM billing.payments WHERE organization_id = p_organization_id)
        OR EXISTS (SELECT FROM billing.labels WHERE organization_id = p_organization_id)
    THEN
        o := billing.lock_organization(p_tenant, p_organization_id);
        IF p_initiated_by IS NULL THEN
            PERFORM billing.erase_labels(o);
        END IF;
        -- After the names: it changes the organization.
        PERFORM billing.erase_budgets(o, p_initiated_by);
        PERFORM billing.erase_grants(p_organization_id, p_initiated_by);
        PERFORM billing.erase_payments(p_organization_id, p_initiated_by);
    END IF;
    RETURN billing.outcome('found');
END $$;

CREATE OR REPLACE FUNCTION billing.erasure_json(e billing.erasures) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', e.id,
        'reason', e.reason,
        'of_one_initiator', e.initiated_by_digest IS NOT NULL,
        'transactions', e.transactions,
        'holds', e.holds,
        'profile', e.profile,
        'erased_by', e.erased_by,
        'created_at', e.created_at
    )
$$;

-- List at most p_limit rows of one kind of an organization, newest first, before the instant (exclusive) at
-- which the earlier page ended. For one initiator: the rows that erase_personal_data() would empty among the
-- newest p_scan, and that initiator's erasures. An invoice comes without its lines, which name nobody. Returns
-- the time that it reached, NULL at the end.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.personal_data(
    p_tenant text, p_organization_id uuid, p_kind text, p_initiated_by text, p_before timestamptz,
    p_limit int, p_scan int
) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_before timestamptz := coalesce(p_before, 'infinity');
    v_from timestamptz;
    v_rows json;
    v_found int;
    v_last timestamptz;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    IF p_initiated_by IS NOT NULL AND p_kind IN ('transaction', 'hold') THEN
        EXECUTE format(
            'SELECT created_at FROM billing.%I WHERE organization_id = $1 AND created_at < $2
            ORDER BY created_at DESC OFFSET $3 LIMIT 1',
            CASE p_kind WHEN 'hold' THEN 'holds' ELSE 'credit_transactions' END)
        INTO v_from USING p_organization_id, v_before, p_scan - 1;
    END IF;
    CASE p_kind
    WHEN 'organization' THEN
        -- The version serves the cache alone.
        SELECT json_agg(billing.organization_json(ROW(r.*)::billing.organizations)::jsonb - 'version') INTO v_rows
        FROM billing.organizations AS r
        WHERE r.id = p_organization_id AND r.created_at < v_before;
    WHEN 'transaction' THEN
        SELECT json_agg(billing.transaction_json(ROW(r.*)::billing.credit_transactions)), count(*), min(created_at)
        INTO v_rows, v_found, v_last FROM (
            SELECT * FROM billing.credit_transactions AS t
            WHERE organization_id = p_organization_id AND created_at < v_before
                AND created_at >= coalesce(v_from, '-infinity')
                AND (p_initiated_by IS NULL OR initiated_by = p_initiated_by OR EXISTS (
                    SELECT FROM billing.holds AS h
                    WHERE h.organization_id = t.organization_id AND h.id = t.hold_id AND h.initiated_by = p_initiated_by))
            ORDER BY created_at DESC LIMIT p_limit) AS r;
    WHEN 'hold' THEN
        SELECT json_agg(billing.hold_json(ROW(r.*)::billing.holds)), count(*), min(created_at)
        INTO v_rows, v_found, v_last FROM (
            SELECT * FROM billing.holds
            WHERE organization_id = p_organization_id AND created_at < v_before
                AND created_at >= coalesce(v_from, '-infinity')
                AND (p_initiated_by IS NULL OR initiated_by = p_initiated_by)
            ORDER BY created_at DESC LIMIT p_limit) AS r;
    ELSE
        EXECUTE format(
            'SELECT json_agg(billing.%s(ROW(r.*)::billing.%s)), count(*), min(created_at) FROM (
                SELECT * FROM billing.%s WHERE organization_id = $1 AND created_at < $2 AND ($4 IS NULL OR %s)
                ORDER BY created_at DESC FETCH FIRST ($3) ROWS WITH TIES) AS r',
            p_kind || CASE p_kind WHEN 'invoice' THEN '_summary' ELSE '_json' END, p_kind || 's', CASE p_kind
                WHEN 'spend_log' THEN $sql$newest_spend_logs($1, '-infinity', $2, $3)$sql$ ELSE p_kind || 's' END,
            CASE p_kind WHEN 'erasure' THEN 'erased_by = $4' WHEN 'credit_grant' THEN 'initiated_by = $4' WHEN 'payment' THEN 'initiated_by = $4'
                WHEN 'refused_event' THEN 'initiated_by = $4' WHEN 'budget' THEN $sql$subject = 'end_user ' || $4$sql$ ELSE 'false' END)
        INTO v_rows, v_found, v_last USING p_organization_id, v_before, p_limit, p_initiated_by;
    END CASE;
    RETURN billing.outcome('found', json_build_object('rows', coalesce(v_rows, '[]'),
        'reached', CASE WHEN v_found >= p_limit THEN v_last ELSE v_from END));
END $$;
