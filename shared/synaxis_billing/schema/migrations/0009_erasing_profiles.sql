-- Erasing a profile leaves a record too.
ALTER TABLE billing.erasures ADD COLUMN profile boolean NOT NULL DEFAULT false;
GRANT INSERT ON billing.erasures TO synaxis_ledger;

-- A draft may be computed again. Of an issued invoice the state alone goes on, in its order. A draft that
-- was cancelled is no document: erasing a profile empties the customer that it names.
CREATE OR REPLACE FUNCTION billing.guard_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.status = 'draft' AND NEW.status IN ('draft', 'issued', 'cancelled')
            AND (NEW.id, NEW.organization_id, NEW.period_start, NEW.period_end, NEW.created_at)
              = (OLD.id, OLD.organization_id, OLD.period_start, OLD.period_end, OLD.created_at)
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
                ('issued', 'cancelled'), ('overdue', 'cancelled'), ('paid', 'cancelled'))
            AND (NEW.status = 'paid' OR NEW.paid_at IS NOT DISTINCT FROM OLD.paid_at)
            AND to_jsonb(NEW) - ARRAY['status', 'paid_at', 'updated_at']
              = to_jsonb(OLD) - ARRAY['status', 'paid_at', 'updated_at']
            AND (NEW.status <> 'cancelled' OR NEW.total_amount_usd = (
                SELECT coalesce(sum(total_amount_usd), 0) FROM billing.credit_notes
                WHERE invoice_id = NEW.id))
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% of an invoice that is %', TG_OP, OLD.status USING ERRCODE = 'restrict_violation';
END $$;
