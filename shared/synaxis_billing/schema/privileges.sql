-- The API is every function whose first argument is the tenant: the application may call those and
-- no other. Those that write do so as synaxis_ledger, which row-level security binds.
GRANT CREATE ON SCHEMA billing TO synaxis_ledger, synaxis_eraser;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA billing FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA billing TO synaxis_ledger;
DO $$
DECLARE
    v_function record;
BEGIN
    FOR v_function IN
        SELECT p.oid::regprocedure AS signature, p.prosecdef, p.proargnames[1] = 'p_tenant' AS api,
            p.proname = 'erase_personal_data' AS erases
        FROM pg_proc AS p
        WHERE p.pronamespace = 'billing'::regnamespace
            AND p.proowner <> ALL (ARRAY['synaxis_ledger'::regrole, 'synaxis_eraser'::regrole]::oid[])
    LOOP
        IF v_function.erases THEN
            -- Of all that the application may call, this alone changes what was written.
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM synaxis_ledger', v_function.signature);
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO synaxis_app', v_function.signature);
            EXECUTE format('ALTER FUNCTION %s OWNER TO synaxis_eraser', v_function.signature);
        ELSIF v_function.api AND v_function.prosecdef THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO synaxis_app', v_function.signature);
            EXECUTE format('ALTER FUNCTION %s OWNER TO synaxis_ledger', v_function.signature);
        ELSIF NOT v_function.prosecdef THEN
            -- What the reading functions are made of; it reads and writes with the caller's rights.
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO synaxis_app', v_function.signature);
        END IF;
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION billing.audit() FROM synaxis_app, synaxis_ledger;
GRANT EXECUTE ON FUNCTION billing.ensure_partitions(int) TO synaxis_app;
GRANT EXECUTE ON FUNCTION billing.outcome(text, json) TO synaxis_eraser;
REVOKE CREATE ON SCHEMA billing FROM synaxis_ledger, synaxis_eraser;
