-- The ledger's invariants, checked on live data; each function returns one row for each violation. For an
-- administrator.

-- Every broken promise of the ledger, one row each; none when all is well. For an administrator.
CREATE OR REPLACE FUNCTION billing.audit()
RETURNS TABLE (organization_id uuid, promise text, detail text) LANGUAGE sql STABLE AS $$
    WITH chain AS (
        SELECT t.*,
            lag(t.version, 1, 0::bigint) OVER newest AS before_version,
            lag(t.balance_after_usd, 1, 0) OVER newest AS before_balance_usd,
            lag(t.hash, 1, sha256('')) OVER newest AS before_hash
        FROM billing.credit_transactions AS t
        WINDOW newest AS (PARTITION BY t.organization_id ORDER BY t.created_at, t.version)
    ), sums AS (
        SELECT c.organization_id, sum(c.amount_usd) AS amount_usd, count(*) AS transactions
        FROM chain AS c GROUP BY 1
    ), heads AS (
        SELECT DISTINCT ON (c.organization_id) c.organization_id, c.balance_after_usd, c.hash
        FROM chain AS c ORDER BY c.organization_id, c.created_at DESC, c.version DESC
    ), logged AS (
        SELECT s.organization_id, s.bucket_start, s.model, s.provider, s.team_id, s.virtual_key_id,
            s.region, s.transaction_id IS NOT NULL AS charged, sum(s.amount_usd)::numeric(28, 8) AS amount_usd,
            sum(s.tokens)::bigint AS tokens, count(*) AS requests
        FROM billing.spend_logs AS s GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ), rolled AS (
        SELECT r.organization_id, r.bucket_start, r.model, r.provider, r.team_id, r.virtual_key_id,
            r.region, r.charged, r.amount_usd, r.tokens, r.requests
        FROM billing.spend_rollups AS r
    )
    SELECT o.id, 'balance is the sum of the transactions',
        format('balance %s, sum %s', o.balance_usd, coalesce(s.amount_usd, 0))
    FROM billing.organizations AS o LEFT JOIN sums AS s ON s.organization_id = o.id
    WHERE o.balance_usd <> coalesce(s.amount_usd, 0)
    UNION ALL
    SELECT o.id, 'balance, version and hash are the newest transaction''s',
        format('balance %s, last %s; version %s, transactions %s', o.balance_usd, h.balance_after_usd,
            o.version, coalesce(s.transactions, 0))
    FROM billing.organizations AS o
    LEFT JOIN sums AS s ON s.organization_id = o.id
    LEFT JOIN heads AS h ON h.organization_id = o.id
    WHERE o.balance_usd <> coalesce(h.balance_after_usd, 0) OR o.version <> coalesce(s.transactions, 0)
        OR o.head_hash <> coalesce(h.hash, sha256(''))
    UNION ALL
    SELECT c.organization_id, 'each transaction follows the one before',
        format('transaction %s: version %s after %s, balance %s after %s', c.id, c.version,
            c.before_version, c.balance_before_usd, c.before_balance_usd)
    FROM chain AS c
    WHERE c.version <> c.before_version + 1 OR c.balance_before_usd <> c.before_balance_usd
        OR c.previous_hash <> c.before_hash OR c.balance_after_usd <> c.balance_before_usd + c.amount_usd
    UNION ALL
    SELECT t.organization_id, 'each hash is that of its row', format('transaction %s', t.id)
    FROM billing.credit_transactions AS t
    WHERE t.hash <> billing.transaction_hash(t)
        OR t.personal_salt IS NOT NULL
        AND t.personal_digest <> billing.personal_digest(t.personal_salt, t.description, t.initiated_by)
    UNION ALL
    SELECT t.organization_id, 'a transaction belongs to an organization', format('transaction %s', t.id)
    FROM billing.credit_transactions AS t
    WHERE NOT EXISTS (SELECT FROM billing.organizations AS o WHERE o.id = t.organization_id)
    UNION ALL
    SELECT o.id, 'held credit is the sum of the open holds',
        format('held %s, holds %s', o.held_usd, coalesce(sum(h.amount_usd), 0))
    FROM billing.organizations AS o
    LEFT JOIN billing.holds AS h ON h.organization_id = o.id AND h.status = 'held'
    GROUP BY o.id HAVING o.held_usd <> coalesce(sum(h.amount_usd), 0)
    UNION ALL
    SELECT coalesce(h.organization_id, t.organization_id), 'a captured hold is one charge',
        format('hold %s, transaction %s', h.id, t.id)
    FROM (SELECT * FROM billing.holds WHERE status = 'captured') AS h
    FULL JOIN (SELECT * FROM billing.credit_transactions WHERE hold_id IS NOT NULL) AS t
        ON t.id = h.transaction_id AND t.hold_id = h.id AND t.organization_id = h.organization_id
    WHERE h.id IS NULL OR t.id IS NULL OR t.amount_usd <> -h.captured_usd
    UNION ALL
    SELECT coalesce(s.organization_id, t.organization_id), 'a charge is one spend log',
        format('transaction %s, spend log %s', t.id, s.id)
    FROM (SELECT * FROM billing.spend_logs WHERE transaction_id IS NOT NULL) AS s
    FULL JOIN (SELECT * FROM billing.credit_transactions WHERE transaction_type = 'charge') AS t
        ON t.id = s.transaction_id AND t.organization_id = s.organization_id AND t.created_at = s.created_at
    WHERE s.id IS NULL OR t.id IS NULL OR t.amount_usd <> -s.amount_usd
    UNION ALL
    SELECT d.organization_id, 'rollups are the sums of the spend logs',
        format('bucket %s, model %s, %s USD', d.bucket_start, d.model, d.amount_usd)
    FROM (
        (SELECT * FROM logged EXCEPT ALL SELECT * FROM rolled)
        UNION ALL
        (SELECT * FROM rolled EXCEPT ALL SELECT * FROM logged)
    ) AS d
    UNION ALL
    SELECT s.organization_id, 'a spend log lies in its bucket', format('spend log %s', s.id)
    FROM billing.spend_logs AS s
    WHERE NOT EXISTS (
        SELECT FROM billing.spend_rollups AS r
        WHERE r.organization_id = s.organization_id AND r.bucket_start = s.bucket_start
            AND s.created_at >= r.bucket_start AND s.created_at < r.bucket_end)
    UNION ALL
    SELECT coalesce(r.organization_id, t.organization_id), 'refunds stay within their charge',
        format('charge %s: recorded %s, refunded %s', coalesce(r.charge_id, t.charge_id),
            r.refunded_usd, t.refunded_usd)
    FROM billing.charge_refunds AS r
    FULL JOIN (
        SELECT f.organization_id, f.charge_id, sum(f.amount_usd) AS refunded_usd
        FROM billing.credit_transactions AS f WHERE f.transaction_type = 'refund' GROUP BY 1, 2
    ) AS t ON t.charge_id = r.charge_id
    LEFT JOIN billing.credit_transactions AS c ON c.id = coalesce(r.charge_id, t.charge_id)
        AND c.transaction_type = 'charge'
    WHERE r.refunded_usd IS DISTINCT FROM t.refunded_usd OR r.charged_usd IS DISTINCT FROM -c.amount_usd
        OR r.refunded_usd > r.charged_usd
    UNION ALL
    SELECT coalesce(k.organization_id, t.organization_id), 'a transaction has one key',
        format('transaction %s, key %s', t.id, k.key)
    FROM (SELECT * FROM billing.idempotency WHERE kind = 'key' AND result_type = 'transaction') AS k
    FULL JOIN billing.credit_transactions AS t ON t.id = k.result_id
        AND t.organization_id = k.organization_id AND t.created_at = k.created_at
    WHERE k.key IS NULL OR t.id IS NULL
    UNION ALL
    SELECT t.organization_id, 'a transaction has one key', format('transaction %s has %s', t.id, count(*))
    FROM billing.credit_transactions AS t
    JOIN billing.idempotency AS k ON k.result_id = t.id AND k.kind = 'key'
    GROUP BY t.organization_id, t.id HAVING count(*) > 1
    UNION ALL
    SELECT i.organization_id, 'an invoice is its lines', format('invoice %s', i.id)
    FROM billing.invoices AS i CROSS JOIN LATERAL (
        SELECT coalesce(sum((line ->> 'amount_usd')::numeric), 0) AS amount_usd,
            coalesce(sum((line ->> 'amount_billing_currency')::numeric), 0) AS amount
        FROM jsonb_array_elements(i.line_items) AS line
    ) AS lines
    WHERE (lines.amount_usd, lines.amount) <> (i.subtotal_usd, i.subtotal_billing_currency)
    UNION ALL
    SELECT i.organization_id, 'an issued invoice is what was charged in its period',
        format('invoice %s: %s, charged %s', i.invoice_number, i.subtotal_usd, charged.amount_usd)
    FROM billing.invoices AS i CROSS JOIN LATERAL (
        SELECT coalesce(sum(s.amount_usd), 0) AS amount_usd FROM billing.spend_logs AS s
        WHERE s.organization_id = i.organization_id AND s.transaction_id IS NOT NULL
            AND s.created_at >= i.period_start AND s.created_at < i.period_end
    ) AS charged
    WHERE i.invoice_number IS NOT NULL AND i.subtotal_usd <> charged.amount_usd
    UNION ALL
    SELECT NULL, 'numbers have no gap', format('%s-%s: %s of %s', c.series, c.year, count(n), c.last)
    FROM billing.document_counters AS c
    LEFT JOIN (
        SELECT invoice_number AS n FROM billing.invoices
        UNION ALL SELECT credit_note_number FROM billing.credit_notes
    ) AS numbers ON n LIKE format('%s-%s-%%', c.series, c.year)
    GROUP BY c.series, c.year, c.last HAVING count(n) <> c.last
    UNION ALL
    SELECT NULL, 'the application cannot rewrite the ledger', format('%s may %s %s', r.role, p.privilege, c.relname)
    FROM pg_class AS c
    CROSS JOIN (VALUES ('synaxis_app'), ('synaxis_ledger')) AS r (role)
    CROSS JOIN (VALUES ('UPDATE'), ('DELETE'), ('TRUNCATE')) AS p (privilege)
    WHERE c.relnamespace = 'billing'::regnamespace AND c.relkind IN ('r', 'p')
        AND (p.privilege <> 'UPDATE' OR r.role = 'synaxis_app' OR c.relname ~ '^(credit_transactions|spend_logs|idempotency)')
        -- Not of the ledger: what has been told goes, and who no longer wants to be told.
        AND NOT (r.role = 'synaxis_ledger' AND c.relname IN ('invalidations', 'webhook_endpoints'))
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
    SELECT NULL, 'what was written is never changed', format('trigger %s of %s is off', g.tgname, g.tgrelid::regclass)
    FROM pg_trigger AS g
    WHERE g.tgfoid IN ('billing.refuse_change'::regproc, 'billing.refuse_change_but_erasure'::regproc)
        AND g.tgenabled = 'D'
$$;
