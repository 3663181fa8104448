-- Debt that invoices ask for. An issued invoice takes the debt of its period, which then no new credit covers;
-- the invoice's payment does, and nothing else. Callers hold the organization's row lock, and have settled it.

-- Whether an invoice in this state still asks for its money.
-- api helper
CREATE OR REPLACE FUNCTION billing.is_unpaid(p_status billing.invoice_status) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$ SELECT p_status IN ('issued', 'overdue', 'uncollectible') $$;

-- The refusal of a payment of an invoice that does not ask for one.
CREATE OR REPLACE FUNCTION billing.payment_refused(i billing.invoices) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT billing.invalid_state(format('The invoice is %s: it cannot be paid.', i.status))
$$;

-- Put the debt of an invoice's period on it.
CREATE OR REPLACE FUNCTION billing.put_on_invoice(i billing.invoices) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing.cut_allocation(i.organization_id, i.drawn_from_usd);
    PERFORM billing.cut_allocation(i.organization_id, i.drawn_to_usd);
    UPDATE billing.allocations SET invoice_id = i.id
    WHERE organization_id = i.organization_id AND grant_id IS NULL AND refund_id IS NULL
        AND from_usd >= i.drawn_from_usd AND from_usd < i.drawn_to_usd;
END $$;

-- Record that an issued invoice was paid, by a top-up that covers its debt; a repeated call keeps the first time.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.pay_invoice(
    p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_paid_at timestamptz, p_initiated_by text
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    i billing.invoices;
BEGIN
    SELECT * INTO i FROM billing.invoices WHERE id = p_invoice_id AND organization_id = o.id;
    IF NOT FOUND THEN
        RETURN billing.no_invoice(o);
    ELSIF i.status = 'paid' THEN
        RETURN billing.outcome('replayed', billing.invoice_json(i));
    ELSIF NOT billing.is_unpaid(i.status) THEN
        RETURN billing.payment_refused(i);
    END IF;
    RETURN billing.outcome('found', billing.invoice_json(billing.mark_paid(o, i, p_paid_at, p_initiated_by)));
END $$;

-- Cover the debt of an issued invoice, and mark it as paid; the organization is written back.
CREATE OR REPLACE FUNCTION billing.mark_paid(
    o billing.organizations, i billing.invoices, p_paid_at timestamptz, p_initiated_by text
) RETURNS billing.invoices LANGUAGE plpgsql AS $$
BEGIN
    o := billing.unsuspended(billing.settle(o, o.changed_at), i.id);
    PERFORM billing.cover_invoice(o, i, p_initiated_by);
    UPDATE billing.invoices
    SET status = 'paid', paid_at = coalesce(p_paid_at, o.changed_at), updated_at = o.changed_at
    WHERE organization_id = o.id AND id = i.id RETURNING * INTO i;
    RETURN i;
END $$;

-- Cover the debt of an invoice by a grant of its own, which is used up at once.
CREATE OR REPLACE FUNCTION billing.cover_invoice(
    o billing.organizations, i billing.invoices, p_initiated_by text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    rest billing.credit_notes := billing.uncredited(i);
    g billing.credit_grants := billing.new_grant(o, 'paid', rest.subtotal_usd, 50, NULL, rest.subtotal_usd);
    t billing.credit_transactions;
    v_covered_usd numeric;
BEGIN
    g.invoice_id := i.id;
    t := billing.next_transaction(o, 'topup', g.amount_usd, format('Payment of invoice %s', i.invoice_number),
        i.invoice_number, p_initiated_by, p_grants => billing.grant_terms(ARRAY[g]));
    g.remaining_usd := 0;
    PERFORM billing.insert_grants(billing.brought(ARRAY[g], t));
    WITH covered AS (
        UPDATE billing.allocations SET grant_id = g.id, covered_at = t.created_at
        WHERE organization_id = o.id AND invoice_id = i.id AND grant_id IS NULL AND refund_id IS NULL
        RETURNING to_usd - from_usd AS usd
    )
    SELECT coalesce(sum(usd), 0) INTO v_covered_usd FROM covered;
    IF v_covered_usd <> g.amount_usd THEN
        RAISE EXCEPTION 'invoice % asks for %, but its debt is %', i.id, g.amount_usd, v_covered_usd;
    END IF;
    PERFORM billing.store_transaction(o, t, billing.own_key('payment of invoice', i.id), t.hash);
END $$;

-- Give the amount of a credit note back, as a refund of what the invoice asked for: the last drawn first. Return the
-- transaction, and the organization as it leaves it, not yet stored.
CREATE OR REPLACE FUNCTION billing.refund_invoice(
    o billing.organizations, i billing.invoices, n billing.credit_notes, p_initiated_by text, p_fingerprint bytea,
    p_grace_days int
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    v_parts numeric[] := billing.cut_back(o.id, i.drawn_from_usd, i.drawn_to_usd, n.subtotal_usd, i.id);
    v_replacing billing.credit_grants[] := billing.replacing_grants(o, v_parts, p_grace_days);
    t billing.credit_transactions := billing.next_transaction(o, 'refund', n.subtotal_usd,
        format('Credit note %s', n.credit_note_number), n.credit_note_number, p_initiated_by,
        p_grants => billing.grant_terms(v_replacing));
BEGIN
    o := billing.restore_grants(o, t, v_parts, v_replacing);
    -- Keys of clients are ASCII, so no key equals this one.
    PERFORM billing.store_transaction(
        o, t, format('credit note № %s', n.credit_note_number), p_fingerprint);
    RETURN t.id;
END $$;

-- Take the amount of a credit note off an unpaid invoice: the debt is on no invoice again, so credit covers it.
CREATE OR REPLACE FUNCTION billing.take_off_invoice(
    o billing.organizations, i billing.invoices, n billing.credit_notes
) RETURNS billing.organizations LANGUAGE plpgsql AS $$
DECLARE
    v_parts numeric[] := billing.cut_back(o.id, i.drawn_from_usd, i.drawn_to_usd, n.subtotal_usd, i.id);
BEGIN
    UPDATE billing.allocations SET invoice_id = NULL
    WHERE organization_id = o.id AND from_usd = ANY (v_parts);
    RETURN billing.cover_by_all(o, o.changed_at);
END $$;
