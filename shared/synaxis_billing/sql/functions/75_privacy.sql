-- Empty the personal fields of an organization's transactions and holds, of all or of one initiator,
-- with what others captured of that one's holds, which has their description:
-- of the p_limit newest transactions before p_before, and of the holds of that time. The chain stays
-- whole, the amounts stay, and each erasure leaves a record. Returns how far it reached, NULL at the end.
CREATE OR REPLACE FUNCTION billing.erase_personal_data(
    p_tenant text, p_organization_id uuid, p_initiated_by text, p_reason text, p_erased_by text,
    p_before timestamptz, p_limit int
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_before timestamptz := coalesce(p_before, 'infinity');
    v_from timestamptz;
    v_transactions bigint;
    v_holds bigint;
BEGIN
    IF p_tenant NOT IN (p_organization_id::text, '*')
        OR NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id)
    THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    SELECT created_at INTO v_from FROM billing.credit_transactions
    WHERE organization_id = p_organization_id AND created_at < v_before
    ORDER BY created_at DESC OFFSET p_limit - 1 LIMIT 1;
    UPDATE billing.credit_transactions
    SET description = NULL, initiated_by = NULL, personal_salt = NULL
    WHERE organization_id = p_organization_id AND personal_salt IS NOT NULL
        AND created_at >= coalesce(v_from, '-infinity') AND created_at < v_before
        AND (p_initiated_by IS NULL OR initiated_by = p_initiated_by OR hold_id IN (
            SELECT id FROM billing.holds
            WHERE organization_id = p_organization_id AND initiated_by = p_initiated_by));
    GET DIAGNOSTICS v_transactions = ROW_COUNT;
    UPDATE billing.holds SET description = NULL, initiated_by = NULL
    WHERE organization_id = p_organization_id
        AND created_at >= coalesce(v_from, '-infinity') AND created_at < v_before
        AND (p_initiated_by IS NULL OR initiated_by = p_initiated_by)
        AND (description IS NOT NULL OR initiated_by IS NOT NULL);
    GET DIAGNOSTICS v_holds = ROW_COUNT;
    IF p_before IS NULL OR v_transactions + v_holds > 0 THEN
        INSERT INTO billing.erasures
            (organization_id, initiated_by_digest, reason, transactions, holds, erased_by)
        VALUES (p_organization_id, sha256(convert_to(p_initiated_by, 'UTF8')), p_reason, v_transactions,
            v_holds, coalesce(p_erased_by, session_user));
    END IF;
    RETURN billing.outcome('found', json_build_object(
        'transactions', v_transactions, 'holds', v_holds, 'reached', v_from));
END $$;

CREATE OR REPLACE FUNCTION billing.erasure_json(e billing.erasures) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', e.id,
        'reason', e.reason,
        'of_one_initiator', e.initiated_by_digest IS NOT NULL,
        'transactions', e.transactions,
        'holds', e.holds,
        'erased_by', e.erased_by,
        'created_at', e.created_at
    )
$$;

CREATE OR REPLACE FUNCTION billing.webhook_event_json(e billing.webhook_events) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', e.id, 'type', e.type, 'data', e.data, 'created_at', e.created_at)
$$;

-- What is held of one kind about an organization, newest first, before an instant (exclusive) that an
-- earlier page ended at; of one initiator, what erase_personal_data() would empty.
CREATE OR REPLACE FUNCTION billing.personal_data(
    p_tenant text, p_organization_id uuid, p_kind text, p_initiated_by text, p_before timestamptz,
    p_limit int
) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_before timestamptz := coalesce(p_before, 'infinity');
    v_rows json;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    CASE p_kind
    WHEN 'organization' THEN
        -- The version is the cache's business.
        SELECT json_agg(billing.organization_json(r)::jsonb - 'version') INTO v_rows
        FROM billing.organizations AS r
        WHERE r.id = p_organization_id AND r.created_at < v_before;
    WHEN 'transaction' THEN
        SELECT json_agg(billing.transaction_json(r)) INTO v_rows FROM (
            SELECT * FROM billing.credit_transactions
            WHERE organization_id = p_organization_id AND created_at < v_before
                AND (p_initiated_by IS NULL OR initiated_by = p_initiated_by OR hold_id IN (
                    SELECT id FROM billing.holds
                    WHERE organization_id = p_organization_id AND initiated_by = p_initiated_by))
            ORDER BY created_at DESC LIMIT p_limit) AS r;
    WHEN 'hold' THEN
        SELECT json_agg(billing.hold_json(r)) INTO v_rows FROM (
            SELECT * FROM billing.holds
            WHERE organization_id = p_organization_id AND created_at < v_before
                AND (p_initiated_by IS NULL OR initiated_by = p_initiated_by)
            ORDER BY created_at DESC LIMIT p_limit) AS r;
    WHEN 'spend_log', 'invoice', 'credit_note', 'webhook_endpoint', 'webhook_event', 'erasure' THEN
        EXECUTE format(
            'SELECT json_agg(billing.%I(r)) FROM (
                SELECT * FROM billing.%I WHERE organization_id = $1 AND created_at < $2
                ORDER BY created_at DESC LIMIT $3) AS r',
            p_kind || '_json', p_kind || 's')
        INTO v_rows USING p_organization_id, v_before, p_limit;
    END CASE;
    RETURN billing.outcome('found', coalesce(v_rows, '[]'));
END $$;
