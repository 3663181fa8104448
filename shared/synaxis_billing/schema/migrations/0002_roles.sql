-- Who may do what. The application logs in as synaxis_app: it reads one tenant's rows and calls the
-- API's functions, which write as synaxis_ledger. Nobody but an erasure changes what was written.

DO $$
DECLARE
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['synaxis_app', 'synaxis_ledger', 'synaxis_eraser'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS', v_role);
        END IF;
    END LOOP;
END $$;
-- Needed to hand functions over to them; a superuser needs no grant.
DO $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT synaxis_ledger, synaxis_eraser TO %I WITH SET TRUE, INHERIT FALSE', current_user);
    END IF;
END $$;
ALTER ROLE synaxis_app SET statement_timeout = '5s';
ALTER ROLE synaxis_app SET lock_timeout = '3s';
ALTER ROLE synaxis_app SET idle_in_transaction_session_timeout = '10s';
-- An index serves every statement of the application; a plan made while a table was still empty must
-- not go on reading all of it.
ALTER ROLE synaxis_app SET enable_seqscan = off;
ALTER ROLE synaxis_app SET timezone = 'UTC';
ALTER ROLE synaxis_app SET datestyle = 'ISO';

REVOKE ALL ON SCHEMA billing FROM PUBLIC;
GRANT USAGE ON SCHEMA billing TO synaxis_app, synaxis_ledger, synaxis_eraser;

GRANT SELECT ON billing.organizations, billing.credit_transactions, billing.spend_logs,
    billing.spend_rollups, billing.holds TO synaxis_app;

GRANT SELECT, INSERT ON billing.credit_transactions, billing.spend_logs, billing.idempotency
    TO synaxis_ledger;
GRANT SELECT, INSERT, UPDATE ON billing.organizations, billing.holds, billing.charge_refunds,
    billing.spend_rollups TO synaxis_ledger;

GRANT SELECT, UPDATE (description, initiated_by, personal_salt) ON billing.credit_transactions
    TO synaxis_eraser;
GRANT SELECT, UPDATE (description, initiated_by) ON billing.holds TO synaxis_eraser;
GRANT INSERT ON billing.erasures TO synaxis_eraser;

-- Each statement says in its first step which tenant it serves: an organization's id, or * for the
-- platform's own machine. A statement that has not said so sees nothing.
DO $$
DECLARE
    v_table text;
    v_column text;
    v_own text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['organizations', 'credit_transactions', 'spend_logs',
        'spend_rollups', 'holds', 'idempotency', 'charge_refunds', 'erasures']
    LOOP
        v_column := CASE v_table WHEN 'organizations' THEN 'id' ELSE 'organization_id' END;
        v_own := format(
            $sql$current_setting('billing.tenant', true) IN (%I::text, '*')$sql$, v_column);
        EXECUTE format('ALTER TABLE billing.%I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY tenant ON billing.%I TO synaxis_app, synaxis_ledger USING (%s)',
            v_table, v_own);
        EXECUTE format('CREATE POLICY erasure ON billing.%I TO synaxis_eraser USING (true)', v_table);
    END LOOP;
END $$;
