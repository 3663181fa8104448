-- Invoices: the usage of a period in the organization's currency, what credit settled of it, and what is due. A
-- draft is computed again on demand; an issued invoice never changes but for its status.

-- An invoice without its lines.
-- api helper
CREATE OR REPLACE FUNCTION billing.invoice_summary(i billing.invoices) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', i.id,
        'organization_id', i.organization_id,
        'kind', i.kind,
        'transaction_id', i.transaction_id,
        'invoice_number', i.invoice_number,
        'corrects_number', i.corrects_number,
        'status', i.status,
        'period_start', i.period_start,
        'period_end', i.period_end,
        'timezone', i.timezone,
        'first_day', i.first_day,
        'last_day', i.last_day,
        'billing_currency', i.billing_currency,
        'minor_units', i.minor_units,
        'exchange_rate', i.exchange_rate::text,
        'rate_source', i.rate_source,
        'rate_as_of', i.rate_as_of,
        'line_count', i.line_count,
        'subtotal_usd', i.subtotal_usd::text,
        'tax_usd', i.tax_usd::text,
        'total_amount_usd', i.total_amount_usd::text,
        'subtotal_billing_currency', i.subtotal_billing_currency::text,
        'tax_billing_currency', i.tax_billing_currency::text,
        'total_amount_billing_currency', i.total_amount_billing_currency::text,
        'settled', i.settled,
        'amount_due_usd', i.amount_due_usd::text,
        'amount_due_billing_currency', i.amount_due_billing_currency::text,
        'credit', i.credit,
        'tax', i.tax,
        'seller', i.seller,
        'customer', i.customer,
        'locale', i.locale,
        'payment_terms_days', i.payment_terms_days,
        'issued_at', i.issued_at,
        'issue_date', i.issue_date,
        'due_date', i.due_date,
        'paid_at', i.paid_at,
        'created_at', i.created_at,
        'updated_at', i.updated_at
    )
$$;

-- An invoice with its first 500 lines, and the sums of the others: an answer has its largest size.
-- api helper
CREATE OR REPLACE FUNCTION billing.invoice_json(i billing.invoices) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT (billing.invoice_summary(i) || jsonb_build_object(
        'line_items', jsonb_path_query_array(i.line_items, '$[0 to 499]'),
        'further_lines', (
            SELECT jsonb_build_object(
                'lines', count(*),
                'requests', sum((line ->> 'requests')::numeric),
                'tokens', sum((line ->> 'tokens')::numeric),
                'amount_usd', sum((line ->> 'amount_usd')::numeric)::text,
                'amount_billing_currency', sum((line ->> 'amount_billing_currency')::numeric)::text)
            FROM jsonb_path_query(i.line_items, '$[500 to last]') AS line
            WHERE i.line_count > 500
            HAVING count(*) > 0)))::json
$$;

-- Compute the draft of a period, a new one if there is none; return the invoice if it was issued.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.draft_invoice(
    p_tenant text, p_organization_id uuid, p_period_start timestamptz, p_period_end timestamptz,
    p_terms jsonb
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    i billing.invoices;
    v_known boolean;
BEGIN
    IF o.id IS NULL THEN
        RETURN billing.outcome('organization_not_found');
    ELSIF NOT p_terms -> 'rates' ? o.billing_currency THEN
        RETURN billing.outcome('unsupported_currency');
    END IF;
    i := billing.invoice_of_period(o, p_period_start, p_period_end);
    v_known := i.updated_at IS NOT NULL;
    IF (i.period_start, i.period_end) <> (p_period_start, p_period_end) THEN
        RETURN billing.overlapping(i);
    ELSIF i.status <> 'draft' THEN
        RETURN billing.outcome('replayed', billing.invoice_json(i));
    END IF;
    i := billing.computed_invoice(i, o, p_terms);
    PERFORM billing.store_invoice(i, o);
    RETURN billing.outcome(CASE WHEN v_known THEN 'replayed' ELSE 'created' END, billing.invoice_json(i));
END $$;

-- The invoice of the period, or another that overlaps it, or a draft that is not computed or stored yet.
CREATE OR REPLACE FUNCTION billing.invoice_of_period(
    o billing.organizations, p_period_start timestamptz, p_period_end timestamptz
) RETURNS billing.invoices LANGUAGE plpgsql STABLE AS $$
DECLARE
    i billing.invoices;
BEGIN
    SELECT * INTO i FROM billing.invoices
    WHERE organization_id = o.id AND status <> 'cancelled' AND kind = 'usage'
        AND period_start < p_period_end AND period_end > p_period_start
    ORDER BY (period_start, period_end) = (p_period_start, p_period_end) DESC LIMIT 1;
    IF NOT FOUND THEN
        i.id := uuidv7();
        i.organization_id := o.id;
        i.kind := 'usage';
        i.status := 'draft';
        i.period_start := p_period_start;
        i.period_end := p_period_end;
        i.created_at := o.changed_at;
    END IF;
    RETURN i;
END $$;

CREATE OR REPLACE FUNCTION billing.overlapping(i billing.invoices) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT billing.invalid_state(format('The period overlaps that of invoice %s, from %s to %s.',
        i.id, billing.instant(i.period_start), billing.instant(i.period_end)))
$$;

-- The invoice with what the profile and p_terms say: {"rates": {currency: {"rate", "source", "as_of",
-- "minor_units"}}, "seller": {...}}.
CREATE OR REPLACE FUNCTION billing.on_terms(i billing.invoices, o billing.organizations, p_terms jsonb)
RETURNS billing.invoices LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_rate jsonb := p_terms -> 'rates' -> coalesce(i.billing_currency, o.billing_currency);
BEGIN
    i.timezone := o.timezone;
    i.first_day := i.period_start AT TIME ZONE o.timezone;
    -- That of a top-up is an instant.
    i.last_day := (i.period_end - CASE i.kind WHEN 'usage' THEN interval '1 microsecond' ELSE interval '0' END)
        AT TIME ZONE o.timezone;
    i.billing_currency := coalesce(i.billing_currency, o.billing_currency);
    i.minor_units := (v_rate ->> 'minor_units')::int;
    i.exchange_rate := (v_rate ->> 'rate')::numeric;
    i.rate_source := v_rate ->> 'source';
    i.rate_as_of := (v_rate ->> 'as_of')::timestamptz;
    i.tax := o.tax;
    i.seller := p_terms -> 'seller';
    i.customer := jsonb_build_object('number', o.external_id, 'name', o.name, 'address', o.address,
        'tax_id', o.tax ->> 'tax_id', 'reference', o.buyer_reference);
    i.locale := o.locale;
    i.payment_terms_days := o.payment_terms_days;
    i.updated_at := o.changed_at;
    RETURN i;
END $$;

-- Store the invoice, and the organization's clock with it: every later charge is after the invoice.
CREATE OR REPLACE FUNCTION billing.store_invoice(i billing.invoices, o billing.organizations)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing.save_organization(o);
    INSERT INTO billing.invoices (
        id, organization_id, kind, transaction_id, invoice_number, corrects_number, status, period_start, period_end,
        timezone, first_day, last_day, billing_currency, minor_units, exchange_rate, rate_source, rate_as_of,
        line_items, line_count, subtotal_usd, tax_usd, total_amount_usd, subtotal_billing_currency,
        tax_billing_currency, total_amount_billing_currency, settled, settled_usd, settled_billing_currency,
        amount_due_usd, amount_due_billing_currency, drawn_from_usd, drawn_to_usd, credit, tax, seller, customer,
        locale, payment_terms_days, issued_at, issue_date, due_date, paid_at, created_at, updated_at
    ) VALUES (
        i.id, i.organization_id, i.kind, i.transaction_id, i.invoice_number, i.corrects_number, i.status,
        i.period_start, i.period_end, i.timezone, i.first_day, i.last_day, i.billing_currency, i.minor_units,
        i.exchange_rate, i.rate_source, i.rate_as_of, i.line_items, i.line_count, i.subtotal_usd, i.tax_usd,
        i.total_amount_usd, i.subtotal_billing_currency, i.tax_billing_currency, i.total_amount_billing_currency,
        i.settled, i.settled_usd, i.settled_billing_currency, i.amount_due_usd, i.amount_due_billing_currency,
        i.drawn_from_usd, i.drawn_to_usd, i.credit, i.tax, i.seller, i.customer, i.locale, i.payment_terms_days,
        i.issued_at, i.issue_date, i.due_date, i.paid_at, i.created_at, i.updated_at
    )
    ON CONFLICT (organization_id, id) DO UPDATE SET
        invoice_number = i.invoice_number, status = i.status, timezone = i.timezone, first_day = i.first_day,
        last_day = i.last_day, billing_currency = i.billing_currency, minor_units = i.minor_units,
        exchange_rate = i.exchange_rate, rate_source = i.rate_source, rate_as_of = i.rate_as_of,
        line_items = i.line_items, line_count = i.line_count, subtotal_usd = i.subtotal_usd,
        tax_usd = i.tax_usd, total_amount_usd = i.total_amount_usd,
        subtotal_billing_currency = i.subtotal_billing_currency, tax_billing_currency = i.tax_billing_currency,
        total_amount_billing_currency = i.total_amount_billing_currency, settled = i.settled,
        settled_usd = i.settled_usd, settled_billing_currency = i.settled_billing_currency,
        amount_due_usd = i.amount_due_usd, amount_due_billing_currency = i.amount_due_billing_currency,
        drawn_from_usd = i.drawn_from_usd, drawn_to_usd = i.drawn_to_usd, credit = i.credit, tax = i.tax,
        seller = i.seller, customer = i.customer, locale = i.locale, payment_terms_days = i.payment_terms_days,
        issued_at = i.issued_at, issue_date = i.issue_date, due_date = i.due_date, paid_at = i.paid_at,
        updated_at = i.updated_at;
END $$;

-- Compute the draft a last time, number it and issue it; a repeated call returns the same invoice. The
-- terms contain the "series" of the number too.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.issue_invoice(
    p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_terms jsonb
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    i billing.invoices;
BEGIN
    SELECT * INTO i FROM billing.invoices WHERE id = p_invoice_id AND organization_id = o.id;
    IF NOT FOUND THEN
        RETURN billing.no_invoice(o);
    ELSIF i.status = 'cancelled' THEN
        RETURN billing.invalid_state('The invoice is cancelled.');
    ELSIF i.status <> 'draft' THEN
        RETURN billing.outcome('replayed', billing.invoice_json(i));
    ELSIF NOT p_terms -> 'rates' ? o.billing_currency THEN
        RETURN billing.outcome('unsupported_currency');
    ELSIF o.changed_at < i.period_end THEN
        RETURN billing.invalid_state(format('The period ends at %s.', billing.instant(i.period_end)));
    END IF;
    RETURN billing.issue(i, o, p_terms, 'found');
END $$;

-- Compute the invoice of a period a last time, issue it, and put the debt on it.
CREATE OR REPLACE FUNCTION billing.issue(
    i billing.invoices, o billing.organizations, p_terms jsonb, p_outcome text
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    v_refusal json;
BEGIN
    o := billing.settle(o, o.changed_at);
    i := billing.computed_invoice(i, o, p_terms);
    v_refusal := billing.seller_is_incomplete(i);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    i := billing.issued_invoice(i, o, p_terms ->> 'series');
    PERFORM billing.put_on_invoice(i);
    RETURN billing.outcome(p_outcome, billing.invoice_json(i));
END $$;

-- The refusal to issue an invoice with tax that does not name its seller as tax law asks (EU directive 2006/112,
-- article 226); NULL when it does.
CREATE OR REPLACE FUNCTION billing.seller_is_incomplete(i billing.invoices) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT billing.invalid_state(format('The invoice charges tax, but the seller has no %s; set InvoiceSeller.',
        string_agg(member, ' and no ' ORDER BY place)))
    FROM unnest(ARRAY['name', 'address', 'tax_id']) WITH ORDINALITY AS needed (member, place)
    WHERE i.tax_usd > 0 AND coalesce(i.seller ->> member, '') = ''
    HAVING count(*) > 0
$$;

-- The computed draft, numbered and stored as issued. A statement, which asks for nothing, and the invoice of a
-- top-up are paid.
CREATE OR REPLACE FUNCTION billing.issued_invoice(
    i billing.invoices, o billing.organizations, p_series text
) RETURNS billing.invoices LANGUAGE plpgsql AS $$
BEGIN
    i.status := CASE WHEN i.kind = 'topup' OR i.amount_due_usd = 0 THEN 'paid' ELSE 'issued' END;
    i.paid_at := CASE WHEN i.kind = 'topup' THEN i.period_end WHEN i.amount_due_usd = 0 THEN o.changed_at END;
    i.issued_at := o.changed_at;
    i.issue_date := o.changed_at AT TIME ZONE o.timezone;
    i.due_date := CASE i.status WHEN 'issued' THEN i.issue_date + o.payment_terms_days END;
    i.invoice_number := billing.next_number(p_series, o.changed_at);
    PERFORM billing.store_invoice(i, o);
    RETURN i;
END $$;

-- Take the next number of a series in a year: INV-2026-000001. Other transactions wait for this one to
-- end, so take it last.
CREATE OR REPLACE FUNCTION billing.next_number(p_series text, p_instant timestamptz) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_year int := extract(year FROM p_instant AT TIME ZONE 'UTC');
    v_last bigint;
BEGIN
    INSERT INTO billing.document_counters AS c (series, year, last) VALUES (p_series, v_year, 1)
    ON CONFLICT (series, year) DO UPDATE SET last = c.last + 1 RETURNING c.last INTO v_last;
    RETURN format('%s-%s-%s', p_series, v_year, lpad(v_last::text, greatest(6, length(v_last::text)), '0'));
END $$;

-- api helper
CREATE OR REPLACE FUNCTION billing.no_invoice(o billing.organizations) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT billing.outcome(CASE WHEN o.id IS NULL THEN 'organization_not_found' ELSE 'invoice_not_found' END)
$$;

-- Cancel a draft, or a statement, which asks for nothing. A credit note takes back any other.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.cancel_invoice(
    p_tenant text, p_organization_id uuid, p_invoice_id uuid
) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    i billing.invoices;
BEGIN
    SELECT * INTO i FROM billing.invoices WHERE id = p_invoice_id AND organization_id = o.id;
    IF NOT FOUND THEN
        RETURN billing.no_invoice(o);
    ELSIF i.status = 'cancelled' THEN
        RETURN billing.outcome('replayed', billing.invoice_json(i));
    ELSIF i.status <> 'draft' AND i.amount_due_usd > 0 THEN
        RETURN billing.invalid_state(format(
            'The invoice is %s: only a credit note takes it back.', i.status));
    END IF;
    UPDATE billing.invoices SET status = 'cancelled', updated_at = o.changed_at
    WHERE organization_id = o.id AND id = i.id RETURNING * INTO i;
    PERFORM billing.forget_invoice(i);
    RETURN billing.outcome('found', billing.invoice_json(i));
END $$;

-- Invalidate the cached invoice, which was final and has changed all the same.
CREATE OR REPLACE FUNCTION billing.forget_invoice(i billing.invoices) RETURNS void LANGUAGE sql AS $$
    INSERT INTO billing.invalidations (tenant, keys, tags, version)
    VALUES (i.organization_id, ARRAY['invoice:' || i.id], '{}', billing.version_of(i.updated_at))
$$;

-- The organizations after p_after that have issued invoices whose due date has passed in their time zone.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.due_invoices(p_tenant text, p_after uuid, p_limit int) RETURNS uuid[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN ARRAY(
        SELECT DISTINCT organization_id FROM billing.invoices
        WHERE organization_id > p_after AND status = 'issued'
            AND due_date <= (v_now AT TIME ZONE 'UTC')::date AND due_date < (v_now AT TIME ZONE timezone)::date
        ORDER BY 1 LIMIT p_limit);
END $$;

-- Mark an organization's issued invoices as overdue whose due date has passed; return how many.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.mark_overdue(p_tenant text, p_organization_id uuid) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
    v_marked int;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    UPDATE billing.invoices SET status = 'overdue', updated_at = v_now
    WHERE organization_id = p_organization_id AND status = 'issued'
        AND due_date < (v_now AT TIME ZONE timezone)::date;
    GET DIAGNOSTICS v_marked = ROW_COUNT;
    RETURN v_marked;
END $$;

-- api
CREATE OR REPLACE FUNCTION billing.invoice(p_tenant text, p_organization_id uuid, p_invoice_id uuid)
RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    i billing.invoices;
    o billing.organizations;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO i FROM billing.invoices WHERE id = p_invoice_id AND organization_id = p_organization_id;
    IF NOT FOUND THEN
        SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
        RETURN billing.no_invoice(o);
    END IF;
    RETURN billing.outcome('found', (billing.invoice_json(i)::jsonb
        || jsonb_build_object('version', billing.version_of(i.updated_at)))::json);
END $$;

-- List lines of an invoice, at most p_limit after the first p_after, the largest amount first.
-- api
CREATE OR REPLACE FUNCTION billing.invoice_lines(
    p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_after int, p_limit int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    i billing.invoices;
    o billing.organizations;
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    SELECT * INTO i FROM billing.invoices WHERE id = p_invoice_id AND organization_id = p_organization_id;
    IF NOT FOUND THEN
        SELECT * INTO o FROM billing.organizations WHERE id = p_organization_id;
        RETURN billing.no_invoice(o);
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(line ORDER BY place), '[]') FROM (
            SELECT line, place FROM jsonb_array_elements(i.line_items) WITH ORDINALITY AS l (line, place)
            ORDER BY place OFFSET p_after LIMIT p_limit
        ) AS page));
END $$;

-- List invoices, newest first, before the instant (exclusive) at which the earlier page ended.
-- api
CREATE OR REPLACE FUNCTION billing.invoices(
    p_tenant text, p_organization_id uuid, p_status text, p_before timestamptz, p_since timestamptz, p_limit int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(billing.invoice_summary(ROW(i.*)::billing.invoices)
            ORDER BY i.created_at DESC), '[]')
        FROM (
            SELECT * FROM billing.invoices
            WHERE organization_id = p_organization_id
                AND (p_status IS NULL OR status = p_status::billing.invoice_status)
                AND created_at < coalesce(p_before, 'infinity') AND created_at >= coalesce(p_since, '-infinity')
            ORDER BY CASE WHEN p_since IS NULL THEN created_at END DESC, created_at LIMIT p_limit
        ) AS i
    ));
END $$;

-- A draft may be computed again; an issued invoice changes its status alone, in order. A cancelled draft is
-- not a document: the erasure of a profile empties its customer.
CREATE OR REPLACE FUNCTION billing.guard_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.status = 'draft' AND NEW.status IN ('draft', 'issued', 'paid', 'cancelled')
            AND (NEW.id, NEW.organization_id, NEW.kind, NEW.period_start, NEW.period_end, NEW.created_at)
              = (OLD.id, OLD.organization_id, OLD.kind, OLD.period_start, OLD.period_end, OLD.created_at)
        THEN
            RETURN NEW;
        END IF;
        IF OLD.status = 'cancelled' AND OLD.invoice_number IS NULL
            AND NEW.customer ->> 'address' IS NULL AND NEW.customer ->> 'tax_id' IS NULL
            AND NEW.tax ->> 'tax_id' IS NULL AND NEW.tax - 'tax_id' IS NOT DISTINCT FROM OLD.tax - 'tax_id'
            AND to_jsonb(NEW) - ARRAY['customer', 'tax'] = to_jsonb(OLD) - ARRAY['customer', 'tax']
        THEN
            RETURN NEW;
        END IF;
        IF (OLD.status, NEW.status) IN (('issued', 'paid'), ('issued', 'overdue'), ('overdue', 'paid'),
                ('issued', 'cancelled'), ('overdue', 'cancelled'), ('paid', 'cancelled'),
                -- A reminder, and what follows the last.
                ('overdue', 'overdue'), ('overdue', 'uncollectible'), ('uncollectible', 'paid'),
                ('uncollectible', 'cancelled'))
            AND (NEW.status = 'paid' OR NEW.paid_at IS NOT DISTINCT FROM OLD.paid_at)
            AND to_jsonb(NEW) - ARRAY['status', 'paid_at', 'updated_at', 'reminders', 'reminded_on']
              = to_jsonb(OLD) - ARRAY['status', 'paid_at', 'updated_at', 'reminders', 'reminded_on']
            AND (NEW.status <> 'cancelled' OR NEW.amount_due_usd = (
                SELECT coalesce(sum(total_amount_usd), 0) FROM billing.credit_notes
                WHERE organization_id = NEW.organization_id AND invoice_id = NEW.id))
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% of an invoice that is %', TG_OP, OLD.status USING ERRCODE = 'restrict_violation';
END $$;
