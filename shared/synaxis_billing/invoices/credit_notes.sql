-- Credit notes: the only correction of an issued invoice, by its own exchange rate and tax. The credit
-- notes of an invoice never exceed what it asked for, less what was refunded of it; those that reach all of it cancel
-- it.

-- api helper
CREATE OR REPLACE FUNCTION billing.credit_note_json(n billing.credit_notes) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', n.id,
        'organization_id', n.organization_id,
        'invoice_id', n.invoice_id,
        'credit_note_number', n.credit_note_number,
        'issue_date', n.issue_date,
        'reason', n.reason,
        'subtotal_usd', n.subtotal_usd::text,
        'tax_usd', n.tax_usd::text,
        'total_amount_usd', n.total_amount_usd::text,
        'subtotal_billing_currency', n.subtotal_billing_currency::text,
        'tax_billing_currency', n.tax_billing_currency::text,
        'total_amount_billing_currency', n.total_amount_billing_currency::text,
        'transaction_id', n.transaction_id,
        'corrected_invoice_id', n.corrected_invoice_id,
        'created_at', n.created_at
    )
$$;

-- Credit all that is left of what an invoice asked for, or p_amount_usd of the net amount, by the invoice's own
-- exchange rate and tax. The last credit note takes the rest to the smallest unit, and cancels the invoice.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.credit_invoice(
    p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_key text, p_fingerprint bytea,
    p_amount_usd numeric, p_reason text, p_refund_credit boolean, p_initiated_by text, p_series text,
    p_grace_days int
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    i billing.invoices;
    n billing.credit_notes;
    rest billing.credit_notes;
    v_creditable_usd numeric;
    v_refusal json;
BEGIN
    v_refusal := billing.earlier_credit_note(o.id, p_key, p_fingerprint);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO i FROM billing.invoices WHERE id = p_invoice_id AND organization_id = o.id;
    IF NOT FOUND THEN
        RETURN billing.no_invoice(o);
    ELSIF i.status IN ('draft', 'cancelled') THEN
        RETURN billing.invalid_state(format('The invoice is %s: there is nothing to credit.', i.status));
    END IF;
    o := billing.settle(o, o.changed_at);
    rest := billing.uncredited(i);
    n := rest;
    v_creditable_usd := billing.creditable_usd(i, rest);
    v_refusal := billing.credit_refused(i, coalesce(p_amount_usd, v_creditable_usd), v_creditable_usd,
        p_refund_credit);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    ELSIF coalesce(p_amount_usd, v_creditable_usd) < rest.subtotal_usd THEN
        n := billing.part_of(i, rest, coalesce(p_amount_usd, v_creditable_usd));
    END IF;
    n.credit_note_number := billing.next_number(p_series, o.changed_at);
    IF p_refund_credit THEN
        n.transaction_id := billing.refund_invoice(o, i, n, p_initiated_by, p_fingerprint, p_grace_days);
    ELSE
        PERFORM billing.save_organization(CASE WHEN i.kind = 'usage' AND i.status <> 'paid'
            THEN billing.take_off_invoice(o, i, n) ELSE o END);
    END IF;
    n := billing.store_credit_note(n, i, o, p_reason, p_key, p_fingerprint);
    RETURN billing.outcome('created', billing.credit_note_json(n));
END $$;

-- Correct what the invoice of a top-up says of its parties: credit all that is left of it, and issue it again with
-- what the profile and the seller say now. Price, rate and tax stay, and no credit moves, so it may be used already.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.reissue_invoice(
    p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_key text, p_fingerprint bytea, p_reason text,
    p_terms jsonb, p_series text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    i billing.invoices;
    corrected billing.invoices;
    n billing.credit_notes;
    v_refusal json := billing.earlier_credit_note(o.id, p_key, p_fingerprint);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO i FROM billing.invoices WHERE id = p_invoice_id AND organization_id = o.id;
    IF NOT FOUND THEN
        RETURN billing.no_invoice(o);
    ELSIF i.kind <> 'topup' THEN
        RETURN billing.invalid_state(
            'The invoice is of usage: credit it whole, and draft its period again, in place of reissuing it.');
    ELSIF i.status = 'cancelled' THEN
        RETURN billing.invalid_state('The invoice is cancelled: there is nothing to credit.');
    END IF;
    n := billing.uncredited(i);
    corrected := billing.corrected_invoice(i, n, o, p_terms);
    v_refusal := coalesce(billing.credit_refused(i, n.subtotal_usd, n.subtotal_usd, false),
        billing.seller_is_incomplete(corrected));
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    n.corrected_invoice_id := corrected.id;
    n.credit_note_number := billing.next_number(p_series, o.changed_at);
    n := billing.store_credit_note(n, i, o, p_reason, p_key, p_fingerprint);
    PERFORM billing.issued_invoice(corrected, o, p_terms ->> 'series');
    RETURN billing.outcome('created', billing.credit_note_json(n));
END $$;

-- The invoice of a top-up as it is issued again: over what no credit note has taken back, to the parties of today.
CREATE OR REPLACE FUNCTION billing.corrected_invoice(
    i billing.invoices, rest billing.credit_notes, o billing.organizations, p_terms jsonb
) RETURNS billing.invoices LANGUAGE plpgsql AS $$
DECLARE
    -- It has the parties, the language and the days of today's terms, and the price of the credit.
    c billing.invoices := billing.on_terms(i, o, p_terms);
BEGIN
    c.id := uuidv7();
    c.corrects_number := i.invoice_number;
    c.created_at := o.changed_at;
    c.minor_units := i.minor_units;
    c.exchange_rate := i.exchange_rate;
    c.rate_source := i.rate_source;
    c.rate_as_of := i.rate_as_of;
    c.tax := i.tax || jsonb_build_object('tax_id', o.tax ->> 'tax_id');
    c.subtotal_usd := rest.subtotal_usd;
    c.subtotal_billing_currency := rest.subtotal_billing_currency;
    c.tax_usd := rest.tax_usd;
    c.tax_billing_currency := rest.tax_billing_currency;
    c.total_amount_usd := rest.total_amount_usd;
    c.total_amount_billing_currency := rest.total_amount_billing_currency;
    c.amount_due_usd := rest.total_amount_usd;
    c.amount_due_billing_currency := rest.total_amount_billing_currency;
    c.line_items := billing.line_of_credit(c);
    RETURN c;
END $$;

-- The answer to a key that made a credit note before; NULL when it made none.
CREATE OR REPLACE FUNCTION billing.earlier_credit_note(p_organization_id uuid, p_key text, p_fingerprint bytea)
RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    n billing.credit_notes;
BEGIN
    SELECT * INTO n FROM billing.credit_notes WHERE organization_id = p_organization_id AND idempotency_key = p_key;
    RETURN CASE
        WHEN n.id IS NULL THEN NULL
        WHEN n.fingerprint = p_fingerprint THEN billing.outcome('replayed', billing.credit_note_json(n))
        ELSE billing.outcome('idempotency_key_reused') END;
END $$;

-- Store a numbered credit note of these amounts. The one that takes the last of an invoice cancels it.
CREATE OR REPLACE FUNCTION billing.store_credit_note(
    n billing.credit_notes, i billing.invoices, o billing.organizations, p_reason text, p_key text,
    p_fingerprint bytea
) RETURNS billing.credit_notes LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing.credit_notes (
        id, organization_id, invoice_id, credit_note_number, issue_date, reason, subtotal_usd, tax_usd,
        total_amount_usd, subtotal_billing_currency, tax_billing_currency,
        total_amount_billing_currency, transaction_id, corrected_invoice_id, idempotency_key, fingerprint,
        created_at
    ) VALUES (
        uuidv7(), o.id, i.id, n.credit_note_number, o.changed_at AT TIME ZONE i.timezone, p_reason, n.subtotal_usd,
        n.tax_usd, n.subtotal_usd + n.tax_usd, n.subtotal_billing_currency, n.tax_billing_currency,
        n.subtotal_billing_currency + n.tax_billing_currency, n.transaction_id, n.corrected_invoice_id, p_key,
        p_fingerprint, o.changed_at
    ) RETURNING * INTO n;
    IF (billing.uncredited(i)).total_amount_usd = 0 THEN
        UPDATE billing.invoices SET status = 'cancelled', updated_at = o.changed_at
        WHERE organization_id = o.id AND id = i.id RETURNING * INTO i;
        PERFORM billing.forget_invoice(i);
    END IF;
    RETURN n;
END $$;

-- The refusal of a credit note that its invoice does not allow; NULL when it does.
CREATE OR REPLACE FUNCTION billing.credit_refused(
    i billing.invoices, p_amount_usd numeric, p_creditable_usd numeric, p_refund_credit boolean
) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN i.amount_due_usd = 0 THEN
            billing.invalid_state('The invoice asks for nothing; cancel it instead of crediting it.')
        WHEN p_amount_usd > p_creditable_usd OR p_creditable_usd = 0 THEN
            billing.outcome('credit_exceeds_invoice', json_build_object(
                'requested_usd', p_amount_usd::text, 'creditable_usd', p_creditable_usd::text))
        WHEN p_refund_credit AND i.kind = 'topup' THEN
            billing.invalid_state('The invoice is of a top-up, whose credit is returned by a payout.')
    END
$$;

-- What credit notes may still take of an invoice: of usage, what was not refunded; of a top-up, what was paid for the
-- credit that is left, since what was used is not returned.
CREATE OR REPLACE FUNCTION billing.creditable_usd(i billing.invoices, rest billing.credit_notes) RETURNS numeric
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT greatest(0, least(rest.subtotal_usd, CASE i.kind
            WHEN 'topup' THEN (
                -- Earlier credit notes took the difference to the cost, also of an invoice that this one corrects.
                SELECT rest.subtotal_usd - round(cost_basis_usd * (amount_usd - remaining_usd) / amount_usd, 8)
                FROM billing.credit_grants
                WHERE organization_id = i.organization_id AND transaction_id = i.transaction_id AND kind = 'paid'
            )
            ELSE billing.refundable_usd(i.organization_id, i.drawn_from_usd, i.drawn_to_usd, i.id) END))::numeric(28, 8));
END $$;

-- The amounts of a credit note over p_amount_usd of an invoice's net amount, which is less than the rest. All
-- that is credited so far is rounded, not each note: sixty notes of half a cent are thirty cents.
CREATE OR REPLACE FUNCTION billing.part_of(
    i billing.invoices, rest billing.credit_notes, p_amount_usd numeric
) RETURNS billing.credit_notes LANGUAGE plpgsql AS $$
DECLARE
    v_net_usd numeric := i.amount_due_usd - i.tax_usd - rest.subtotal_usd + p_amount_usd;
    v_tax_usd numeric := v_net_usd * billing.tax_rate(i.tax);
BEGIN
    rest.subtotal_usd := p_amount_usd;
    rest.tax_usd := round(v_tax_usd, 8) - (i.tax_usd - rest.tax_usd);
    -- What is due in the billing currency may be a unit less: it is rounded with what is settled.
    rest.subtotal_billing_currency := least(rest.subtotal_billing_currency,
        billing.in_currency(v_net_usd, i.exchange_rate, i.minor_units)
            - (billing.net_due(i) - rest.subtotal_billing_currency));
    rest.tax_billing_currency := billing.in_currency(v_tax_usd, i.exchange_rate, i.minor_units)
        - (i.tax_billing_currency - rest.tax_billing_currency);
    RETURN rest;
END $$;

-- What an invoice asks for, net of tax, in its billing currency.
CREATE OR REPLACE FUNCTION billing.net_due(i billing.invoices) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT i.amount_due_billing_currency - i.tax_billing_currency
$$;

-- The amounts that an invoice asked for and that no credit note has taken back yet.
CREATE OR REPLACE FUNCTION billing.uncredited(i billing.invoices) RETURNS billing.credit_notes
LANGUAGE plpgsql STABLE AS $$
DECLARE
    n billing.credit_notes;
BEGIN
    SELECT i.amount_due_usd - i.tax_usd - coalesce(sum(subtotal_usd), 0),
        i.tax_usd - coalesce(sum(tax_usd), 0),
        i.amount_due_usd - coalesce(sum(total_amount_usd), 0),
        billing.net_due(i) - coalesce(sum(subtotal_billing_currency), 0),
        i.tax_billing_currency - coalesce(sum(tax_billing_currency), 0),
        i.amount_due_billing_currency - coalesce(sum(total_amount_billing_currency), 0)
    INTO n.subtotal_usd, n.tax_usd, n.total_amount_usd, n.subtotal_billing_currency,
        n.tax_billing_currency, n.total_amount_billing_currency
    FROM billing.credit_notes WHERE organization_id = i.organization_id AND invoice_id = i.id;
    RETURN n;
END $$;

-- List credit notes of an invoice, at most p_limit after the first p_after, oldest first.
-- api
CREATE OR REPLACE FUNCTION billing.credit_notes(
    p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_after int, p_limit int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (
        SELECT FROM billing.invoices WHERE id = p_invoice_id AND organization_id = p_organization_id
    ) THEN
        SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
        RETURN billing.no_invoice(o);
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(billing.credit_note_json(ROW(n.*)::billing.credit_notes)
            ORDER BY n.created_at), '[]') FROM (
            SELECT * FROM billing.credit_notes
            WHERE organization_id = p_organization_id AND invoice_id = p_invoice_id
            ORDER BY created_at OFFSET p_after LIMIT p_limit
        ) AS n));
END $$;

-- api
CREATE OR REPLACE FUNCTION billing.credit_note(
    p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_credit_note_id uuid
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    o billing.organizations;
    n billing.credit_notes;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO n FROM billing.credit_notes
    WHERE organization_id = p_organization_id AND invoice_id = p_invoice_id AND id = p_credit_note_id;
    IF FOUND THEN
        RETURN billing.outcome('found', billing.credit_note_json(n));
    ELSIF EXISTS (
        SELECT FROM billing.invoices WHERE id = p_invoice_id AND organization_id = p_organization_id
    ) THEN
        RETURN billing.outcome('credit_note_not_found');
    END IF;
    SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
    RETURN billing.no_invoice(o);
END $$;
