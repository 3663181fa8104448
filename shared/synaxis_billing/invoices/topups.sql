-- Invoices of top-ups: credit is taxed when it is sold, so each top-up has an invoice, issued as paid. What cannot be
-- invoiced yet waits, and is tried again; the credit itself does not wait.

-- Issue the invoice of a top-up; a repeated call returns the same one. The terms are those of an issue.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.invoice_topup(
    p_tenant text, p_organization_id uuid, p_transaction_id uuid, p_terms jsonb
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    g billing.credit_grants;
    i billing.invoices;
    v_refusal json;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    SELECT * INTO i FROM billing.invoices
    WHERE organization_id = o.id AND transaction_id = p_transaction_id AND kind = 'topup' AND status <> 'cancelled';
    IF FOUND THEN
        RETURN billing.outcome('replayed', billing.invoice_json(i));
    END IF;
    SELECT * INTO g FROM billing.credit_grants
    WHERE organization_id = o.id AND transaction_id = p_transaction_id AND kind = 'paid';
    IF NOT FOUND THEN
        RETURN CASE WHEN billing.transaction_by_id(o.id, p_transaction_id) IS NULL
            THEN billing.outcome('transaction_not_found')
            ELSE billing.invalid_state(format('Transaction %s is not a top-up.', p_transaction_id)) END;
    ELSIF g.invoice_id IS NOT NULL THEN
        RETURN billing.invalid_state(format('Transaction %s is the payment of invoice %s.',
            p_transaction_id, g.invoice_id));
    ELSIF NOT p_terms -> 'rates' ? coalesce(g.paid ->> 'currency', o.billing_currency) THEN
        RETURN billing.outcome('unsupported_currency');
    END IF;
    i := billing.topup_invoice(g, o, p_terms);
    v_refusal := billing.seller_is_incomplete(i);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    i := billing.issued_invoice(i, o, p_terms ->> 'series');
    DELETE FROM billing.topups_to_invoice WHERE organization_id = o.id AND transaction_id = p_transaction_id;
    RETURN billing.outcome('created', billing.invoice_json(i));
END $$;

-- The invoice of the credit that a grant brought, not yet issued: in the currency of the payment and at its rate, if
-- the top-up named one.
CREATE OR REPLACE FUNCTION billing.topup_invoice(
    g billing.credit_grants, o billing.organizations, p_terms jsonb
) RETURNS billing.invoices LANGUAGE plpgsql AS $$
DECLARE
    i billing.invoices;
BEGIN
    i.id := uuidv7();
    i.organization_id := o.id;
    i.kind := 'topup';
    i.transaction_id := g.transaction_id;
    i.period_start := g.created_at;
    i.period_end := g.created_at;
    i.created_at := o.changed_at;
    i.billing_currency := g.paid ->> 'currency';
    i := billing.on_terms(i, o, p_terms);
    i.exchange_rate := coalesce((g.paid ->> 'exchange_rate')::numeric, i.exchange_rate);
    i.rate_source := coalesce(g.paid ->> 'rate_source', i.rate_source);
    i.rate_as_of := coalesce((g.paid ->> 'rate_as_of')::timestamptz, i.rate_as_of);
    -- A payment was taxed when it was made.
    i.tax := CASE WHEN g.paid ? 'tax' THEN nullif(g.paid -> 'tax', 'null') ELSE i.tax END;
    i.subtotal_usd := g.cost_basis_usd;
    i.subtotal_billing_currency := billing.in_currency(g.cost_basis_usd, i.exchange_rate, i.minor_units);
    i.settled := '[]';
    i.settled_usd := 0;
    i.settled_billing_currency := 0;
    i.line_items := billing.line_of_credit(i);
    i.line_count := 1;
    RETURN billing.with_tax_on(i, i.subtotal_usd);
END $$;

-- The only line of the invoice of a top-up.
CREATE OR REPLACE FUNCTION billing.line_of_credit(i billing.invoices) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_array(jsonb_build_object('description', 'Prepaid credit', 'model', NULL,
        'provider', NULL, 'requests', 0, 'tokens', 0,
        'amount_usd', i.subtotal_usd::numeric(28, 8)::text,
        'amount_billing_currency', i.subtotal_billing_currency::numeric(28, 4)::text))
$$;

-- The organizations after p_after with top-ups whose invoice is due.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.due_topups(p_tenant text, p_after uuid, p_limit int) RETURNS uuid[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN ARRAY(
        SELECT DISTINCT organization_id FROM billing.topups_to_invoice
        WHERE organization_id > p_after AND next_attempt_at <= v_now ORDER BY 1 LIMIT p_limit);
END $$;

-- An organization's top-ups whose invoice is due, each tried again in a minute if nothing is said of it until
-- then.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.claim_topups(p_tenant text, p_organization_id uuid) RETURNS uuid[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
    v_later timestamptz := v_now + interval '1 minute';
    v_claimed uuid[];
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    v_claimed := ARRAY(
        SELECT transaction_id FROM billing.topups_to_invoice
        WHERE organization_id = p_organization_id AND next_attempt_at <= v_now
        ORDER BY next_attempt_at FOR UPDATE SKIP LOCKED);
    UPDATE billing.topups_to_invoice SET attempts = attempts + 1, next_attempt_at = v_later
    WHERE organization_id = p_organization_id AND transaction_id = ANY (v_claimed);
    RETURN v_claimed;
END $$;

-- Record why a top-up could not be invoiced; it is tried again later and later, within a day.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.topup_failed(
    p_tenant text, p_organization_id uuid, p_transaction_id uuid, p_error text
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_attempts int;
    v_next timestamptz;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT attempts INTO v_attempts FROM billing.topups_to_invoice
    WHERE organization_id = p_organization_id AND transaction_id = p_transaction_id;
    v_next := billing.now() + least(interval '1 minute' * 2 ^ least(v_attempts, 11), interval '1 day');
    UPDATE billing.topups_to_invoice SET error = p_error, next_attempt_at = v_next
    WHERE organization_id = p_organization_id AND transaction_id = p_transaction_id;
END $$;

-- How many top-ups wait for their invoice after an attempt that failed.
-- api
CREATE OR REPLACE FUNCTION billing.failed_topups(p_tenant text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN (SELECT count(*) FROM billing.topups_to_invoice WHERE error IS NOT NULL);
END $$;
