-- Roles, what each may do with the tables, and the row-level security that binds them. Applied after the
-- functions, and again whenever it is missing. The application logs in as synaxis_app: it reads one tenant's
-- rows and calls the API's functions, which write as synaxis_ledger. synaxis_eraser empties personal fields
-- and nothing else. Grants are added: to take one away needs a REVOKE here.
--
-- A line directly above a function says who may call it: `-- api` for the application, with its own rights;
-- `-- api as ROLE` for the application, with that role's rights; `-- api helper` for a part of functions that
-- run with the application's rights. Functions without such a line cannot be called by the application.

-- Roles belong to the whole server: migrations of two of its databases may make the same change at once.
DO $$
DECLARE
    v_settings text[] := ARRAY[
        'statement_timeout=5s', 'lock_timeout=3s', 'idle_in_transaction_session_timeout=10s',
        -- An index serves every statement of the application; a plan from when a table was empty must not
        -- scan it when it has grown.
        'enable_seqscan=off',
        -- Statements are short: compiling one costs more than it saves.
        'jit=off', 'TimeZone=UTC', 'DateStyle=ISO'];
    v_setting text;
    v_role text;
BEGIN
    FOR v_try IN 1..20 LOOP
        BEGIN
            FOREACH v_role IN ARRAY ARRAY['synaxis_app', 'synaxis_ledger', 'synaxis_eraser'] LOOP
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_role) THEN
                    EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS', v_role);
                END IF;
                -- The administrator needs it to give functions to the role; a superuser does not.
                IF v_role <> 'synaxis_app' AND NOT pg_has_role(current_user, v_role, 'SET') THEN
                    EXECUTE format('GRANT %I TO %I WITH SET TRUE, INHERIT FALSE', v_role, current_user);
                END IF;
            END LOOP;
            FOREACH v_setting IN ARRAY v_settings LOOP
                IF NOT EXISTS (
                    SELECT FROM pg_db_role_setting
                    WHERE setdatabase = 0 AND setrole = 'synaxis_app'::regrole AND v_setting = ANY (setconfig)
                ) THEN
                    EXECUTE format('ALTER ROLE synaxis_app SET %s TO %L',
                        split_part(v_setting, '=', 1), split_part(v_setting, '=', 2));
                END IF;
            END LOOP;
            EXIT;
        -- "tuple concurrently updated" is an internal error.
        EXCEPTION WHEN duplicate_object OR unique_violation OR internal_error THEN
            IF v_try = 20 THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(0.05);
        END;
    END LOOP;
END $$;

REVOKE ALL ON SCHEMA billing FROM PUBLIC;
GRANT USAGE ON SCHEMA billing TO synaxis_app, synaxis_ledger, synaxis_eraser;

-- The application reads.
GRANT SELECT ON billing.organizations, billing.organization_homes, billing.external_ids,
    billing.credit_transactions, billing.credit_grants, billing.allocations, billing.holds,
    billing.spend_logs, billing.logged_spend,
    billing.spend_rollups, billing.forecasts, billing.exchange_rates, billing.invoices, billing.topups_to_invoice,
    billing.credit_notes, billing.month_end_items, billing.prices, billing.budgets, billing.labels,
    billing.payments, billing.payment_refunds, billing.payment_customers, billing.payment_links,
    billing.auto_topups
    TO synaxis_app;

-- The API's functions write. Rows of these tables never change.
GRANT SELECT ON billing.spend_logs, billing.document_key TO synaxis_ledger;
GRANT SELECT, INSERT ON billing.credit_transactions, billing.logged_spend, billing.idempotency,
    billing.credited_payments, billing.erasures, billing.credit_notes, billing.webhook_events,
    billing.prices, billing.reratings, billing.rerating_adjustments, billing.rerated_charges
    TO synaxis_ledger;
-- Rows of these tables change, within the guards of the tables.
GRANT SELECT, INSERT, UPDATE ON billing.organizations, billing.organization_homes, billing.clients, billing.holds,
    billing.charge_refunds, billing.spend_rollups, billing.forecasts, billing.invoices, billing.document_counters,
    billing.month_end_items, billing.webhook_deliveries, billing.payments, billing.payment_refunds,
    billing.payment_customers, billing.auto_topups TO synaxis_ledger;
GRANT SELECT, INSERT ON billing.payment_objects, billing.payment_links TO synaxis_ledger;
GRANT SELECT, INSERT, UPDATE (organization_id, payment_id, settled_at, body) ON billing.payment_events TO synaxis_ledger;
-- The terms of a grant do not change; an erasure empties its texts.
GRANT SELECT, INSERT, UPDATE (remaining_usd, frozen_usd, started, transaction_id, voided_at, warned_days, description,
    initiated_by)
    ON billing.credit_grants TO synaxis_ledger;
GRANT SELECT, INSERT, UPDATE (to_usd, grant_id, covered_at, refund_id, restored_to, invoice_id)
    ON billing.allocations TO synaxis_ledger;
GRANT SELECT, INSERT, UPDATE (held, stored_at) ON billing.exchange_rates TO synaxis_ledger;
GRANT SELECT, INSERT, UPDATE (transaction_id, request) ON billing.unpriced_usage TO synaxis_ledger;
GRANT SELECT, INSERT, UPDATE (event, code, error, initiated_by, times, refused_at) ON billing.refused_events
    TO synaxis_ledger;
GRANT SELECT, INSERT, DELETE ON billing.invalidations, billing.external_ids TO synaxis_ledger;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.webhook_endpoints, billing.topups_to_invoice,
    billing.budgets, billing.labels TO synaxis_ledger;
GRANT UPDATE (attempts, next_attempt_at, error) ON billing.invalidations TO synaxis_ledger;

-- An erasure empties personal fields and records that it did.
GRANT SELECT ON billing.organizations, billing.erasures TO synaxis_eraser;
GRANT SELECT, UPDATE (description, initiated_by, end_user, metadata, personal_salt)
    ON billing.credit_transactions TO synaxis_eraser;
GRANT SELECT, UPDATE (description, initiated_by, end_user, metadata) ON billing.holds TO synaxis_eraser;
GRANT SELECT, UPDATE (end_user, metadata) ON billing.logged_spend TO synaxis_eraser;
GRANT SELECT, UPDATE (request) ON billing.unpriced_usage TO synaxis_eraser;
GRANT INSERT ON billing.erasures TO synaxis_eraser;

REVOKE ALL ON ALL ROUTINES IN SCHEMA billing FROM PUBLIC;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA billing TO synaxis_ledger;
REVOKE EXECUTE ON FUNCTION billing.erase_personal_data, billing.audit FROM synaxis_ledger;
GRANT EXECUTE ON FUNCTION billing.now TO synaxis_app, synaxis_eraser;
GRANT EXECUTE ON FUNCTION billing.outcome, billing.erased_until, billing.erase_unpriced TO synaxis_eraser;

-- Each function sets the tenant first: an organization's id, or * for the platform's own machine. A
-- statement without a tenant sees no row. The restrictive policies guard money on the tables of the charge
-- path, where a CHECK would cost each statement a tenth of a charge; the audit looks for what an administrator
-- writes past them.
DO $$
DECLARE
    v_policy record;
BEGIN
    FOR v_policy IN
        SELECT t.name AS table_name, p.*
        FROM unnest(ARRAY['organizations', 'organization_homes', 'clients', 'external_ids', 'credit_transactions',
            'idempotency', 'credited_payments', 'credit_grants', 'allocations', 'holds', 'charge_refunds',
            'logged_spend', 'spend_rollups', 'forecasts', 'erasures', 'invoices', 'topups_to_invoice', 'credit_notes',
            'month_end_items', 'webhook_endpoints', 'webhook_events', 'webhook_deliveries', 'unpriced_usage',
            'refused_events', 'rerating_adjustments', 'rerated_charges', 'budgets', 'labels', 'payments', 'payment_objects',
            'payment_refunds', 'payment_customers', 'payment_links',
            'auto_topups']) AS t (name)
        -- One comparison for a function of one organization, which sees nothing else.
        CROSS JOIN LATERAL (SELECT format($sql$%I::text = current_setting('billing.tenant', true)
            OR current_setting('billing.tenant', true) = '*'$sql$,
            CASE t.name WHEN 'organizations' THEN 'id' ELSE 'organization_id' END) AS condition) AS tenants
        CROSS JOIN LATERAL (
            SELECT 'tenant' AS name, 'synaxis_app, synaxis_ledger' AS roles, CASE
                -- Many rows of these are read at once: then the setting is looked up once. A cluster takes no
                -- policy with a query in it.
                WHEN t.name IN ('credit_transactions', 'logged_spend') AND NOT billing.is_distributed() THEN
                    replace(condition, 'current_setting(''billing.tenant'', true)',
                        '(SELECT current_setting(''billing.tenant'', true))')
                    || ') WITH CHECK (' || condition
                ELSE condition END AS condition
            UNION ALL
            SELECT 'erasure', 'synaxis_eraser', 'true'
            WHERE t.name IN ('organizations', 'credit_transactions', 'credit_grants', 'holds', 'logged_spend',
                'erasures', 'unpriced_usage')
        ) AS p
        UNION ALL
        -- Exchange rates belong to no organization.
        SELECT 'exchange_rates', 'everybody', 'synaxis_app, synaxis_ledger', 'true'
        UNION ALL
        SELECT 'reratings', 'platform', 'synaxis_ledger',
            'current_setting(''billing.tenant'', true) = ''*'''
        UNION ALL
        -- A provider's event belongs to nobody until its payment is known. Only functions read it.
        SELECT 'payment_events', 'everybody', 'synaxis_ledger', 'true'
        UNION ALL
        SELECT 'document_key', 'everybody', 'synaxis_ledger', 'true'
        UNION ALL
        -- A price of no organization is everyone's.
        SELECT 'prices', 'tenant', 'synaxis_app, synaxis_ledger', 'organization_id IS NULL'
            ' OR current_setting(''billing.tenant'', true) IN (organization_id::text, ''*'')'
    LOOP
        -- An existing policy is kept: to replace it would wait for every statement that uses the table.
        IF NOT EXISTS (
            SELECT FROM pg_policies
            WHERE schemaname = 'billing' AND tablename = v_policy.table_name AND policyname = v_policy.name
        ) THEN
            EXECUTE format('CREATE POLICY %I ON billing.%I TO %s USING (%s)',
                v_policy.name, v_policy.table_name, v_policy.roles, v_policy.condition);
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_policies WHERE schemaname = 'billing' AND policyname = 'not_overdrawn') THEN
        CREATE POLICY not_overdrawn ON billing.organizations AS RESTRICTIVE FOR UPDATE TO synaxis_ledger
            USING (true) WITH CHECK (
                held_usd >= 0 AND balance_usd - held_usd >= least(floor_usd, -credit_limit_usd));
        CREATE POLICY balance_follows_amount ON billing.credit_transactions AS RESTRICTIVE
            FOR INSERT TO synaxis_ledger
            WITH CHECK (balance_after_usd = balance_before_usd + amount_usd);
        CREATE POLICY within_limit ON billing.budgets AS RESTRICTIVE FOR UPDATE TO synaxis_ledger
            USING (true) WITH CHECK (mode = 'soft'
                OR spent_usd + held_usd <= greatest(coalesce(burst_usd, limit_usd), ceiling_usd));
    END IF;
END $$;
