-- The whole audit, and the invariants of privileges, policies and triggers: one row for each violation.

-- Every violated invariant, one row each; none when all is well. For an administrator.
CREATE OR REPLACE FUNCTION billing.audit()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF billing.is_distributed() THEN
        -- Each node reads the prices in its own copy.
        SET LOCAL citus.propagate_set_commands TO 'local';
        SET LOCAL citus.allow_nested_distributed_execution TO on;
    END IF;
    RETURN QUERY
    SELECT * FROM billing.audit_entries()
    UNION ALL
    SELECT * FROM billing.audit_guarded()
    UNION ALL
    SELECT * FROM billing.audit_holds()
    UNION ALL
    SELECT * FROM billing.audit_keys()
    UNION ALL
    SELECT * FROM billing.audit_odometer()
    UNION ALL
    SELECT * FROM billing.audit_grants()
    UNION ALL
    SELECT * FROM billing.audit_revenue()
    UNION ALL
    SELECT * FROM billing.audit_usage()
    UNION ALL
    SELECT * FROM billing.audit_prices()
    UNION ALL
    SELECT * FROM billing.audit_budgets()
    UNION ALL
    SELECT * FROM billing.audit_invoices()
    UNION ALL
    SELECT * FROM billing.audit_payments()
    UNION ALL
    SELECT * FROM billing.audit_guards();
END $$;

-- The application cannot rewrite the ledger, nor see other tenants.
CREATE OR REPLACE FUNCTION billing.audit_guards()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT NULL::uuid, 'the application cannot rewrite the ledger',
        format('%s may %s %s', r.role, p.privilege, c.relname)
    FROM pg_class AS c
    CROSS JOIN (VALUES ('synaxis_app'), ('synaxis_ledger')) AS r (role)
    CROSS JOIN (VALUES ('UPDATE'), ('DELETE'), ('TRUNCATE')) AS p (privilege)
    WHERE c.relnamespace = 'billing'::regnamespace AND c.relkind IN ('r', 'p')
        AND (p.privilege <> 'UPDATE' OR r.role = 'synaxis_app'
            OR c.relname ~ '^(credit_transactions|logged_spend|idempotency|credited_payments)')
        -- Not part of the ledger: delivered invalidations, removed endpoints, budgets and labels, and top-ups that wait for
        -- their invoice are deleted.
        AND NOT (r.role = 'synaxis_ledger' AND c.relname IN (
            'invalidations', 'webhook_endpoints', 'external_ids', 'topups_to_invoice', 'budgets', 'labels'))
        AND has_table_privilege(r.role, c.oid, p.privilege)
    UNION ALL
    SELECT NULL, 'a tenant sees its own rows alone', format('%s has no row-level security', c.relname)
    FROM pg_class AS c
    WHERE c.relnamespace = 'billing'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
        AND has_table_privilege('synaxis_app', c.oid, 'SELECT')
    UNION ALL
    SELECT NULL, 'the application''s role is bound by row-level security', r.rolname
    FROM pg_roles AS r
    WHERE r.rolname IN ('synaxis_app', 'synaxis_ledger') AND (r.rolsuper OR r.rolbypassrls)
    UNION ALL
    SELECT NULL, 'what was written is never changed',
        format('trigger %s of %s is off', g.tgname, g.tgrelid::regclass)
    FROM pg_trigger AS g
    WHERE g.tgfoid IN ('billing.refuse_change'::regproc, 'billing.refuse_change_but_erasure'::regproc)
        AND g.tgenabled = 'D';
END $$;
