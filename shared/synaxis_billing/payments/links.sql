-- Links by which anybody who has the token pays one invoice, and can do nothing else, until it expires.

-- Make a link for an invoice that can be paid; only the token's hash is stored.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.create_payment_link(
    p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_token_hash bytea, p_expires_in interval
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    i billing.invoices;
    v_expires_at timestamptz := billing.now() + p_expires_in;
BEGIN
    SELECT * INTO i FROM billing.invoices WHERE organization_id = o.id AND id = p_invoice_id;
    IF NOT FOUND THEN
        RETURN billing.no_invoice(o);
    ELSIF NOT billing.is_unpaid(i.status) THEN
        RETURN billing.payment_refused(i);
    END IF;
    INSERT INTO billing.payment_links (organization_id, token_hash, invoice_id, expires_at, created_at)
    VALUES (o.id, p_token_hash, i.id, v_expires_at, o.changed_at);
    RETURN billing.outcome('created', json_build_object('invoice_id', i.id, 'expires_at', v_expires_at));
END $$;

-- What a link asks for.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.payment_link(p_tenant text, p_organization_id uuid, p_token_hash bytea)
RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_link billing.payment_links;
    i billing.invoices;
    rest billing.credit_notes;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO v_link FROM billing.payment_links
    WHERE organization_id = p_organization_id AND token_hash = p_token_hash AND expires_at > billing.now();
    IF NOT FOUND THEN
        RETURN billing.outcome('payment_link_not_found');
    END IF;
    SELECT * INTO STRICT i FROM billing.invoices
    WHERE organization_id = p_organization_id AND id = v_link.invoice_id;
    rest := billing.uncredited(i);
    RETURN billing.outcome('found', json_build_object(
        'invoice_id', i.id, 'invoice_number', i.invoice_number, 'status', i.status,
        'seller', i.seller ->> 'name', 'currency', i.billing_currency,
        'amount', round(CASE WHEN billing.is_unpaid(i.status) THEN rest.total_amount_billing_currency ELSE 0 END,
            i.minor_units)::text,
        'due_date', i.due_date, 'expires_at', v_link.expires_at));
END $$;
