-- Turns: the calls of one organization wait for its row, and must not take the connections of the others while
-- they wait.

-- Take one of the eight places in which calls of an organization may wait in the database, until the end of
-- the transaction; NULL when all are taken.
-- api helper
CREATE OR REPLACE FUNCTION billing.take_place(p_organization_id uuid) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    FOR v_place IN 0..7 LOOP
        IF pg_try_advisory_xact_lock(uuid_hash_extended(p_organization_id, v_place)) THEN
            RETURN v_place;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- Spend an organization's credit, or answer at once that too many others wait. When others wait, the row is
-- let go before the commit is on disk, and the answer waits for that: what the next one writes lies behind this
-- commit in the WAL, so its own flush includes it. Until then a read may show a change that a crash of the
-- server takes back, and that nobody was told of. It is a procedure because only that may commit.
-- api
CREATE OR REPLACE PROCEDURE billing.spend(
    INOUT p_answer json, p_operation text, p_tenant text, p_organization_id uuid, p_request jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    v_place int := billing.take_place(p_organization_id);
BEGIN
    IF v_place IS NULL THEN
        p_answer := billing.outcome('too_many_requests');
        RETURN;
    END IF;
    p_answer := CASE p_operation
        WHEN 'charge' THEN billing.charge(p_tenant, p_organization_id, p_request)
        WHEN 'hold' THEN billing.hold(p_tenant, p_organization_id, p_request)
        WHEN 'capture_hold' THEN billing.capture_hold(p_tenant, p_organization_id, p_request)
        WHEN 'release_hold' THEN billing.release_hold(p_tenant, p_organization_id, p_request)
        WHEN 'change_hold' THEN billing.change_hold(p_tenant, p_organization_id, p_request) END;
    IF v_place > 0 OR NOT pg_try_advisory_xact_lock(uuid_hash_extended(p_organization_id, 1)) THEN
        PERFORM set_config('synchronous_commit', 'off', true);
        COMMIT;
        -- Its commit is synchronous.
        PERFORM pg_logical_emit_message(true, '', '');
    END IF;
END $$;

-- Charge a batch, and let its organizations go before the answer is sent: a caller that stops reading must not
-- hold them. Items of an organization that is busy at the moment are too_many_requests: the caller charges them by
-- spend_batch_of(). In a cluster the answer is NULL, and the caller does that for every organization.
-- api
CREATE OR REPLACE PROCEDURE billing.spend_batch(INOUT p_answer json[], p_tenant text, p_charges jsonb)
LANGUAGE plpgsql AS $$
BEGIN
    IF billing.is_distributed() THEN
        RETURN;
    END IF;
    p_answer := billing.charge_batch(p_tenant, p_charges);
    COMMIT;
END $$;

-- Charge a batch of one organization, or answer at once that too many others wait.
-- api
CREATE OR REPLACE PROCEDURE billing.spend_batch_of(
    INOUT p_answer json[], p_tenant text, p_organization_id uuid, p_charges jsonb
) LANGUAGE plpgsql AS $$
BEGIN
    IF billing.take_place(p_organization_id) IS NULL THEN
        p_answer := array_fill(billing.outcome('too_many_requests'), ARRAY[jsonb_array_length(p_charges)]);
        RETURN;
    END IF;
    p_answer := billing.charge_batch(p_tenant, p_charges);
    COMMIT;
END $$;
