-- Payments: what a payer is asked for, and what a provider is asked to do. The row is written before the provider is
-- called, under an id that is the provider's key in every try.

-- api helper
CREATE OR REPLACE FUNCTION billing.payment_json(p billing.payments) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', p.id,
        'organization_id', p.organization_id,
        'purpose', p.purpose,
        'provider', p.provider,
        'status', p.status,
        'invoice_id', p.invoice_id,
        'credit_usd', p.credit_usd::text,
        'currency', p.currency,
        'amount', round(p.amount, p.minor_units)::text,
        'net', round(p.amount - p.tax, p.minor_units)::text,
        'tax', round(p.tax, p.minor_units)::text,
        'exchange_rate', p.exchange_rate::text,
        'rate_source', p.rate_source,
        'rate_as_of', p.rate_as_of,
        'captured', round(p.captured, p.minor_units)::text,
        'refunded', round(p.refunded, p.minor_units)::text,
        'disputed', round(p.disputed + p.lost, p.minor_units)::text,
        'dispute_state', p.dispute_state,
        'fee', p.fee::text,
        'fee_currency', p.fee_currency,
        'failure_code', p.failure_code,
        'checkout_url', CASE WHEN p.status IN ('pending', 'unknown') THEN p.checkout_url END,
        'expires_at', p.expires_at,
        'external_id', p.external_id,
        'credited_usd', p.credited_usd::text,
        'paid_out_usd', p.paid_out_usd::text,
        'charged_back_usd', p.charged_back_usd::text,
        'grant_id', p.grant_id,
        'transaction_id', p.transaction_id,
        'initiated_by', p.initiated_by,
        'created_at', p.created_at,
        'updated_at', p.updated_at
    )
$$;

-- The payment of an amount of credit, or of an invoice, on today's terms: a preview, which is not stored.
CREATE OR REPLACE FUNCTION billing.priced_payment(
    o billing.organizations, i billing.invoices, p_credit_usd numeric, p_terms jsonb
) RETURNS billing.payments LANGUAGE plpgsql AS $$
DECLARE
    p billing.payments;
    g billing.credit_grants;
    rest billing.credit_notes;
BEGIN
    IF i.id IS NULL THEN
        -- As its invoice will have it.
        g := billing.new_grant(o, 'paid', p_credit_usd, 50, NULL, p_credit_usd);
        i := billing.topup_invoice(g, o, p_terms);
        i.id := NULL;
        p.credit_usd := p_credit_usd;
        p.amount := i.total_amount_billing_currency;
        p.tax := i.tax_billing_currency;
    ELSE
        rest := billing.uncredited(i);
        p.credit_usd := rest.subtotal_usd;
        p.amount := rest.total_amount_billing_currency;
        p.tax := rest.tax_billing_currency;
    END IF;
    p.organization_id := o.id;
    p.invoice_id := i.id;
    p.currency := i.billing_currency;
    p.minor_units := i.minor_units;
    p.exchange_rate := i.exchange_rate;
    p.rate_source := i.rate_source;
    p.rate_as_of := i.rate_as_of;
    p.tax_terms := i.tax;
    RETURN p;
END $$;

-- What a top-up would cost.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.preview_payment(
    p_tenant text, p_organization_id uuid, p_credit_usd numeric, p_terms jsonb
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations;
    p billing.payments;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN billing.outcome('organization_not_found');
    ELSIF NOT p_terms -> 'rates' ? o.billing_currency THEN
        RETURN billing.outcome('unsupported_currency');
    END IF;
    p := billing.priced_payment(o, NULL, p_credit_usd, p_terms);
    RETURN billing.outcome('found', json_build_object(
        'credit_usd', p.credit_usd::text, 'currency', p.currency,
        'net', round(p.amount - p.tax, p.minor_units)::text, 'tax', round(p.tax, p.minor_units)::text,
        'amount', round(p.amount, p.minor_units)::text,
        'exchange_rate', p.exchange_rate::text, 'rate_source', p.rate_source, 'rate_as_of', p.rate_as_of,
        'tax_percent', (billing.tax_rate(p.tax_terms) * 100)::text));
END $$;

-- Ask a payer for credit, or for an issued invoice, whose open payment is returned if it has one. The provider
-- does not know of it yet. A closed organization may pay what it owes, and buys no credit.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.create_payment(
    p_tenant text, p_organization_id uuid, p_key text, p_fingerprint bytea, p_purpose text, p_provider text,
    p_credit_usd numeric, p_invoice_id uuid, p_return_url text, p_terms jsonb, p_initiated_by text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    i billing.invoices;
    p billing.payments;
    v_refusal json;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    SELECT * INTO p FROM billing.payments WHERE organization_id = o.id AND idempotency_key = p_key;
    IF FOUND THEN
        RETURN CASE WHEN p.fingerprint = p_fingerprint THEN billing.outcome('replayed', billing.payment_json(p))
            ELSE billing.outcome('idempotency_key_reused') END;
    ELSIF p_invoice_id IS NOT NULL THEN
        SELECT * INTO i FROM billing.invoices WHERE organization_id = o.id AND id = p_invoice_id;
        v_refusal := billing.not_payable(i, p_provider);
        IF v_refusal IS NOT NULL THEN
            RETURN v_refusal;
        END IF;
    ELSIF o.status = 'closed' THEN
        RETURN billing.invalid_state('The organization is closed: it can pay invoices, and buys no credit.');
    ELSIF NOT p_terms -> 'rates' ? o.billing_currency THEN
        RETURN billing.outcome('unsupported_currency');
    END IF;
    p := billing.priced_payment(o, i, p_credit_usd, p_terms);
    IF p.amount - p.tax <= 0 THEN
        RETURN billing.outcome('amount_too_small');
    END IF;
    i.tax_usd := p.tax;
    i.seller := p_terms -> 'seller';
    v_refusal := billing.seller_is_incomplete(i);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    p.purpose := p_purpose::billing.payment_purpose;
    p.provider := p_provider;
    p.return_url := p_return_url;
    p.initiated_by := p_initiated_by;
    p.idempotency_key := p_key;
    p.fingerprint := p_fingerprint;
    RETURN billing.outcome('created', billing.payment_json(billing.store_payment(o, p)));
END $$;

-- Why an invoice cannot be paid by a new payment: the refusal, or its open payment; NULL if it can.
CREATE OR REPLACE FUNCTION billing.not_payable(i billing.invoices, p_provider text) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    p billing.payments;
BEGIN
    IF i.id IS NULL THEN
        RETURN billing.outcome('invoice_not_found');
    ELSIF NOT billing.is_unpaid(i.status) THEN
        RETURN billing.payment_refused(i);
    END IF;
    SELECT * INTO p FROM billing.payments
    WHERE organization_id = i.organization_id AND invoice_id = i.id AND status IN ('pending', 'unknown');
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF p.provider <> p_provider THEN
        RETURN billing.invalid_state(format('Payment %s of the invoice is open with %s.', p.id, p.provider));
    END IF;
    RETURN billing.outcome('replayed', billing.payment_json(p));
END $$;

-- Store a new payment.
CREATE OR REPLACE FUNCTION billing.store_payment(o billing.organizations, p billing.payments)
RETURNS billing.payments LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing.payments (organization_id, id, purpose, provider, invoice_id, credit_usd, currency,
        minor_units, amount, tax, exchange_rate, rate_source, rate_as_of, tax_terms, return_url, next_ask_at,
        initiated_by, idempotency_key, fingerprint, created_at, updated_at)
    VALUES (o.id, billing.new_id(o.changed_at), p.purpose, p.provider, p.invoice_id, p.credit_usd, p.currency,
        p.minor_units, p.amount, p.tax, p.exchange_rate, p.rate_source, p.rate_as_of, p.tax_terms, p.return_url,
        o.changed_at + interval '1 minute', p.initiated_by, p.idempotency_key, p.fingerprint, o.changed_at,
        o.changed_at)
    RETURNING * INTO p;
    -- The provider's objects carry this id.
    PERFORM billing.know_objects(p, ARRAY[p.id::text]);
    PERFORM billing.save_organization(o);
    RETURN p;
END $$;

-- What a provider is to be asked of a payment now: the question is as old as this answer.
-- api
CREATE OR REPLACE FUNCTION billing.payment_order(p_tenant text, p_organization_id uuid, p_payment_id uuid)
RETURNS json LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    o billing.organizations;
    p billing.payments;
    c billing.payment_customers;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    SELECT * INTO p FROM billing.payments WHERE organization_id = p_organization_id AND id = p_payment_id;
    IF p.id IS NULL THEN
        RETURN billing.outcome(CASE WHEN o.id IS NULL THEN 'organization_not_found' ELSE 'payment_not_found' END);
    END IF;
    SELECT * INTO c FROM billing.payment_customers
    WHERE organization_id = o.id AND provider = p.provider;
    RETURN billing.outcome('found', json_build_object(
        'as_of', billing.now(), 'status', p.status, 'id', p.id, 'organization_id', o.id, 'name', o.name,
        'email', o.email, 'purpose', p.purpose, 'provider', p.provider, 'currency', p.currency,
        'amount', round(p.amount, p.minor_units)::text, 'minor_units', p.minor_units, 'return_url', p.return_url,
        'external_id', p.external_id, 'customer_id', c.customer_id, 'payment_method_id', c.payment_method_id,
        'created_at', p.created_at,
        'refunds', (
            SELECT coalesce(json_agg(json_build_object('id', r.id, 'status', r.status,
                'amount', round(r.amount, p.minor_units)::text, 'external_id', r.external_id,
                'created_at', r.created_at) ORDER BY r.created_at), '[]')
            FROM billing.payment_refunds AS r
            WHERE r.organization_id = o.id AND r.payment_id = p.id)));
END $$;

-- Record the page on which the payer pays, or that the provider did not answer.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.record_checkout(
    p_tenant text, p_organization_id uuid, p_payment_id uuid, p_external_id text, p_checkout_url text,
    p_expires_at timestamptz, p_customer_id text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    p billing.payments;
BEGIN
    UPDATE billing.payments SET external_id = coalesce(external_id, p_external_id),
        checkout_url = coalesce(checkout_url, p_checkout_url), expires_at = coalesce(expires_at, p_expires_at),
        status = CASE WHEN status NOT IN ('pending', 'unknown') THEN status
            WHEN coalesce(external_id, p_external_id) IS NULL THEN 'unknown' ELSE 'pending' END,
        updated_at = o.changed_at
    WHERE organization_id = o.id AND id = p_payment_id RETURNING * INTO p;
    IF NOT FOUND THEN
        RETURN billing.outcome('payment_not_found');
    END IF;
    PERFORM billing.know_objects(p, ARRAY[p_external_id]);
    PERFORM billing.know_customer(p, p_customer_id, o.changed_at);
    RETURN billing.outcome('found', billing.payment_json(p));
END $$;

-- Remember the provider's customer of an organization.
CREATE OR REPLACE FUNCTION billing.know_customer(
    p billing.payments, p_customer_id text, p_at timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_customer_id IS NOT NULL THEN
        INSERT INTO billing.payment_customers AS c (organization_id, provider, customer_id, updated_at)
        VALUES (p.organization_id, p.provider, p_customer_id, p_at)
        ON CONFLICT (organization_id, provider) DO NOTHING;
    END IF;
END $$;

-- One payment, as it was settled last.
-- api
CREATE OR REPLACE FUNCTION billing.payment(p_tenant text, p_organization_id uuid, p_payment_id uuid)
RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    p billing.payments;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO p FROM billing.payments WHERE organization_id = p_organization_id AND id = p_payment_id;
    IF FOUND THEN
        RETURN billing.outcome('found', billing.payment_json(p));
    END IF;
    RETURN billing.outcome(CASE WHEN EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id)
        THEN 'payment_not_found' ELSE 'organization_not_found' END);
END $$;

-- List payments, newest first, before an instant (exclusive).
-- api
CREATE OR REPLACE FUNCTION billing.payments(
    p_tenant text, p_organization_id uuid, p_status text, p_before timestamptz, p_since timestamptz, p_limit int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(billing.payment_json(ROW(p.*)::billing.payments)
            ORDER BY p.created_at DESC), '[]') FROM (
            SELECT * FROM billing.payments
            WHERE organization_id = p_organization_id
                AND created_at < coalesce(p_before, 'infinity') AND created_at >= coalesce(p_since, '-infinity')
                AND (p_status IS NULL OR status = p_status::billing.payment_status)
            ORDER BY CASE WHEN p_since IS NULL THEN created_at END DESC, created_at LIMIT p_limit
        ) AS p));
END $$;

-- List payments of all organizations, newest first, before the id (exclusive) that a page ended at.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.platform_payments(
    p_tenant text, p_status text, p_dispute_state text, p_before uuid, p_since uuid, p_limit int
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN (
        SELECT coalesce(json_agg(billing.payment_json(ROW(p.*)::billing.payments) ORDER BY p.id DESC), '[]') FROM (
            SELECT * FROM billing.payments
            WHERE (p_before IS NULL OR id < p_before) AND (p_since IS NULL OR id >= p_since)
                AND (p_status IS NULL OR status = p_status::billing.payment_status)
                AND (p_dispute_state IS NULL OR dispute_state = p_dispute_state)
            ORDER BY CASE WHEN p_since IS NULL THEN id END DESC, id LIMIT p_limit
        ) AS p);
END $$;

-- Empty the initiators of payments, of their refunds and of automatic top-ups, of all or of one; and of all, what the
-- providers wrote of payers.
CREATE OR REPLACE FUNCTION billing.erase_payments(p_organization_id uuid, p_initiated_by text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE billing.payments SET initiated_by = NULL
    WHERE organization_id = p_organization_id AND initiated_by IS NOT NULL
        AND (p_initiated_by IS NULL OR initiated_by = p_initiated_by);
    UPDATE billing.payment_refunds SET initiated_by = NULL
    WHERE organization_id = p_organization_id AND initiated_by IS NOT NULL
        AND (p_initiated_by IS NULL OR initiated_by = p_initiated_by);
    UPDATE billing.auto_topups SET initiated_by = NULL
    WHERE organization_id = p_organization_id AND (p_initiated_by IS NULL OR initiated_by = p_initiated_by);
    UPDATE billing.payment_events SET body = ''
    WHERE p_initiated_by IS NULL AND organization_id = p_organization_id AND body <> '';
END $$;
