-- The triggers: they keep stored rows unchanged, also for an administrator, and record webhook events. Their
-- functions are beside their nouns. Monthly partitions get theirs when they are made.

CREATE OR REPLACE TRIGGER immutable_update BEFORE UPDATE ON billing.credit_transactions
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change_but_erasure();
CREATE OR REPLACE TRIGGER immutable_delete BEFORE DELETE ON billing.credit_transactions
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.credit_transactions
    EXECUTE FUNCTION billing.refuse_change();

CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.credit_transactions_default
    EXECUTE FUNCTION billing.refuse_change();

CREATE OR REPLACE TRIGGER immutable_rows BEFORE UPDATE OR DELETE ON billing.idempotency
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.idempotency
    EXECUTE FUNCTION billing.refuse_change();

CREATE OR REPLACE TRIGGER immutable_rows BEFORE UPDATE OR DELETE ON billing.credited_payments
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.credited_payments
    EXECUTE FUNCTION billing.refuse_change();

-- Credit that was paid for or put right is the answer to a call.
CREATE OR REPLACE TRIGGER event AFTER INSERT ON billing.credit_grants
    FOR EACH ROW WHEN (NEW.kind = 'promotional') EXECUTE FUNCTION billing.grant_event();
CREATE OR REPLACE TRIGGER immutable_delete BEFORE DELETE ON billing.credit_grants
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.credit_grants
    EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_delete BEFORE DELETE ON billing.allocations
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.allocations
    EXECUTE FUNCTION billing.refuse_change();

CREATE OR REPLACE TRIGGER immutable_update BEFORE UPDATE ON billing.logged_spend
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change_but_erasure();
CREATE OR REPLACE TRIGGER immutable_delete BEFORE DELETE ON billing.logged_spend
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.logged_spend
    EXECUTE FUNCTION billing.refuse_change();

CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.logged_spend_default
    EXECUTE FUNCTION billing.refuse_change();

CREATE OR REPLACE TRIGGER immutable_rows BEFORE UPDATE OR DELETE ON billing.erasures
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.erasures
    EXECUTE FUNCTION billing.refuse_change();

-- Invoices refer to the history of rates.
CREATE OR REPLACE TRIGGER immutable_delete BEFORE DELETE ON billing.exchange_rates
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.exchange_rates
    EXECUTE FUNCTION billing.refuse_change();

-- Receipts are computed again from the prices that charges name.
CREATE OR REPLACE TRIGGER immutable BEFORE UPDATE OR DELETE ON billing.prices
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.prices
    EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable BEFORE UPDATE OR DELETE ON billing.reratings
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.reratings
    EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable BEFORE UPDATE OR DELETE ON billing.rerating_adjustments
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.rerating_adjustments
    EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable BEFORE UPDATE OR DELETE ON billing.rerated_charges
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.rerated_charges
    EXECUTE FUNCTION billing.refuse_change();

CREATE OR REPLACE TRIGGER guard BEFORE UPDATE OR DELETE ON billing.invoices
    FOR EACH ROW EXECUTE FUNCTION billing.guard_invoice();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.invoices
    EXECUTE FUNCTION billing.refuse_change();
-- Drafts send no events.
CREATE OR REPLACE TRIGGER event AFTER INSERT OR UPDATE OF status ON billing.invoices
    FOR EACH ROW WHEN (NEW.invoice_number IS NOT NULL) EXECUTE FUNCTION billing.invoice_event();

CREATE OR REPLACE TRIGGER immutable BEFORE UPDATE OR DELETE ON billing.credit_notes
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER immutable_table BEFORE TRUNCATE ON billing.credit_notes
    EXECUTE FUNCTION billing.refuse_change();
CREATE OR REPLACE TRIGGER event AFTER INSERT ON billing.credit_notes
    FOR EACH ROW EXECUTE FUNCTION billing.credit_note_event();

CREATE OR REPLACE TRIGGER immutable BEFORE UPDATE OR DELETE ON billing.webhook_events
    FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();
