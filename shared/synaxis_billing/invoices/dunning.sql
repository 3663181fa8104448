-- Dunning: an invoice that is not paid is asked for again on days 0, 3, 5 and 7 after it became overdue, and given up
-- the day after. The days are the organization's. Attempts to pay change nothing of that.

-- The organizations after p_after that have overdue invoices, but for those asked for today.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.organizations_to_dun(p_tenant text, p_after uuid, p_limit int) RETURNS uuid[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_now timestamptz := billing.now();
BEGIN
    PERFORM billing.set_tenant(p_tenant);
    RETURN ARRAY(
        SELECT DISTINCT organization_id FROM billing.invoices
        WHERE organization_id > p_after AND status = 'overdue'
            AND reminded_on IS DISTINCT FROM (v_now AT TIME ZONE timezone)::date
        ORDER BY 1 LIMIT p_limit);
END $$;

-- Ask for an organization's overdue invoices that are due to be asked for, at most once a day each, and give up those
-- whose last reminder was yesterday or before; return how many of either. p_suspend suspends an organization that
-- leaves an invoice unpaid for good, until it is paid.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.dun(p_tenant text, p_organization_id uuid, p_suspend boolean) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    c_days CONSTANT int[] := '{0, 3, 5, 7}';
    o billing.organizations := billing.lock_organization(p_tenant, p_organization_id);
    i billing.invoices;
    v_today date;
    v_overdue_days int;
    v_count int := 0;
BEGIN
    FOR i IN SELECT * FROM billing.invoices WHERE organization_id = o.id AND status = 'overdue' ORDER BY due_date LOOP
        v_today := o.changed_at AT TIME ZONE i.timezone;
        v_overdue_days := v_today - i.due_date - 1;
        CONTINUE WHEN i.reminded_on >= v_today;
        IF i.reminders < cardinality(c_days) THEN
            CONTINUE WHEN v_overdue_days < c_days[i.reminders + 1];
            UPDATE billing.invoices SET reminders = reminders + 1, reminded_on = v_today
            WHERE organization_id = o.id AND id = i.id RETURNING * INTO i;
            PERFORM billing.record_event(o.id, 'invoice.payment_failed', billing.reminder_of(i, v_overdue_days,
                i.due_date + 1 + c_days[i.reminders + 1]));
        ELSE
            UPDATE billing.invoices SET status = 'uncollectible', updated_at = o.changed_at
            WHERE organization_id = o.id AND id = i.id;
            IF p_suspend AND o.status = 'active' THEN
                o.status := 'suspended';
                o.suspended_because := 'unpaid_invoice';
                PERFORM billing.save_organization(o);
                PERFORM billing.profile_changed(o);
            END IF;
        END IF;
        v_count := v_count + 1;
    END LOOP;
    RETURN v_count;
END $$;

-- What a webhook tells of a reminder; p_next_on is the day of the next one, NULL after the last.
CREATE OR REPLACE FUNCTION billing.reminder_of(i billing.invoices, p_overdue_days int, p_next_on date) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'invoice_id', i.id,
        'invoice_number', i.invoice_number,
        'amount_due_usd', i.amount_due_usd::text,
        'billing_currency', i.billing_currency,
        'amount_due_billing_currency', round(i.amount_due_billing_currency, i.minor_units)::text,
        'due_date', i.due_date,
        'overdue_days', p_overdue_days,
        'reminder', i.reminders,
        'next_reminder_on', p_next_on)
$$;

-- The organization, active again if it was suspended for unpaid invoices and has no other one that was given up.
CREATE OR REPLACE FUNCTION billing.unsuspended(o billing.organizations, p_paid_invoice_id uuid)
RETURNS billing.organizations LANGUAGE plpgsql AS $$
BEGIN
    IF o.suspended_because = 'unpaid_invoice' AND NOT EXISTS (
        SELECT FROM billing.invoices
        WHERE organization_id = o.id AND id <> p_paid_invoice_id AND status = 'uncollectible')
    THEN
        o.status := 'active';
        o.suspended_because := NULL;
        PERFORM billing.profile_changed(o);
    END IF;
    RETURN o;
END $$;
