-- One effect per key: a repeated request gets its first answer, built from stored rows that never change.
-- Callers hold the organization's row lock.

-- The answer of a call that changes nothing: the organization is unknown, or the key has had its effect.
-- NULL when the change has to be made.
CREATE OR REPLACE FUNCTION billing.settled(o billing.organizations, p_key text, p_fingerprint bytea)
RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    v_past billing.idempotency;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    SELECT * INTO v_past FROM billing.idempotency WHERE organization_id = o.id AND key = p_key;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN billing.replay_of(v_past, p_fingerprint);
END $$;

-- The first answer, built again from stored rows.
CREATE OR REPLACE FUNCTION billing.replay_of(p_past billing.idempotency, p_fingerprint bytea)
RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    h billing.holds;
BEGIN
    IF p_past.fingerprint <> p_fingerprint THEN
        RETURN billing.outcome('idempotency_key_reused');
    END IF;
    IF p_past.result_type = 'transaction' THEN
        RETURN billing.outcome('replayed', (
            SELECT billing.transaction_json(ROW(t.*)::billing.credit_transactions)
            FROM billing.credit_transactions AS t
            WHERE t.organization_id = p_past.organization_id AND t.created_at = p_past.created_at));
    ELSIF p_past.result_type = 'spend_log' THEN
        RETURN billing.outcome('replayed', (
            SELECT billing.spend_log_json(ROW(s.*)::billing.spend_logs) FROM billing.spend_logs AS s
            WHERE s.organization_id = p_past.organization_id AND s.created_at = p_past.created_at));
    ELSIF p_past.result_type = 'unpriced' THEN
        RETURN billing.replay_unpriced(p_past);
    ELSIF p_past.result_type = 'grant' THEN
        RETURN billing.outcome('replayed', billing.first_grant_json(p_past.organization_id, p_past.result_id));
    END IF;
    SELECT * INTO STRICT h FROM billing.holds
    WHERE organization_id = p_past.organization_id AND id = p_past.result_id;
    IF p_past.result_type = 'hold' THEN
        h.status := 'held';
        h.amount_usd := coalesce(h.first_amount_usd, h.amount_usd);
        h.expires_at := coalesce(h.first_expires_at, h.expires_at);
    ELSE
        h.status := 'released';
    END IF;
    h.captured_usd := NULL;
    h.transaction_id := NULL;
    RETURN billing.outcome('replayed', billing.hold_json(h));
END $$;

-- The key of a transaction that no request asked for. No client's key has a character outside of ASCII.
CREATE OR REPLACE FUNCTION billing.own_key(p_reason text, p_id uuid) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT concat('§ ', p_reason, ' ', p_id) $$;

-- The refusal of an LLM request that was charged or logged before; NULL when it was not.
CREATE OR REPLACE FUNCTION billing.request_already_counted(p_organization_id uuid, p_request_id text)
RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT billing.invalid_state(format('The request_id %s was already counted by %s %s.',
            to_json(p_request_id), replace(result_type::text, '_', ' '), result_id))
        FROM billing.idempotency
        WHERE organization_id = p_organization_id AND request_id = p_request_id);
END $$;
