-- The schema of a migrated database, for readers: generated, never applied. Monthly partitions
-- are left out; functions are listed with their owner and callers. After a change of SQL:
--   PYTHONPATH=shared:. .venv/bin/python -m tests.support.schema_dump

CREATE SCHEMA billing;

CREATE DOMAIN billing.alert_days AS integer
	CONSTRAINT alert_days_check CHECK (((VALUE >= 1) AND (VALUE <= 90)));

CREATE TYPE billing.budget_mode AS ENUM (
    'hard',
    'soft'
);

CREATE TYPE billing.budget_window AS ENUM (
    'day',
    'week',
    'month',
    'lifetime',
    'rate'
);

CREATE TYPE billing.grant_kind AS ENUM (
    'paid',
    'promotional',
    'adjustment',
    'refund'
);

CREATE TYPE billing.held_credit AS (
	amount_usd numeric,
	expires_at timestamp with time zone
);

CREATE TYPE billing.hold_status AS ENUM (
    'held',
    'captured',
    'released',
    'expired'
);

CREATE TYPE billing.invoice_kind AS ENUM (
    'usage',
    'topup'
);

CREATE TYPE billing.invoice_status AS ENUM (
    'draft',
    'issued',
    'paid',
    'overdue',
    'uncollectible',
    'cancelled'
);

CREATE TYPE billing.label_kind AS ENUM (
    'team',
    'virtual_key'
);

CREATE DOMAIN billing.multiplier AS numeric(18,8)
	CONSTRAINT multiplier_check CHECK ((VALUE >= (0)::numeric));

CREATE TYPE billing.organization_status AS ENUM (
    'active',
    'suspended',
    'closed'
);

CREATE DOMAIN billing.payment_days AS integer
	CONSTRAINT payment_days_check CHECK (((VALUE >= 0) AND (VALUE <= 365)));

CREATE TYPE billing.payment_purpose AS ENUM (
    'topup',
    'auto_topup',
    'invoice'
);

CREATE TYPE billing.payment_status AS ENUM (
    'pending',
    'unknown',
    'succeeded',
    'failed',
    'expired'
);

CREATE TYPE billing.period_settlement AS (
	drawn_from_usd numeric,
	drawn_to_usd numeric,
	adjusted_usd numeric,
	refunded_usd numeric,
	promotional_usd numeric,
	prepaid_usd numeric,
	due_usd numeric
);

CREATE TYPE billing.price_rate AS (
	bucket text,
	service_tier text,
	above_input_tokens bigint,
	usd_per_million numeric(20,10)
);

CREATE TYPE billing.rating AS (
	tokens bigint,
	input_tokens bigint,
	cached_tokens bigint,
	output_tokens bigint,
	amount_usd numeric,
	cost_usd numeric
);

CREATE TYPE billing.result_type AS ENUM (
    'transaction',
    'hold',
    'release',
    'spend_log',
    'unpriced',
    'grant'
);

CREATE TYPE billing.transaction_type AS ENUM (
    'topup',
    'charge',
    'refund',
    'adjustment',
    'grant',
    'expiry',
    'void',
    'payout'
);

CREATE TYPE billing.settlement_step AS (
	at timestamp with time zone,
	type billing.transaction_type,
	grant_id uuid,
	amount_usd numeric,
	covered_usd numeric
);

CREATE TABLE billing.credit_grants (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    kind billing.grant_kind NOT NULL,
    amount_usd numeric(18,8) NOT NULL,
    remaining_usd numeric(18,8) NOT NULL,
    frozen_usd numeric(18,8) DEFAULT 0 NOT NULL,
    priority smallint NOT NULL,
    effective_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone DEFAULT 'infinity'::timestamp with time zone NOT NULL,
    cost_basis_usd numeric(18,8) NOT NULL,
    paid jsonb,
    invoice_id uuid,
    origin_id uuid,
    schedule_id uuid,
    period text,
    description text,
    initiated_by text,
    started boolean NOT NULL,
    transaction_id uuid,
    voided_at timestamp with time zone,
    warned_days integer,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT brought_by_transaction CHECK ((started = (transaction_id IS NOT NULL))),
    CONSTRAINT credit_grants_amount_usd_check CHECK ((amount_usd > (0)::numeric)),
    CONSTRAINT credit_grants_cost_basis_usd_check CHECK ((cost_basis_usd >= (0)::numeric)),
    CONSTRAINT credit_grants_period_check CHECK ((period ~ '^\d{4}-(0[1-9]|1[0-2])$'::text)),
    CONSTRAINT credit_grants_priority_check CHECK (((priority >= 0) AND (priority <= 100))),
    CONSTRAINT frozen_is_part CHECK (((frozen_usd >= (0)::numeric) AND (frozen_usd <= remaining_usd))),
    CONSTRAINT recurs_by_month CHECK (((schedule_id IS NULL) = (period IS NULL))),
    CONSTRAINT remaining_is_part CHECK (((remaining_usd >= (0)::numeric) AND (remaining_usd <= amount_usd))),
    CONSTRAINT starts_before_it_ends CHECK ((effective_at < expires_at))
);

CREATE TYPE billing.settlement AS (
	grants billing.credit_grants[],
	debt_usd numeric,
	invoiced_usd numeric,
	balance_usd numeric,
	steps billing.settlement_step[]
);

CREATE DOMAIN billing.suspension_reason AS text
	CONSTRAINT suspension_reason_check CHECK ((VALUE = 'unpaid_invoice'::text));

CREATE TYPE billing.usage_request AS (
	organization_id uuid,
	idempotency_key text,
	fingerprint bytea,
	amount_usd numeric(18,8),
	description text,
	reference_id text,
	initiated_by text,
	request_id text,
	team_id text,
	virtual_key_id text,
	end_user text,
	model text,
	provider text,
	tokens bigint,
	region text,
	metadata jsonb,
	hold_id uuid,
	expires_in_seconds integer,
	overrun text,
	usage jsonb,
	service_tier text,
	price_id uuid,
	price_multiplier numeric(18,8),
	cost_usd numeric(18,8),
	input_tokens bigint,
	cached_tokens bigint,
	output_tokens bigint,
	occurred_at timestamp with time zone
);

CREATE TABLE billing.credit_transactions (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    version bigint NOT NULL,
    transaction_type billing.transaction_type NOT NULL,
    amount_usd numeric(18,8) NOT NULL,
    balance_before_usd numeric(18,8) NOT NULL,
    balance_after_usd numeric(18,8) NOT NULL,
    drawn_usd numeric(28,8) NOT NULL,
    description text,
    reference_id text,
    initiated_by text,
    hold_id uuid,
    charge_id uuid,
    grant_id uuid,
    grants jsonb,
    request_id text,
    team_id text,
    virtual_key_id text,
    end_user text,
    model text,
    provider text,
    tokens bigint,
    region text,
    metadata jsonb,
    usage jsonb,
    service_tier text,
    price_id uuid,
    price_multiplier numeric(18,8),
    cost_usd numeric(18,8),
    occurred_at timestamp with time zone,
    bucket_start timestamp with time zone,
    personal_salt uuid,
    personal_digest bytea NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    created_at timestamp with time zone NOT NULL
)
PARTITION BY RANGE (created_at);

CREATE TABLE billing.organizations (
    id uuid DEFAULT uuidv7() NOT NULL,
    external_id text,
    name text NOT NULL,
    email text,
    status billing.organization_status DEFAULT 'active'::billing.organization_status NOT NULL,
    suspended_because billing.suspension_reason,
    billing_currency text NOT NULL,
    timezone text DEFAULT 'UTC'::text NOT NULL,
    region text,
    low_balance_threshold_usd numeric(18,8),
    runs_out_alert_days billing.alert_days,
    tax jsonb,
    address jsonb,
    buyer_reference text,
    locale text DEFAULT 'en'::text NOT NULL,
    payment_terms_days billing.payment_days DEFAULT 30 NOT NULL,
    price_multiplier billing.multiplier DEFAULT 1 NOT NULL,
    balance_usd numeric(18,8) DEFAULT 0 NOT NULL,
    held_usd numeric(18,8) DEFAULT 0 NOT NULL,
    credit_limit_usd numeric(18,8) DEFAULT 0 NOT NULL,
    drawn_usd numeric(28,8) DEFAULT 0 NOT NULL,
    floor_usd numeric(18,8) DEFAULT 0 NOT NULL,
    exhausted_at timestamp with time zone,
    version bigint DEFAULT 0 NOT NULL,
    head_hash bytea DEFAULT sha256('\x'::bytea) NOT NULL,
    changed_at timestamp with time zone DEFAULT billing.now() NOT NULL,
    day_start timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    day_end timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    settle_at timestamp with time zone DEFAULT 'infinity'::timestamp with time zone NOT NULL,
    fast_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    budgeted boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT billing.now() NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE billing.holds (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    amount_usd numeric(18,8) NOT NULL,
    status billing.hold_status DEFAULT 'held'::billing.hold_status NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    description text,
    reference_id text,
    initiated_by text,
    request_id text,
    team_id text,
    virtual_key_id text,
    end_user text,
    model text,
    provider text,
    tokens bigint,
    region text,
    metadata jsonb,
    captured_usd numeric(18,8),
    transaction_id uuid,
    first_amount_usd numeric(18,8),
    first_expires_at timestamp with time zone,
    budget_ids uuid[],
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT captured_by_charge CHECK (((status = 'captured'::billing.hold_status) = ((transaction_id IS NOT NULL) AND (captured_usd IS NOT NULL)))),
    CONSTRAINT holds_amount_usd_check CHECK ((amount_usd >= (0)::numeric)),
    CONSTRAINT holds_captured_usd_check CHECK ((captured_usd >= (0)::numeric))
);

CREATE TABLE billing.auto_topups (
    organization_id uuid NOT NULL,
    active boolean DEFAULT true NOT NULL,
    threshold_usd numeric(18,8) NOT NULL,
    target_usd numeric(18,8) NOT NULL,
    monthly_limit_usd numeric(18,8) NOT NULL,
    declines integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    paused_at timestamp with time zone,
    paused_reason text,
    initiated_by text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT a_pause_has_a_reason CHECK (((paused_at IS NULL) = (paused_reason IS NULL))),
    CONSTRAINT auto_topups_monthly_limit_usd_check CHECK ((monthly_limit_usd > (0)::numeric)),
    CONSTRAINT auto_topups_threshold_usd_check CHECK ((threshold_usd >= (0)::numeric)),
    CONSTRAINT target_is_above_threshold CHECK ((target_usd > threshold_usd))
);

CREATE TABLE billing.payments (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    purpose billing.payment_purpose NOT NULL,
    provider text NOT NULL,
    status billing.payment_status DEFAULT 'pending'::billing.payment_status NOT NULL,
    invoice_id uuid,
    credit_usd numeric(18,8) NOT NULL,
    currency text NOT NULL,
    minor_units integer NOT NULL,
    amount numeric(28,4) NOT NULL,
    tax numeric(28,4) NOT NULL,
    exchange_rate numeric(24,12) NOT NULL,
    rate_source text NOT NULL,
    rate_as_of timestamp with time zone NOT NULL,
    tax_terms jsonb,
    return_url text,
    external_id text,
    checkout_url text,
    expires_at timestamp with time zone,
    captured numeric(28,4) DEFAULT 0 NOT NULL,
    refunded numeric(28,4) DEFAULT 0 NOT NULL,
    disputed numeric(28,4) DEFAULT 0 NOT NULL,
    lost numeric(28,4) DEFAULT 0 NOT NULL,
    dispute_state text,
    fee numeric(28,4),
    fee_currency text,
    failure_code text,
    as_of timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    next_ask_at timestamp with time zone NOT NULL,
    credited_usd numeric(18,8) DEFAULT 0 NOT NULL,
    paid_out_usd numeric(18,8) DEFAULT 0 NOT NULL,
    charged_back_usd numeric(18,8) DEFAULT 0 NOT NULL,
    grant_id uuid,
    transaction_id uuid,
    initiated_by text,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT an_invoice_is_paid_for CHECK (((purpose = 'invoice'::billing.payment_purpose) = (invoice_id IS NOT NULL))),
    CONSTRAINT credits_once_it_succeeds CHECK (((credited_usd > (0)::numeric) = (grant_id IS NOT NULL))),
    CONSTRAINT payments_amount_check CHECK ((amount > (0)::numeric)),
    CONSTRAINT payments_captured_check CHECK ((captured >= (0)::numeric)),
    CONSTRAINT payments_charged_back_usd_check CHECK ((charged_back_usd >= (0)::numeric)),
    CONSTRAINT payments_credit_usd_check CHECK ((credit_usd > (0)::numeric)),
    CONSTRAINT payments_credited_usd_check CHECK ((credited_usd >= (0)::numeric)),
    CONSTRAINT payments_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT payments_dispute_state_check CHECK ((dispute_state = ANY (ARRAY['open'::text, 'won'::text, 'lost'::text]))),
    CONSTRAINT payments_disputed_check CHECK ((disputed >= (0)::numeric)),
    CONSTRAINT payments_exchange_rate_check CHECK ((exchange_rate > (0)::numeric)),
    CONSTRAINT payments_lost_check CHECK ((lost >= (0)::numeric)),
    CONSTRAINT payments_minor_units_check CHECK (((minor_units >= 0) AND (minor_units <= 4))),
    CONSTRAINT payments_paid_out_usd_check CHECK ((paid_out_usd >= (0)::numeric)),
    CONSTRAINT payments_provider_check CHECK ((provider = ANY (ARRAY['stripe'::text, 'paypal'::text]))),
    CONSTRAINT payments_refunded_check CHECK ((refunded >= (0)::numeric)),
    CONSTRAINT payments_tax_check CHECK ((tax >= (0)::numeric)),
    CONSTRAINT takes_back_what_it_brought CHECK (((paid_out_usd + charged_back_usd) <= credited_usd)),
    CONSTRAINT tax_is_part CHECK ((tax < amount))
);

CREATE TABLE billing.idempotency (
    organization_id uuid NOT NULL,
    key text,
    request_id text,
    fingerprint bytea NOT NULL,
    result_type billing.result_type NOT NULL,
    result_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY billing.idempotency REPLICA IDENTITY FULL;

CREATE TABLE billing.budgets (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    subject text NOT NULL,
    window_length billing.budget_window NOT NULL,
    mode billing.budget_mode NOT NULL,
    limit_usd numeric(18,8) NOT NULL,
    burst_usd numeric(18,8),
    alert_percents integer[] NOT NULL,
    next_percent integer,
    exceeded boolean DEFAULT false NOT NULL,
    window_start timestamp with time zone NOT NULL,
    window_end timestamp with time zone NOT NULL,
    spent_usd numeric(28,8) NOT NULL,
    held_usd numeric(28,8) NOT NULL,
    ceiling_usd numeric(28,8) NOT NULL,
    counted_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE billing.clients (
    organization_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    verifier bytea NOT NULL,
    old_verifier bytea,
    old_verifier_ends_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT billing.now() NOT NULL,
    rotated_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT clients_name_check CHECK ((name <> ''::text)),
    CONSTRAINT clients_scopes_check CHECK (((cardinality(scopes) > 0) AND (NOT ('billing:platform'::text = ANY (scopes))))),
    CONSTRAINT old_verifier_ends CHECK (((old_verifier IS NULL) = (old_verifier_ends_at IS NULL)))
);

CREATE TABLE billing.invoices (
    organization_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    kind billing.invoice_kind NOT NULL,
    transaction_id uuid,
    invoice_number text,
    corrects_number text,
    status billing.invoice_status DEFAULT 'draft'::billing.invoice_status NOT NULL,
    period_start timestamp with time zone NOT NULL,
    period_end timestamp with time zone NOT NULL,
    timezone text NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    billing_currency text NOT NULL,
    minor_units integer NOT NULL,
    exchange_rate numeric(24,12) NOT NULL,
    rate_source text NOT NULL,
    rate_as_of timestamp with time zone NOT NULL,
    line_items jsonb NOT NULL,
    line_count integer NOT NULL,
    subtotal_usd numeric(28,8) NOT NULL,
    tax_usd numeric(28,8) NOT NULL,
    total_amount_usd numeric(28,8) NOT NULL,
    subtotal_billing_currency numeric(28,4) NOT NULL,
    tax_billing_currency numeric(28,4) NOT NULL,
    total_amount_billing_currency numeric(28,4) NOT NULL,
    settled jsonb DEFAULT '[]'::jsonb NOT NULL,
    settled_usd numeric(28,8) DEFAULT 0 NOT NULL,
    settled_billing_currency numeric(28,4) DEFAULT 0 NOT NULL,
    amount_due_usd numeric(28,8) NOT NULL,
    amount_due_billing_currency numeric(28,4) NOT NULL,
    drawn_from_usd numeric(28,8),
    drawn_to_usd numeric(28,8),
    credit jsonb,
    tax jsonb,
    seller jsonb NOT NULL,
    customer jsonb NOT NULL,
    locale text NOT NULL,
    payment_terms_days integer NOT NULL,
    issued_at timestamp with time zone,
    issue_date date,
    due_date date,
    paid_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    reminders integer DEFAULT 0 NOT NULL,
    reminded_on date,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT invoices_billing_currency_check CHECK ((billing_currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT invoices_check CHECK ((line_count = jsonb_array_length(line_items))),
    CONSTRAINT invoices_exchange_rate_check CHECK ((exchange_rate > (0)::numeric)),
    CONSTRAINT invoices_minor_units_check CHECK (((minor_units >= 0) AND (minor_units <= 4))),
    CONSTRAINT invoices_tax_usd_check CHECK ((tax_usd >= (0)::numeric)),
    CONSTRAINT kind_has_its_facts CHECK ((((kind = 'topup'::billing.invoice_kind) = (transaction_id IS NOT NULL)) AND ((kind = 'usage'::billing.invoice_kind) = (drawn_to_usd IS NOT NULL)) AND ((kind = 'usage'::billing.invoice_kind) = (drawn_from_usd IS NOT NULL)) AND ((kind = 'usage'::billing.invoice_kind) = (credit IS NOT NULL)))),
    CONSTRAINT nothing_is_owed_to_the_customer CHECK ((amount_due_usd >= tax_usd)),
    CONSTRAINT number_is_taken_at_issue CHECK ((((invoice_number IS NULL) = (issued_at IS NULL)) AND ((invoice_number IS NOT NULL) OR (due_date IS NULL)) AND ((invoice_number IS NULL) = (issue_date IS NULL)) AND
CASE status
    WHEN 'draft'::billing.invoice_status THEN (invoice_number IS NULL)
    WHEN 'cancelled'::billing.invoice_status THEN true
    ELSE (invoice_number IS NOT NULL)
END)),
    CONSTRAINT paid_when_paid CHECK (
CASE status
    WHEN 'paid'::billing.invoice_status THEN (paid_at IS NOT NULL)
    WHEN 'cancelled'::billing.invoice_status THEN true
    ELSE (paid_at IS NULL)
END),
    CONSTRAINT period_is_not_empty CHECK (((period_start < period_end) OR (kind = 'topup'::billing.invoice_kind))),
    CONSTRAINT totals_add_up CHECK (((total_amount_usd = (subtotal_usd + tax_usd)) AND (amount_due_usd = (total_amount_usd - settled_usd)) AND (total_amount_billing_currency = (subtotal_billing_currency + tax_billing_currency)) AND (amount_due_billing_currency = (total_amount_billing_currency - settled_billing_currency))))
);

CREATE TABLE billing.credit_notes (
    organization_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    invoice_id uuid NOT NULL,
    credit_note_number text NOT NULL,
    issue_date date NOT NULL,
    reason text NOT NULL,
    subtotal_usd numeric(28,8) NOT NULL,
    tax_usd numeric(28,8) NOT NULL,
    total_amount_usd numeric(28,8) NOT NULL,
    subtotal_billing_currency numeric(28,4) NOT NULL,
    tax_billing_currency numeric(28,4) NOT NULL,
    total_amount_billing_currency numeric(28,4) NOT NULL,
    transaction_id uuid,
    corrected_invoice_id uuid,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT credit_notes_reason_check CHECK ((reason <> ''::text)),
    CONSTRAINT credit_notes_subtotal_usd_check CHECK ((subtotal_usd > (0)::numeric)),
    CONSTRAINT credit_notes_tax_usd_check CHECK ((tax_usd >= (0)::numeric)),
    CONSTRAINT totals_add_up CHECK (((total_amount_usd = (subtotal_usd + tax_usd)) AND (total_amount_billing_currency = (subtotal_billing_currency + tax_billing_currency))))
);

CREATE TABLE billing.erasures (
    organization_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    initiated_by_digest bytea,
    reason text NOT NULL,
    transactions bigint NOT NULL,
    holds bigint DEFAULT 0 NOT NULL,
    profile boolean DEFAULT false NOT NULL,
    erased_by text DEFAULT SESSION_USER NOT NULL,
    created_at timestamp with time zone DEFAULT billing.now() NOT NULL,
    CONSTRAINT erasures_reason_check CHECK ((reason <> ''::text))
);

CREATE TABLE billing.labels (
    organization_id uuid NOT NULL,
    kind billing.label_kind NOT NULL,
    subject_id text NOT NULL,
    name text NOT NULL
);

CREATE TABLE billing.exchange_rates (
    fetch_id uuid NOT NULL,
    currency text NOT NULL,
    rate numeric(24,12) NOT NULL,
    source text NOT NULL,
    as_of timestamp with time zone NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    held boolean NOT NULL,
    stored_at timestamp with time zone DEFAULT billing.now() NOT NULL,
    CONSTRAINT exchange_rates_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT exchange_rates_rate_check CHECK ((rate > (0)::numeric)),
    CONSTRAINT exchange_rates_source_check CHECK ((source <> ''::text))
);

CREATE TABLE billing.logged_spend (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    amount_usd numeric(18,8) NOT NULL,
    reference_id text,
    request_id text,
    team_id text,
    virtual_key_id text,
    end_user text,
    model text,
    provider text,
    tokens bigint,
    region text,
    metadata jsonb,
    usage jsonb,
    service_tier text,
    price_id uuid,
    price_multiplier numeric(18,8),
    cost_usd numeric(18,8),
    bucket_start timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL
)
PARTITION BY RANGE (created_at);

CREATE VIEW billing.spend_logs WITH (security_invoker='true') AS
 SELECT credit_transactions.id,
    credit_transactions.organization_id,
    credit_transactions.id AS transaction_id,
    (- credit_transactions.amount_usd) AS amount_usd,
    credit_transactions.reference_id,
    credit_transactions.request_id,
    credit_transactions.team_id,
    credit_transactions.virtual_key_id,
    credit_transactions.end_user,
    credit_transactions.model,
    credit_transactions.provider,
    credit_transactions.tokens,
    credit_transactions.region,
    credit_transactions.metadata,
    credit_transactions.usage,
    credit_transactions.service_tier,
    credit_transactions.price_id,
    credit_transactions.price_multiplier,
    credit_transactions.cost_usd,
    credit_transactions.bucket_start,
    credit_transactions.created_at
   FROM billing.credit_transactions
  WHERE (credit_transactions.transaction_type = 'charge'::billing.transaction_type)
UNION ALL
 SELECT logged_spend.id,
    logged_spend.organization_id,
    NULL::uuid AS transaction_id,
    (logged_spend.amount_usd)::numeric AS amount_usd,
    logged_spend.reference_id,
    logged_spend.request_id,
    logged_spend.team_id,
    logged_spend.virtual_key_id,
    logged_spend.end_user,
    logged_spend.model,
    logged_spend.provider,
    logged_spend.tokens,
    logged_spend.region,
    logged_spend.metadata,
    logged_spend.usage,
    logged_spend.service_tier,
    logged_spend.price_id,
    logged_spend.price_multiplier,
    logged_spend.cost_usd,
    logged_spend.bucket_start,
    logged_spend.created_at
   FROM billing.logged_spend;

CREATE TABLE billing.payment_refunds (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    payment_id uuid NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    amount numeric(28,4) NOT NULL,
    credit_usd numeric(18,8) NOT NULL,
    external_id text,
    failure_code text,
    initiated_by text,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT payment_refunds_amount_check CHECK ((amount > (0)::numeric)),
    CONSTRAINT payment_refunds_credit_usd_check CHECK ((credit_usd > (0)::numeric)),
    CONSTRAINT payment_refunds_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'unknown'::text, 'succeeded'::text, 'failed'::text])))
);

CREATE TABLE billing.prices (
    id uuid DEFAULT uuidv7() NOT NULL,
    organization_id uuid,
    owner_id uuid GENERATED ALWAYS AS (COALESCE(organization_id, '00000000-0000-0000-0000-000000000000'::uuid)) STORED NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    effective_from timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone DEFAULT billing.now() NOT NULL,
    source text NOT NULL,
    rates jsonb NOT NULL,
    CONSTRAINT prices_rates_check CHECK ((NOT (rates @? '$."rates"[*]?(!(@."usd_per_million" >= 0 && @."above_input_tokens" >= 0))'::jsonpath))),
    CONSTRAINT prices_source_check CHECK ((source <> ''::text)),
    CONSTRAINT rates_are_complete CHECK (((rates @? '$."rates"[*]?((@."bucket" == "input" && @."service_tier" == "standard") && @."above_input_tokens" == 0)'::jsonpath) AND (rates @? '$."rates"[*]?((@."bucket" == "output" && @."service_tier" == "standard") && @."above_input_tokens" == 0)'::jsonpath) AND (rates @? '$."columns".*'::jsonpath) AND (NOT (rates @? '$."columns".*?(!(exists (@."input") && exists (@."output")))'::jsonpath))))
);

CREATE TABLE billing.refused_events (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    key text NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    subject text,
    event json,
    code text NOT NULL,
    error json NOT NULL,
    initiated_by text,
    times integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    refused_at timestamp with time zone NOT NULL
);

CREATE PROCEDURE billing.spend(INOUT p_answer json, IN p_operation text, IN p_tenant text, IN p_organization_id uuid, IN p_request jsonb)
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_place int := billing.take_place(p_organization_id);
BEGIN
    IF v_place IS NULL THEN
        p_answer := billing.outcome('too_many_requests');
        RETURN;
    END IF;
    p_answer := CASE p_operation
        WHEN 'charge' THEN billing.charge(p_tenant, p_organization_id, p_request)
        WHEN 'hold' THEN billing.hold(p_tenant, p_organization_id, p_request)
        WHEN 'capture_hold' THEN billing.capture_hold(p_tenant, p_organization_id, p_request)
        WHEN 'release_hold' THEN billing.release_hold(p_tenant, p_organization_id, p_request)
        WHEN 'change_hold' THEN billing.change_hold(p_tenant, p_organization_id, p_request) END;
    IF v_place > 0 OR NOT pg_try_advisory_xact_lock(uuid_hash_extended(p_organization_id, 1)) THEN
        PERFORM set_config('synchronous_commit', 'off', true);
        COMMIT;
        -- Its commit is synchronous.
        PERFORM pg_logical_emit_message(true, '', '');
    END IF;
END $$;

CREATE PROCEDURE billing.spend_batch(INOUT p_answer json[], IN p_tenant text, IN p_charges jsonb)
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF billing.is_distributed() THEN
        RETURN;
    END IF;
    p_answer := billing.charge_batch(p_tenant, p_charges);
    COMMIT;
END $$;

CREATE PROCEDURE billing.spend_batch_of(INOUT p_answer json[], IN p_tenant text, IN p_organization_id uuid, IN p_charges jsonb)
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF billing.take_place(p_organization_id) IS NULL THEN
        p_answer := array_fill(billing.outcome('too_many_requests'), ARRAY[jsonb_array_length(p_charges)]);
        RETURN;
    END IF;
    p_answer := billing.charge_batch(p_tenant, p_charges);
    COMMIT;
END $$;

CREATE TABLE billing.unpriced_usage (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    request billing.usage_request NOT NULL,
    created_at timestamp with time zone NOT NULL,
    transaction_id uuid
);

CREATE TABLE billing.webhook_endpoints (
    organization_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    url text NOT NULL,
    types text[] DEFAULT '{}'::text[] NOT NULL,
    secret bytea NOT NULL,
    old_secret bytea,
    old_secret_ends_at timestamp with time zone,
    failing_since timestamp with time zone,
    disabled_at timestamp with time zone,
    disabled_because text,
    created_at timestamp with time zone DEFAULT billing.now() NOT NULL,
    CONSTRAINT disabled_has_a_reason CHECK (((disabled_at IS NULL) = (disabled_because IS NULL))),
    CONSTRAINT old_secret_ends CHECK (((old_secret IS NULL) = (old_secret_ends_at IS NULL))),
    CONSTRAINT webhook_endpoints_url_check CHECK ((url ~ '^https?://'::text))
);

CREATE TABLE billing.webhook_events (
    organization_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    type text NOT NULL,
    data jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE billing.allocations (
    organization_id uuid NOT NULL,
    from_usd numeric(28,8) NOT NULL,
    to_usd numeric(28,8) NOT NULL,
    grant_id uuid,
    covered_at timestamp with time zone,
    refund_id uuid,
    restored_to uuid,
    invoice_id uuid,
    CONSTRAINT allocations_from_usd_check CHECK ((from_usd >= (0)::numeric)),
    CONSTRAINT covered_by_grant CHECK (((covered_at IS NULL) OR (grant_id IS NOT NULL))),
    CONSTRAINT range_is_not_empty CHECK ((from_usd < to_usd)),
    CONSTRAINT restored_by_refund CHECK (((restored_to IS NOT NULL) = ((refund_id IS NOT NULL) AND (grant_id IS NOT NULL))))
);

CREATE TABLE billing.charge_refunds (
    organization_id uuid NOT NULL,
    charge_id uuid NOT NULL,
    charged_usd numeric(18,8) NOT NULL,
    refunded_usd numeric(18,8) NOT NULL,
    CONSTRAINT charge_refunds_refunded_usd_check CHECK ((refunded_usd > (0)::numeric)),
    CONSTRAINT refund_within_charge CHECK ((refunded_usd <= charged_usd))
);

CREATE TABLE billing.credit_transactions_default (
    id uuid CONSTRAINT credit_transactions_id_not_null NOT NULL,
    organization_id uuid CONSTRAINT credit_transactions_organization_id_not_null NOT NULL,
    version bigint CONSTRAINT credit_transactions_version_not_null NOT NULL,
    transaction_type billing.transaction_type CONSTRAINT credit_transactions_transaction_type_not_null NOT NULL,
    amount_usd numeric(18,8) CONSTRAINT credit_transactions_amount_usd_not_null NOT NULL,
    balance_before_usd numeric(18,8) CONSTRAINT credit_transactions_balance_before_usd_not_null NOT NULL,
    balance_after_usd numeric(18,8) CONSTRAINT credit_transactions_balance_after_usd_not_null NOT NULL,
    drawn_usd numeric(28,8) CONSTRAINT credit_transactions_drawn_usd_not_null NOT NULL,
    description text,
    reference_id text,
    initiated_by text,
    hold_id uuid,
    charge_id uuid,
    grant_id uuid,
    grants jsonb,
    request_id text,
    team_id text,
    virtual_key_id text,
    end_user text,
    model text,
    provider text,
    tokens bigint,
    region text,
    metadata jsonb,
    usage jsonb,
    service_tier text,
    price_id uuid,
    price_multiplier numeric(18,8),
    cost_usd numeric(18,8),
    occurred_at timestamp with time zone,
    bucket_start timestamp with time zone,
    personal_salt uuid,
    personal_digest bytea CONSTRAINT credit_transactions_personal_digest_not_null NOT NULL,
    previous_hash bytea CONSTRAINT credit_transactions_previous_hash_not_null NOT NULL,
    hash bytea CONSTRAINT credit_transactions_hash_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT credit_transactions_created_at_not_null NOT NULL
);

CREATE TABLE billing.credited_payments (
    organization_id uuid NOT NULL,
    reference_id text NOT NULL,
    transaction_id uuid NOT NULL
);

CREATE TABLE billing.document_counters (
    series text NOT NULL,
    year integer NOT NULL,
    last bigint NOT NULL,
    CONSTRAINT document_counters_last_check CHECK ((last > 0))
);

CREATE TABLE billing.document_key (
    the_one boolean DEFAULT true NOT NULL,
    key bytea NOT NULL,
    CONSTRAINT document_key_key_check CHECK ((length(key) = 32)),
    CONSTRAINT document_key_the_one_check CHECK (the_one)
);

CREATE TABLE billing.external_ids (
    external_id text NOT NULL,
    organization_id uuid NOT NULL
);

CREATE TABLE billing.forecasts (
    organization_id uuid NOT NULL,
    first_day date NOT NULL,
    made_at timestamp with time zone NOT NULL,
    history_days integer NOT NULL,
    runs_out date,
    daily jsonb NOT NULL,
    totals jsonb NOT NULL,
    naive_error_usd numeric(28,8) NOT NULL,
    miss_rates numeric[] NOT NULL,
    scaled_errors numeric[] NOT NULL,
    covered boolean[] NOT NULL,
    is_near boolean NOT NULL
);

CREATE TABLE billing.invalidations (
    tenant uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    keys text[] DEFAULT '{}'::text[] NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    families text[] DEFAULT '{}'::text[] NOT NULL,
    everything boolean DEFAULT false NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT billing.now() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT billing.now() NOT NULL,
    error text,
    CONSTRAINT invalidations_version_check CHECK ((version >= 0))
);

CREATE TABLE billing.logged_spend_default (
    id uuid CONSTRAINT logged_spend_id_not_null NOT NULL,
    organization_id uuid CONSTRAINT logged_spend_organization_id_not_null NOT NULL,
    amount_usd numeric(18,8) CONSTRAINT logged_spend_amount_usd_not_null NOT NULL,
    reference_id text,
    request_id text,
    team_id text,
    virtual_key_id text,
    end_user text,
    model text,
    provider text,
    tokens bigint,
    region text,
    metadata jsonb,
    usage jsonb,
    service_tier text,
    price_id uuid,
    price_multiplier numeric(18,8),
    cost_usd numeric(18,8),
    bucket_start timestamp with time zone CONSTRAINT logged_spend_bucket_start_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT logged_spend_created_at_not_null NOT NULL
);

CREATE TABLE billing.migrations (
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE billing.month_end_items (
    organization_id uuid NOT NULL,
    month text NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    period_start timestamp with time zone,
    period_end timestamp with time zone,
    invoice_id uuid,
    error text,
    updated_at timestamp with time zone DEFAULT billing.now() NOT NULL,
    CONSTRAINT done_has_a_period CHECK ((((status = ANY (ARRAY['issued'::text, 'empty'::text])) = (period_end IS NOT NULL)) AND ((period_start IS NULL) = (period_end IS NULL)) AND ((status = 'issued'::text) = (invoice_id IS NOT NULL)) AND ((status = 'failed'::text) = (error IS NOT NULL)))),
    CONSTRAINT month_end_items_month_check CHECK ((month ~ '^\d{4}-(0[1-9]|1[0-2])$'::text)),
    CONSTRAINT month_end_items_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'issued'::text, 'empty'::text, 'failed'::text])))
);

CREATE TABLE billing.organization_homes (
    organization_id uuid NOT NULL,
    region text NOT NULL,
    CONSTRAINT organization_homes_region_check CHECK ((region <> ''::text))
);

CREATE TABLE billing.payment_customers (
    organization_id uuid NOT NULL,
    provider text NOT NULL,
    customer_id text NOT NULL,
    payment_method_id text,
    card_fingerprint text,
    card text,
    updated_at timestamp with time zone NOT NULL
);

CREATE TABLE billing.payment_events (
    provider text NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    external_ids text[] NOT NULL,
    body text NOT NULL,
    organization_id uuid,
    payment_id uuid,
    received_at timestamp with time zone DEFAULT billing.now() NOT NULL,
    settled_at timestamp with time zone
);

CREATE TABLE billing.payment_links (
    organization_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    invoice_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE billing.payment_objects (
    provider text NOT NULL,
    external_id text NOT NULL,
    organization_id uuid NOT NULL,
    payment_id uuid NOT NULL
);

CREATE TABLE billing.rerated_charges (
    organization_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    rerating_id uuid NOT NULL,
    price_id uuid NOT NULL,
    amount_usd numeric(18,8) NOT NULL,
    CONSTRAINT rerated_charges_amount_usd_check CHECK ((amount_usd >= (0)::numeric))
);

CREATE TABLE billing.rerating_adjustments (
    organization_id uuid NOT NULL,
    rerating_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    charges bigint NOT NULL,
    correction_usd numeric(18,8) NOT NULL,
    CONSTRAINT rerating_adjustments_charges_check CHECK ((charges > 0))
);

CREATE TABLE billing.reratings (
    id uuid DEFAULT uuidv7() NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    period_start timestamp with time zone NOT NULL,
    period_end timestamp with time zone NOT NULL,
    initiated_by text,
    created_at timestamp with time zone DEFAULT billing.now() NOT NULL,
    CONSTRAINT period_is_not_empty CHECK ((period_start < period_end))
);

CREATE TABLE billing.spend_rollups (
    organization_id uuid NOT NULL,
    bucket_start timestamp with time zone NOT NULL,
    dimensions bytea NOT NULL,
    bucket_end timestamp with time zone NOT NULL,
    model text,
    provider text,
    team_id text,
    virtual_key_id text,
    region text,
    charged boolean NOT NULL,
    amount_usd numeric(28,8) NOT NULL,
    tokens bigint NOT NULL,
    requests bigint NOT NULL,
    input_tokens bigint DEFAULT 0 NOT NULL,
    cached_tokens bigint DEFAULT 0 NOT NULL,
    output_tokens bigint DEFAULT 0 NOT NULL,
    cost_usd numeric(28,8) DEFAULT 0 NOT NULL,
    margin_usd numeric(28,8) DEFAULT 0 NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE billing.topups_to_invoice (
    organization_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT billing.now() NOT NULL,
    error text,
    created_at timestamp with time zone DEFAULT billing.now() NOT NULL
);

CREATE TABLE billing.webhook_deliveries (
    organization_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    lease uuid,
    next_attempt_at timestamp with time zone DEFAULT billing.now() NOT NULL,
    attempted_at timestamp with time zone,
    status_code integer,
    error text,
    CONSTRAINT webhook_deliveries_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text])))
);

ALTER TABLE ONLY billing.credit_transactions ATTACH PARTITION billing.credit_transactions_default DEFAULT;

ALTER TABLE ONLY billing.logged_spend ATTACH PARTITION billing.logged_spend_default DEFAULT;

ALTER TABLE ONLY billing.allocations
    ADD CONSTRAINT allocations_pkey PRIMARY KEY (organization_id, from_usd);

ALTER TABLE ONLY billing.auto_topups
    ADD CONSTRAINT auto_topups_pkey PRIMARY KEY (organization_id);

ALTER TABLE ONLY billing.budgets
    ADD CONSTRAINT budgets_organization_id_subject_window_length_mode_key UNIQUE (organization_id, subject, window_length, mode);

ALTER TABLE ONLY billing.budgets
    ADD CONSTRAINT budgets_pkey PRIMARY KEY (organization_id, id);

ALTER TABLE ONLY billing.charge_refunds
    ADD CONSTRAINT charge_refunds_pkey PRIMARY KEY (organization_id, charge_id);

ALTER TABLE ONLY billing.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (organization_id, id);

ALTER TABLE ONLY billing.credit_grants
    ADD CONSTRAINT credit_grants_pkey PRIMARY KEY (organization_id, id);

ALTER TABLE ONLY billing.credit_notes
    ADD CONSTRAINT credit_notes_organization_id_credit_note_number_key UNIQUE (organization_id, credit_note_number);

ALTER TABLE ONLY billing.credit_notes
    ADD CONSTRAINT credit_notes_organization_id_idempotency_key_key UNIQUE (organization_id, idempotency_key);

ALTER TABLE ONLY billing.credit_notes
    ADD CONSTRAINT credit_notes_pkey PRIMARY KEY (organization_id, id);

ALTER TABLE ONLY billing.credit_transactions
    ADD CONSTRAINT credit_transactions_pkey PRIMARY KEY (organization_id, created_at);

ALTER TABLE ONLY billing.credit_transactions_default
    ADD CONSTRAINT credit_transactions_default_pkey PRIMARY KEY (organization_id, created_at);

ALTER TABLE ONLY billing.credited_payments
    ADD CONSTRAINT credited_payments_pkey PRIMARY KEY (organization_id, reference_id);

ALTER TABLE ONLY billing.document_counters
    ADD CONSTRAINT document_counters_pkey PRIMARY KEY (series, year);

ALTER TABLE ONLY billing.document_key
    ADD CONSTRAINT document_key_pkey PRIMARY KEY (the_one);

ALTER TABLE ONLY billing.erasures
    ADD CONSTRAINT erasures_pkey PRIMARY KEY (organization_id, id);

ALTER TABLE ONLY billing.exchange_rates
    ADD CONSTRAINT exchange_rates_pkey PRIMARY KEY (fetch_id, currency);

ALTER TABLE ONLY billing.external_ids
    ADD CONSTRAINT external_ids_pkey PRIMARY KEY (external_id);

ALTER TABLE ONLY billing.forecasts
    ADD CONSTRAINT forecasts_pkey PRIMARY KEY (organization_id);

ALTER TABLE ONLY billing.holds
    ADD CONSTRAINT holds_pkey PRIMARY KEY (organization_id, id);

ALTER TABLE ONLY billing.invalidations
    ADD CONSTRAINT invalidations_pkey PRIMARY KEY (tenant, id);

ALTER TABLE ONLY billing.invoices
    ADD CONSTRAINT invoices_organization_id_invoice_number_key UNIQUE (organization_id, invoice_number);

ALTER TABLE ONLY billing.invoices
    ADD CONSTRAINT invoices_pkey PRIMARY KEY (organization_id, id);

ALTER TABLE ONLY billing.labels
    ADD CONSTRAINT labels_pkey PRIMARY KEY (organization_id, kind, subject_id);

ALTER TABLE ONLY billing.logged_spend
    ADD CONSTRAINT logged_spend_pkey PRIMARY KEY (organization_id, created_at);

ALTER TABLE ONLY billing.logged_spend_default
    ADD CONSTRAINT logged_spend_default_pkey PRIMARY KEY (organization_id, created_at);

ALTER TABLE ONLY billing.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY billing.month_end_items
    ADD CONSTRAINT month_end_items_pkey PRIMARY KEY (organization_id, month);

ALTER TABLE ONLY billing.organization_homes
    ADD CONSTRAINT organization_homes_pkey PRIMARY KEY (organization_id);

ALTER TABLE ONLY billing.organizations
    ADD CONSTRAINT organizations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY billing.payment_customers
    ADD CONSTRAINT payment_customers_pkey PRIMARY KEY (organization_id, provider);

ALTER TABLE ONLY billing.payment_events
    ADD CONSTRAINT payment_events_pkey PRIMARY KEY (provider, event_id);

ALTER TABLE ONLY billing.payment_links
    ADD CONSTRAINT payment_links_pkey PRIMARY KEY (organization_id, token_hash);

ALTER TABLE ONLY billing.payment_objects
    ADD CONSTRAINT payment_objects_pkey PRIMARY KEY (provider, external_id);

ALTER TABLE ONLY billing.payment_refunds
    ADD CONSTRAINT payment_refunds_organization_id_idempotency_key_key UNIQUE (organization_id, idempotency_key);

ALTER TABLE ONLY billing.payment_refunds
    ADD CONSTRAINT payment_refunds_pkey PRIMARY KEY (organization_id, id);

ALTER TABLE ONLY billing.payments
    ADD CONSTRAINT payments_organization_id_idempotency_key_key UNIQUE (organization_id, idempotency_key);

ALTER TABLE ONLY billing.payments
    ADD CONSTRAINT payments_pkey PRIMARY KEY (organization_id, id);

ALTER TABLE ONLY billing.prices
    ADD CONSTRAINT prices_pkey PRIMARY KEY (id);

ALTER TABLE ONLY billing.refused_events
    ADD CONSTRAINT refused_events_pkey PRIMARY KEY (organization_id, key);

ALTER TABLE ONLY billing.rerated_charges
    ADD CONSTRAINT rerated_charges_pkey PRIMARY KEY (organization_id, transaction_id, rerating_id);

ALTER TABLE ONLY billing.rerating_adjustments
    ADD CONSTRAINT rerating_adjustments_pkey PRIMARY KEY (organization_id, rerating_id);

ALTER TABLE ONLY billing.reratings
    ADD CONSTRAINT reratings_pkey PRIMARY KEY (id);

ALTER TABLE ONLY billing.spend_rollups
    ADD CONSTRAINT spend_rollups_pkey PRIMARY KEY (organization_id, bucket_start, dimensions);

ALTER TABLE ONLY billing.topups_to_invoice
    ADD CONSTRAINT topups_to_invoice_pkey PRIMARY KEY (organization_id, transaction_id);

ALTER TABLE ONLY billing.unpriced_usage
    ADD CONSTRAINT unpriced_usage_pkey PRIMARY KEY (organization_id, id);

ALTER TABLE ONLY billing.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (organization_id, event_id, endpoint_id);

ALTER TABLE ONLY billing.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_organization_id_url_key UNIQUE (organization_id, url);

ALTER TABLE ONLY billing.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (organization_id, id);

ALTER TABLE ONLY billing.webhook_events
    ADD CONSTRAINT webhook_events_organization_id_created_at_key UNIQUE (organization_id, created_at);

ALTER TABLE ONLY billing.webhook_events
    ADD CONSTRAINT webhook_events_pkey PRIMARY KEY (organization_id, id);

CREATE INDEX allocations_debt ON billing.allocations USING btree (organization_id, from_usd) WHERE ((grant_id IS NULL) AND (refund_id IS NULL));

CREATE INDEX allocations_of_grant ON billing.allocations USING btree (organization_id, grant_id);

CREATE INDEX allocations_of_invoice ON billing.allocations USING btree (organization_id, invoice_id) WHERE (invoice_id IS NOT NULL);

CREATE INDEX allocations_of_refund ON billing.allocations USING btree (organization_id, refund_id) WHERE (refund_id IS NOT NULL);

CREATE INDEX budgets_newest ON billing.budgets USING btree (organization_id, created_at);

CREATE INDEX clients_id ON billing.clients USING btree (id);

CREATE UNIQUE INDEX clients_name ON billing.clients USING btree (organization_id, name) WHERE (revoked_at IS NULL);

CREATE INDEX credit_grants_expiring ON billing.credit_grants USING btree (expires_at) WHERE ((remaining_usd > (0)::numeric) AND (expires_at < 'infinity'::timestamp with time zone));

CREATE INDEX credit_grants_newest ON billing.credit_grants USING btree (organization_id, created_at);

CREATE INDEX credit_grants_open ON billing.credit_grants USING btree (organization_id) WHERE (remaining_usd > (0)::numeric);

CREATE UNIQUE INDEX credit_notes_newest ON billing.credit_notes USING btree (organization_id, created_at);

CREATE INDEX credit_notes_of_invoice ON billing.credit_notes USING btree (organization_id, invoice_id);

CREATE INDEX credit_transactions_movements ON ONLY billing.credit_transactions USING btree (organization_id, created_at) WHERE (transaction_type <> 'charge'::billing.transaction_type);

CREATE INDEX credit_transactions_default_organization_id_created_at_idx ON billing.credit_transactions_default USING btree (organization_id, created_at) WHERE (transaction_type <> 'charge'::billing.transaction_type);

CREATE INDEX exchange_rates_latest ON billing.exchange_rates USING btree (currency, fetched_at DESC, fetch_id) WHERE (NOT held);

CREATE INDEX holds_newest ON billing.holds USING btree (organization_id, created_at);

CREATE INDEX holds_open ON billing.holds USING btree (organization_id, expires_at) WHERE (status = 'held'::billing.hold_status);

CREATE UNIQUE INDEX idempotency_key ON billing.idempotency USING btree (organization_id, key) WHERE (key IS NOT NULL);

CREATE UNIQUE INDEX idempotency_request ON billing.idempotency USING btree (organization_id, request_id) WHERE (request_id IS NOT NULL);

CREATE INDEX invalidations_due ON billing.invalidations USING btree (next_attempt_at, id);

CREATE INDEX invoices_due ON billing.invoices USING btree (due_date) WHERE (status = 'issued'::billing.invoice_status);

CREATE UNIQUE INDEX invoices_newest ON billing.invoices USING btree (organization_id, created_at);

CREATE UNIQUE INDEX invoices_period ON billing.invoices USING btree (organization_id, period_start, period_end) WHERE ((status <> 'cancelled'::billing.invoice_status) AND (kind = 'usage'::billing.invoice_kind));

CREATE UNIQUE INDEX invoices_topup ON billing.invoices USING btree (organization_id, transaction_id) WHERE ((status <> 'cancelled'::billing.invoice_status) AND (kind = 'topup'::billing.invoice_kind));

CREATE INDEX month_end_items_of ON billing.month_end_items USING btree (month, organization_id);

CREATE INDEX month_end_items_open ON billing.month_end_items USING btree (updated_at) WHERE (status = ANY (ARRAY['pending'::text, 'failed'::text]));

CREATE INDEX organizations_due ON billing.organizations USING btree (settle_at) WHERE (settle_at < 'infinity'::timestamp with time zone);

CREATE INDEX organizations_newest ON billing.organizations USING btree (created_at, id);

CREATE INDEX payment_events_of ON billing.payment_events USING btree (organization_id, payment_id) WHERE (settled_at IS NULL);

CREATE INDEX payment_events_unknown ON billing.payment_events USING gin (external_ids) WHERE (payment_id IS NULL);

CREATE INDEX payment_events_unmatched ON billing.payment_events USING btree (received_at) WHERE (payment_id IS NULL);

CREATE INDEX payment_events_with_body ON billing.payment_events USING btree (received_at) WHERE (body <> ''::text);

CREATE INDEX payment_objects_of ON billing.payment_objects USING btree (organization_id, payment_id);

CREATE INDEX payment_refunds_of ON billing.payment_refunds USING btree (organization_id, payment_id);

CREATE INDEX payments_disputed ON billing.payments USING btree (id) WHERE (dispute_state IS NOT NULL);

CREATE INDEX payments_due ON billing.payments USING btree (next_ask_at) WHERE (next_ask_at < 'infinity'::timestamp with time zone);

CREATE INDEX payments_in_doubt ON billing.payments USING btree (id) WHERE (status = 'unknown'::billing.payment_status);

CREATE UNIQUE INDEX payments_newest ON billing.payments USING btree (organization_id, created_at);

CREATE INDEX payments_newest_of_all ON billing.payments USING btree (id);

CREATE UNIQUE INDEX payments_one_auto_topup ON billing.payments USING btree (organization_id) WHERE ((purpose = 'auto_topup'::billing.payment_purpose) AND (status = ANY (ARRAY['pending'::billing.payment_status, 'unknown'::billing.payment_status])));

CREATE UNIQUE INDEX payments_one_open_of_invoice ON billing.payments USING btree (organization_id, invoice_id) WHERE (status = ANY (ARRAY['pending'::billing.payment_status, 'unknown'::billing.payment_status]));

CREATE INDEX prices_in_force ON billing.prices USING btree (owner_id, provider, model, effective_from, recorded_at, id);

CREATE INDEX refused_events_newest ON billing.refused_events USING btree (id);

CREATE INDEX topups_to_invoice_due ON billing.topups_to_invoice USING btree (next_attempt_at);

CREATE INDEX unpriced_usage_waiting ON billing.unpriced_usage USING btree (organization_id, id) WHERE (transaction_id IS NULL);

CREATE INDEX webhook_deliveries_due ON billing.webhook_deliveries USING btree (organization_id, endpoint_id, next_attempt_at) WHERE (status = 'pending'::text);

ALTER INDEX billing.credit_transactions_movements ATTACH PARTITION billing.credit_transactions_default_organization_id_created_at_idx;

ALTER INDEX billing.credit_transactions_pkey ATTACH PARTITION billing.credit_transactions_default_pkey;

ALTER INDEX billing.logged_spend_pkey ATTACH PARTITION billing.logged_spend_default_pkey;

CREATE TRIGGER event AFTER INSERT ON billing.credit_grants FOR EACH ROW WHEN ((new.kind = 'promotional'::billing.grant_kind)) EXECUTE FUNCTION billing.grant_event();

CREATE TRIGGER event AFTER INSERT ON billing.credit_notes FOR EACH ROW EXECUTE FUNCTION billing.credit_note_event();

CREATE TRIGGER event AFTER INSERT OR UPDATE OF status ON billing.invoices FOR EACH ROW WHEN ((new.invoice_number IS NOT NULL)) EXECUTE FUNCTION billing.invoice_event();

CREATE TRIGGER guard BEFORE DELETE OR UPDATE ON billing.invoices FOR EACH ROW EXECUTE FUNCTION billing.guard_invoice();

CREATE TRIGGER immutable BEFORE DELETE OR UPDATE ON billing.credit_notes FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable BEFORE DELETE OR UPDATE ON billing.prices FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable BEFORE DELETE OR UPDATE ON billing.rerated_charges FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable BEFORE DELETE OR UPDATE ON billing.rerating_adjustments FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable BEFORE DELETE OR UPDATE ON billing.reratings FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable BEFORE DELETE OR UPDATE ON billing.webhook_events FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_delete BEFORE DELETE ON billing.allocations FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_delete BEFORE DELETE ON billing.credit_grants FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_delete BEFORE DELETE ON billing.credit_transactions FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_delete BEFORE DELETE ON billing.exchange_rates FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_delete BEFORE DELETE ON billing.logged_spend FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_rows BEFORE DELETE OR UPDATE ON billing.credited_payments FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_rows BEFORE DELETE OR UPDATE ON billing.erasures FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_rows BEFORE DELETE OR UPDATE ON billing.idempotency FOR EACH ROW EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.allocations FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.credit_grants FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.credit_notes FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.credit_transactions FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.credit_transactions_default FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.credited_payments FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.erasures FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.exchange_rates FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.idempotency FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.invoices FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.logged_spend FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.logged_spend_default FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.prices FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.rerated_charges FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.rerating_adjustments FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.reratings FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER immutable_update BEFORE UPDATE ON billing.credit_transactions FOR EACH ROW EXECUTE FUNCTION billing.refuse_change_but_erasure();

CREATE TRIGGER immutable_update BEFORE UPDATE ON billing.logged_spend FOR EACH ROW EXECUTE FUNCTION billing.refuse_change_but_erasure();

ALTER TABLE ONLY billing.allocations
    ADD CONSTRAINT allocations_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.allocations
    ADD CONSTRAINT allocations_organization_id_grant_id_fkey FOREIGN KEY (organization_id, grant_id) REFERENCES billing.credit_grants(organization_id, id);

ALTER TABLE ONLY billing.allocations
    ADD CONSTRAINT allocations_organization_id_restored_to_fkey FOREIGN KEY (organization_id, restored_to) REFERENCES billing.credit_grants(organization_id, id);

ALTER TABLE ONLY billing.auto_topups
    ADD CONSTRAINT auto_topups_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.budgets
    ADD CONSTRAINT budgets_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.charge_refunds
    ADD CONSTRAINT charge_refunds_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.clients
    ADD CONSTRAINT clients_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.credit_grants
    ADD CONSTRAINT credit_grants_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.credit_notes
    ADD CONSTRAINT credit_notes_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.credit_notes
    ADD CONSTRAINT credit_notes_organization_id_invoice_id_fkey FOREIGN KEY (organization_id, invoice_id) REFERENCES billing.invoices(organization_id, id);

ALTER TABLE ONLY billing.erasures
    ADD CONSTRAINT erasures_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.forecasts
    ADD CONSTRAINT forecasts_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.holds
    ADD CONSTRAINT holds_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.invoices
    ADD CONSTRAINT invoices_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.labels
    ADD CONSTRAINT labels_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.month_end_items
    ADD CONSTRAINT month_end_items_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.month_end_items
    ADD CONSTRAINT month_end_items_organization_id_invoice_id_fkey FOREIGN KEY (organization_id, invoice_id) REFERENCES billing.invoices(organization_id, id);

ALTER TABLE ONLY billing.payment_customers
    ADD CONSTRAINT payment_customers_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.payment_links
    ADD CONSTRAINT payment_links_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.payment_links
    ADD CONSTRAINT payment_links_organization_id_invoice_id_fkey FOREIGN KEY (organization_id, invoice_id) REFERENCES billing.invoices(organization_id, id);

ALTER TABLE ONLY billing.payment_refunds
    ADD CONSTRAINT payment_refunds_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.payment_refunds
    ADD CONSTRAINT payment_refunds_organization_id_payment_id_fkey FOREIGN KEY (organization_id, payment_id) REFERENCES billing.payments(organization_id, id);

ALTER TABLE ONLY billing.payments
    ADD CONSTRAINT payments_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.payments
    ADD CONSTRAINT payments_organization_id_grant_id_fkey FOREIGN KEY (organization_id, grant_id) REFERENCES billing.credit_grants(organization_id, id);

ALTER TABLE ONLY billing.payments
    ADD CONSTRAINT payments_organization_id_invoice_id_fkey FOREIGN KEY (organization_id, invoice_id) REFERENCES billing.invoices(organization_id, id);

ALTER TABLE ONLY billing.rerated_charges
    ADD CONSTRAINT rerated_charges_organization_id_rerating_id_fkey FOREIGN KEY (organization_id, rerating_id) REFERENCES billing.rerating_adjustments(organization_id, rerating_id);

ALTER TABLE ONLY billing.rerated_charges
    ADD CONSTRAINT rerated_charges_price_id_fkey FOREIGN KEY (price_id) REFERENCES billing.prices(id);

ALTER TABLE ONLY billing.rerating_adjustments
    ADD CONSTRAINT rerating_adjustments_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.rerating_adjustments
    ADD CONSTRAINT rerating_adjustments_rerating_id_fkey FOREIGN KEY (rerating_id) REFERENCES billing.reratings(id);

ALTER TABLE ONLY billing.topups_to_invoice
    ADD CONSTRAINT topups_to_invoice_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.unpriced_usage
    ADD CONSTRAINT unpriced_usage_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_organization_id_endpoint_id_fkey FOREIGN KEY (organization_id, endpoint_id) REFERENCES billing.webhook_endpoints(organization_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY billing.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_organization_id_event_id_fkey FOREIGN KEY (organization_id, event_id) REFERENCES billing.webhook_events(organization_id, id);

ALTER TABLE ONLY billing.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE ONLY billing.webhook_events
    ADD CONSTRAINT webhook_events_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES billing.organizations(id);

ALTER TABLE billing.allocations ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.auto_topups ENABLE ROW LEVEL SECURITY;

CREATE POLICY balance_follows_amount ON billing.credit_transactions AS RESTRICTIVE FOR INSERT TO synaxis_ledger WITH CHECK ((balance_after_usd = (balance_before_usd + amount_usd)));

ALTER TABLE billing.budgets ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.charge_refunds ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.clients ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.credit_grants ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.credit_notes ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.credit_transactions ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.credited_payments ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.document_key ENABLE ROW LEVEL SECURITY;

CREATE POLICY erasure ON billing.credit_grants TO synaxis_eraser USING (true);

CREATE POLICY erasure ON billing.credit_transactions TO synaxis_eraser USING (true);

CREATE POLICY erasure ON billing.erasures TO synaxis_eraser USING (true);

CREATE POLICY erasure ON billing.holds TO synaxis_eraser USING (true);

CREATE POLICY erasure ON billing.logged_spend TO synaxis_eraser USING (true);

CREATE POLICY erasure ON billing.organizations TO synaxis_eraser USING (true);

CREATE POLICY erasure ON billing.unpriced_usage TO synaxis_eraser USING (true);

ALTER TABLE billing.erasures ENABLE ROW LEVEL SECURITY;

CREATE POLICY everybody ON billing.document_key TO synaxis_ledger USING (true);

CREATE POLICY everybody ON billing.exchange_rates TO synaxis_ledger, synaxis_app USING (true);

CREATE POLICY everybody ON billing.payment_events TO synaxis_ledger USING (true);

ALTER TABLE billing.exchange_rates ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.external_ids ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.forecasts ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.holds ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.idempotency ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.invoices ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.labels ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.logged_spend ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.month_end_items ENABLE ROW LEVEL SECURITY;

CREATE POLICY not_overdrawn ON billing.organizations AS RESTRICTIVE FOR UPDATE TO synaxis_ledger USING (true) WITH CHECK (((held_usd >= (0)::numeric) AND ((balance_usd - held_usd) >= LEAST(floor_usd, (- credit_limit_usd)))));

ALTER TABLE billing.organization_homes ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.organizations ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.payment_customers ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.payment_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.payment_links ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.payment_objects ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.payment_refunds ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.payments ENABLE ROW LEVEL SECURITY;

CREATE POLICY platform ON billing.reratings TO synaxis_ledger USING ((current_setting('billing.tenant'::text, true) = '*'::text));

ALTER TABLE billing.prices ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.refused_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.rerated_charges ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.rerating_adjustments ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.reratings ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.spend_rollups ENABLE ROW LEVEL SECURITY;

CREATE POLICY tenant ON billing.allocations TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.auto_topups TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.budgets TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.charge_refunds TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.clients TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.credit_grants TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.credit_notes TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.credit_transactions TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = ( SELECT current_setting('billing.tenant'::text, true) AS current_setting)) OR (( SELECT current_setting('billing.tenant'::text, true) AS current_setting) = '*'::text))) WITH CHECK ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.credited_payments TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.erasures TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.external_ids TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.forecasts TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.holds TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.idempotency TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.invoices TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.labels TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.logged_spend TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = ( SELECT current_setting('billing.tenant'::text, true) AS current_setting)) OR (( SELECT current_setting('billing.tenant'::text, true) AS current_setting) = '*'::text))) WITH CHECK ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.month_end_items TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.organization_homes TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.organizations TO synaxis_ledger, synaxis_app USING ((((id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.payment_customers TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.payment_links TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.payment_objects TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.payment_refunds TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.payments TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.prices TO synaxis_ledger, synaxis_app USING (((organization_id IS NULL) OR ((current_setting('billing.tenant'::text, true) = (organization_id)::text) OR (current_setting('billing.tenant'::text, true) = '*'::text))));

CREATE POLICY tenant ON billing.refused_events TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.rerated_charges TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.rerating_adjustments TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.spend_rollups TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.topups_to_invoice TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.unpriced_usage TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.webhook_deliveries TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.webhook_endpoints TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant ON billing.webhook_events TO synaxis_ledger, synaxis_app USING ((((organization_id)::text = current_setting('billing.tenant'::text, true)) OR (current_setting('billing.tenant'::text, true) = '*'::text)));

ALTER TABLE billing.topups_to_invoice ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.unpriced_usage ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.webhook_deliveries ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.webhook_endpoints ENABLE ROW LEVEL SECURITY;

ALTER TABLE billing.webhook_events ENABLE ROW LEVEL SECURITY;

CREATE POLICY within_limit ON billing.budgets AS RESTRICTIVE FOR UPDATE TO synaxis_ledger USING (true) WITH CHECK (((mode = 'soft'::billing.budget_mode) OR ((spent_usd + held_usd) <= GREATEST(COALESCE(burst_usd, limit_usd), ceiling_usd))));

GRANT USAGE ON SCHEMA billing TO synaxis_app;
GRANT USAGE ON SCHEMA billing TO synaxis_ledger;
GRANT USAGE ON SCHEMA billing TO synaxis_eraser;

GRANT SELECT ON TABLE billing.credit_grants TO synaxis_app;
GRANT SELECT,INSERT ON TABLE billing.credit_grants TO synaxis_ledger;

GRANT UPDATE(remaining_usd) ON TABLE billing.credit_grants TO synaxis_ledger;

GRANT UPDATE(frozen_usd) ON TABLE billing.credit_grants TO synaxis_ledger;

GRANT UPDATE(description) ON TABLE billing.credit_grants TO synaxis_ledger;

GRANT UPDATE(initiated_by) ON TABLE billing.credit_grants TO synaxis_ledger;

GRANT UPDATE(started) ON TABLE billing.credit_grants TO synaxis_ledger;

GRANT UPDATE(transaction_id) ON TABLE billing.credit_grants TO synaxis_ledger;

GRANT UPDATE(voided_at) ON TABLE billing.credit_grants TO synaxis_ledger;

GRANT UPDATE(warned_days) ON TABLE billing.credit_grants TO synaxis_ledger;

GRANT SELECT ON TABLE billing.credit_transactions TO synaxis_app;
GRANT SELECT,INSERT ON TABLE billing.credit_transactions TO synaxis_ledger;
GRANT SELECT ON TABLE billing.credit_transactions TO synaxis_eraser;

GRANT UPDATE(description) ON TABLE billing.credit_transactions TO synaxis_eraser;

GRANT UPDATE(initiated_by) ON TABLE billing.credit_transactions TO synaxis_eraser;

GRANT UPDATE(end_user) ON TABLE billing.credit_transactions TO synaxis_eraser;

GRANT UPDATE(metadata) ON TABLE billing.credit_transactions TO synaxis_eraser;

GRANT UPDATE(personal_salt) ON TABLE billing.credit_transactions TO synaxis_eraser;

GRANT SELECT ON TABLE billing.organizations TO synaxis_app;
GRANT SELECT,INSERT,UPDATE ON TABLE billing.organizations TO synaxis_ledger;
GRANT SELECT ON TABLE billing.organizations TO synaxis_eraser;

GRANT SELECT ON TABLE billing.holds TO synaxis_app;
GRANT SELECT,INSERT,UPDATE ON TABLE billing.holds TO synaxis_ledger;
GRANT SELECT ON TABLE billing.holds TO synaxis_eraser;

GRANT UPDATE(description) ON TABLE billing.holds TO synaxis_eraser;

GRANT UPDATE(initiated_by) ON TABLE billing.holds TO synaxis_eraser;

GRANT UPDATE(end_user) ON TABLE billing.holds TO synaxis_eraser;

GRANT UPDATE(metadata) ON TABLE billing.holds TO synaxis_eraser;

GRANT SELECT ON TABLE billing.auto_topups TO synaxis_app;
GRANT SELECT,INSERT,UPDATE ON TABLE billing.auto_topups TO synaxis_ledger;

GRANT SELECT ON TABLE billing.payments TO synaxis_app;
GRANT SELECT,INSERT,UPDATE ON TABLE billing.payments TO synaxis_ledger;

GRANT SELECT,INSERT ON TABLE billing.idempotency TO synaxis_ledger;

GRANT SELECT ON TABLE billing.budgets TO synaxis_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE billing.budgets TO synaxis_ledger;

GRANT SELECT,INSERT,UPDATE ON TABLE billing.clients TO synaxis_ledger;

GRANT SELECT ON TABLE billing.invoices TO synaxis_app;
GRANT SELECT,INSERT,UPDATE ON TABLE billing.invoices TO synaxis_ledger;

GRANT SELECT ON TABLE billing.credit_notes TO synaxis_app;
GRANT SELECT,INSERT ON TABLE billing.credit_notes TO synaxis_ledger;

GRANT SELECT,INSERT ON TABLE billing.erasures TO synaxis_ledger;
GRANT SELECT,INSERT ON TABLE billing.erasures TO synaxis_eraser;

GRANT SELECT ON TABLE billing.labels TO synaxis_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE billing.labels TO synaxis_ledger;

GRANT SELECT ON TABLE billing.exchange_rates TO synaxis_app;
GRANT SELECT,INSERT ON TABLE billing.exchange_rates TO synaxis_ledger;

GRANT UPDATE(held) ON TABLE billing.exchange_rates TO synaxis_ledger;

GRANT UPDATE(stored_at) ON TABLE billing.exchange_rates TO synaxis_ledger;

GRANT SELECT ON TABLE billing.logged_spend TO synaxis_app;
GRANT SELECT,INSERT ON TABLE billing.logged_spend TO synaxis_ledger;
GRANT SELECT ON TABLE billing.logged_spend TO synaxis_eraser;

GRANT UPDATE(end_user) ON TABLE billing.logged_spend TO synaxis_eraser;

GRANT UPDATE(metadata) ON TABLE billing.logged_spend TO synaxis_eraser;

GRANT SELECT ON TABLE billing.spend_logs TO synaxis_app;
GRANT SELECT ON TABLE billing.spend_logs TO synaxis_ledger;

GRANT SELECT ON TABLE billing.payment_refunds TO synaxis_app;
GRANT SELECT,INSERT,UPDATE ON TABLE billing.payment_refunds TO synaxis_ledger;

GRANT SELECT ON TABLE billing.prices TO synaxis_app;
GRANT SELECT,INSERT ON TABLE billing.prices TO synaxis_ledger;

GRANT SELECT,INSERT ON TABLE billing.refused_events TO synaxis_ledger;

GRANT UPDATE(event) ON TABLE billing.refused_events TO synaxis_ledger;

GRANT UPDATE(code) ON TABLE billing.refused_events TO synaxis_ledger;

GRANT UPDATE(error) ON TABLE billing.refused_events TO synaxis_ledger;

GRANT UPDATE(initiated_by) ON TABLE billing.refused_events TO synaxis_ledger;

GRANT UPDATE(times) ON TABLE billing.refused_events TO synaxis_ledger;

GRANT UPDATE(refused_at) ON TABLE billing.refused_events TO synaxis_ledger;

REVOKE ALL ON PROCEDURE billing.spend(INOUT p_answer json, IN p_operation text, IN p_tenant text, IN p_organization_id uuid, IN p_request jsonb) FROM PUBLIC;
GRANT ALL ON PROCEDURE billing.spend(INOUT p_answer json, IN p_operation text, IN p_tenant text, IN p_organization_id uuid, IN p_request jsonb) TO synaxis_ledger;
GRANT ALL ON PROCEDURE billing.spend(INOUT p_answer json, IN p_operation text, IN p_tenant text, IN p_organization_id uuid, IN p_request jsonb) TO synaxis_app;

REVOKE ALL ON PROCEDURE billing.spend_batch(INOUT p_answer json[], IN p_tenant text, IN p_charges jsonb) FROM PUBLIC;
GRANT ALL ON PROCEDURE billing.spend_batch(INOUT p_answer json[], IN p_tenant text, IN p_charges jsonb) TO synaxis_ledger;
GRANT ALL ON PROCEDURE billing.spend_batch(INOUT p_answer json[], IN p_tenant text, IN p_charges jsonb) TO synaxis_app;

REVOKE ALL ON PROCEDURE billing.spend_batch_of(INOUT p_answer json[], IN p_tenant text, IN p_organization_id uuid, IN p_charges jsonb) FROM PUBLIC;
GRANT ALL ON PROCEDURE billing.spend_batch_of(INOUT p_answer json[], IN p_tenant text, IN p_organization_id uuid, IN p_charges jsonb) TO synaxis_ledger;
GRANT ALL ON PROCEDURE billing.spend_batch_of(INOUT p_answer json[], IN p_tenant text, IN p_organization_id uuid, IN p_charges jsonb) TO synaxis_app;

GRANT SELECT,INSERT ON TABLE billing.unpriced_usage TO synaxis_ledger;
GRANT SELECT ON TABLE billing.unpriced_usage TO synaxis_eraser;

GRANT UPDATE(request) ON TABLE billing.unpriced_usage TO synaxis_ledger;
GRANT UPDATE(request) ON TABLE billing.unpriced_usage TO synaxis_eraser;

GRANT UPDATE(transaction_id) ON TABLE billing.unpriced_usage TO synaxis_ledger;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE billing.webhook_endpoints TO synaxis_ledger;

GRANT SELECT,INSERT ON TABLE billing.webhook_events TO synaxis_ledger;

GRANT SELECT ON TABLE billing.allocations TO synaxis_app;
GRANT SELECT,INSERT ON TABLE billing.allocations TO synaxis_ledger;

GRANT UPDATE(to_usd) ON TABLE billing.allocations TO synaxis_ledger;

GRANT UPDATE(grant_id) ON TABLE billing.allocations TO synaxis_ledger;

GRANT UPDATE(covered_at) ON TABLE billing.allocations TO synaxis_ledger;

GRANT UPDATE(refund_id) ON TABLE billing.allocations TO synaxis_ledger;

GRANT UPDATE(restored_to) ON TABLE billing.allocations TO synaxis_ledger;

GRANT UPDATE(invoice_id) ON TABLE billing.allocations TO synaxis_ledger;

GRANT SELECT,INSERT,UPDATE ON TABLE billing.charge_refunds TO synaxis_ledger;

GRANT SELECT,INSERT ON TABLE billing.credited_payments TO synaxis_ledger;

GRANT SELECT,INSERT,UPDATE ON TABLE billing.document_counters TO synaxis_ledger;

GRANT SELECT ON TABLE billing.document_key TO synaxis_ledger;

GRANT SELECT ON TABLE billing.external_ids TO synaxis_app;
GRANT SELECT,INSERT,DELETE ON TABLE billing.external_ids TO synaxis_ledger;

GRANT SELECT ON TABLE billing.forecasts TO synaxis_app;
GRANT SELECT,INSERT,UPDATE ON TABLE billing.forecasts TO synaxis_ledger;

GRANT SELECT,INSERT,DELETE ON TABLE billing.invalidations TO synaxis_ledger;

GRANT UPDATE(attempts) ON TABLE billing.invalidations TO synaxis_ledger;

GRANT UPDATE(next_attempt_at) ON TABLE billing.invalidations TO synaxis_ledger;

GRANT UPDATE(error) ON TABLE billing.invalidations TO synaxis_ledger;

GRANT SELECT ON TABLE billing.month_end_items TO synaxis_app;
GRANT SELECT,INSERT,UPDATE ON TABLE billing.month_end_items TO synaxis_ledger;

GRANT SELECT ON TABLE billing.organization_homes TO synaxis_app;
GRANT SELECT,INSERT,UPDATE ON TABLE billing.organization_homes TO synaxis_ledger;

GRANT SELECT ON TABLE billing.payment_customers TO synaxis_app;
GRANT SELECT,INSERT,UPDATE ON TABLE billing.payment_customers TO synaxis_ledger;

GRANT SELECT,INSERT ON TABLE billing.payment_events TO synaxis_ledger;

GRANT UPDATE(body) ON TABLE billing.payment_events TO synaxis_ledger;

GRANT UPDATE(organization_id) ON TABLE billing.payment_events TO synaxis_ledger;

GRANT UPDATE(payment_id) ON TABLE billing.payment_events TO synaxis_ledger;

GRANT UPDATE(settled_at) ON TABLE billing.payment_events TO synaxis_ledger;

GRANT SELECT ON TABLE billing.payment_links TO synaxis_app;
GRANT SELECT,INSERT ON TABLE billing.payment_links TO synaxis_ledger;

GRANT SELECT,INSERT ON TABLE billing.payment_objects TO synaxis_ledger;

GRANT SELECT,INSERT ON TABLE billing.rerated_charges TO synaxis_ledger;

GRANT SELECT,INSERT ON TABLE billing.rerating_adjustments TO synaxis_ledger;

GRANT SELECT,INSERT ON TABLE billing.reratings TO synaxis_ledger;

GRANT SELECT ON TABLE billing.spend_rollups TO synaxis_app;
GRANT SELECT,INSERT,UPDATE ON TABLE billing.spend_rollups TO synaxis_ledger;

GRANT SELECT ON TABLE billing.topups_to_invoice TO synaxis_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE billing.topups_to_invoice TO synaxis_ledger;

GRANT SELECT,INSERT,UPDATE ON TABLE billing.webhook_deliveries TO synaxis_ledger;

-- billing.accept_exchange_rates(p_tenant text, p_fetch_id uuid)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.add_to_rollup(p_organization_id uuid, p_start timestamp with time zone, p_end timestamp with time zone, u billing.usage_request, p_charged boolean)
--     RETURNS void, for synaxis_ledger
-- billing.add_to_rollups(p_transactions billing.credit_transactions[], p_usages billing.usage_request[], p_day_ends timestamp with time zone[])
--     RETURNS void, for synaxis_ledger
-- billing.adjoining(p_instant timestamp with time zone, p_instants timestamp with time zone[])
--     RETURNS timestamp with time zone, for synaxis_ledger
-- billing.adjust(p_tenant text, p_organization_id uuid, p_key text, p_fingerprint bytea, p_amount_usd numeric, p_allow_negative_balance boolean, p_description text, p_initiated_by text, p_expires_at timestamp with time zone)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.adjust_rerated(p_rerating_id uuid, o billing.organizations, p_charges bigint, p_correction_usd numeric, p_initiated_by text)
--     RETURNS uuid, for synaxis_ledger
-- billing.advance_clock(o billing.organizations)
--     RETURNS billing.organizations, for synaxis_ledger
-- billing.after(o billing.organizations, t billing.credit_transactions)
--     RETURNS billing.organizations, for synaxis_ledger
-- billing.alert_budgets(p_organization_id uuid, p_at timestamp with time zone)
--     RETURNS void, for synaxis_ledger
-- billing.allocate(p_amounts_usd numeric[], p_units numeric)
--     RETURNS numeric[], for synaxis_ledger
-- billing.allocations_between(o billing.organizations, p_from_usd numeric, p_to_usd numeric)
--     RETURNS TABLE(from_usd numeric, to_usd numeric, grant_id uuid, covered_at timestamp with time zone, refund_id uuid, restored_to uuid, invoice_id uuid), for synaxis_app, synaxis_ledger
-- billing.as_of_now(h billing.holds)
--     RETURNS billing.holds, for synaxis_app, synaxis_ledger
-- billing.audit()
--     RETURNS TABLE(organization_id uuid, promise text, detail text)
-- billing.audit_budgets()
--     RETURNS TABLE(organization_id uuid, promise text, detail text), for synaxis_ledger
-- billing.audit_entries()
--     RETURNS TABLE(organization_id uuid, promise text, detail text), for synaxis_ledger
-- billing.audit_grants()
--     RETURNS TABLE(organization_id uuid, promise text, detail text), for synaxis_ledger
-- billing.audit_guarded()
--     RETURNS TABLE(organization_id uuid, promise text, detail text), for synaxis_ledger
-- billing.audit_guards()
--     RETURNS TABLE(organization_id uuid, promise text, detail text), for synaxis_ledger
-- billing.audit_holds()
--     RETURNS TABLE(organization_id uuid, promise text, detail text), for synaxis_ledger
-- billing.audit_invoices()
--     RETURNS TABLE(organization_id uuid, promise text, detail text), for synaxis_ledger
-- billing.audit_keys()
--     RETURNS TABLE(organization_id uuid, promise text, detail text), for synaxis_ledger
-- billing.audit_odometer()
--     RETURNS TABLE(organization_id uuid, promise text, detail text), for synaxis_ledger
-- billing.audit_payments()
--     RETURNS TABLE(organization_id uuid, promise text, detail text), for synaxis_ledger
-- billing.audit_prices()
--     RETURNS TABLE(organization_id uuid, promise text, detail text), for synaxis_ledger
-- billing.audit_revenue()
--     RETURNS TABLE(organization_id uuid, promise text, detail text), for synaxis_ledger
-- billing.audit_usage()
--     RETURNS TABLE(organization_id uuid, promise text, detail text), for synaxis_ledger
-- billing.auto_topup(p_tenant text, p_organization_id uuid)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.auto_topup_json(a billing.auto_topups)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.auto_topup_learns(p_before billing.payments, p billing.payments)
--     RETURNS void, for synaxis_ledger
-- billing.auto_topup_usd(o billing.organizations, a billing.auto_topups)
--     RETURNS numeric, for synaxis_ledger
-- billing.available(o billing.organizations)
--     RETURNS numeric, for synaxis_ledger
-- billing.balance(p_tenant text, p_organization_id uuid)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.balance_history(p_tenant text, p_organization_id uuid, p_from date, p_to date, p_most integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.balance_low(p_organization_id uuid, p_balance_usd numeric, p_threshold_usd numeric, p_version bigint)
--     RETURNS void, for synaxis_ledger
-- billing.batch_items(p_requests billing.usage_request[], p_organization_id uuid)
--     RETURNS TABLE(ordinal integer, past billing.idempotency, counted text), for synaxis_ledger
-- billing.bill_month(p_tenant text, p_organization_id uuid, p_month text, p_terms jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.bring_grant(o billing.organizations, g billing.credit_grants, t billing.credit_transactions)
--     RETURNS billing.organizations, for synaxis_ledger
-- billing.bring_payment(o billing.organizations, p billing.payments, p_credit_usd numeric)
--     RETURNS billing.payments, for synaxis_ledger
-- billing.brought(p_grants billing.credit_grants[], t billing.credit_transactions)
--     RETURNS billing.credit_grants[], for synaxis_ledger
-- billing.budget(p_tenant text, p_organization_id uuid, p_budget_id uuid)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.budget_exceeded(o billing.organizations, u billing.usage_request)
--     RETURNS json, for synaxis_ledger
-- billing.budget_facts(b billing.budgets, p_at timestamp with time zone)
--     RETURNS jsonb, for synaxis_ledger
-- billing.budget_json(b billing.budgets)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.budgets(p_tenant text, p_organization_id uuid, p_before timestamp with time zone, p_since timestamp with time zone, p_limit integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.budgets_fit(p_organization_id uuid, u billing.usage_request, p_at timestamp with time zone)
--     RETURNS boolean, for synaxis_ledger
-- billing.burn_down(p_grants billing.credit_grants[], p_from_usd numeric, p_to_usd numeric)
--     RETURNS TABLE(ordinal integer, grant_id uuid, from_usd numeric, to_usd numeric), for synaxis_app, synaxis_ledger
-- billing.cancel_invoice(p_tenant text, p_organization_id uuid, p_invoice_id uuid)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.capture_hold(p_tenant text, p_organization_id uuid, p_request jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.capture_refused(h billing.holds, u billing.usage_request)
--     RETURNS json, for synaxis_ledger
-- billing.chained(o billing.organizations, t billing.credit_transactions)
--     RETURNS billing.credit_transactions, for synaxis_ledger
-- billing.change_held(p_organization_id uuid, p_budget_ids uuid[], p_change_usd numeric)
--     RETURNS void, for synaxis_ledger
-- billing.change_hold(p_tenant text, p_organization_id uuid, p_request jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.changes_settings_only(o billing.organizations, p billing.organizations)
--     RETURNS boolean, for synaxis_ledger
-- billing.charge(p_tenant text, p_organization_id uuid, p_request jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.charge_batch(p_tenant text, p_charges jsonb)
--     RETURNS json[], as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.charge_hash(p_previous_hash bytea, p_id uuid, p_organization_id uuid, p_version bigint, p_amount_usd numeric, p_balance_before_usd numeric, p_reference_id text, p_digest bytea, p_created_at timestamp with time zone, p_drawn_usd numeric)
--     RETURNS bytea, for synaxis_ledger
-- billing.charge_of(o billing.organizations, u billing.usage_request, p_hold_id uuid DEFAULT NULL::uuid)
--     RETURNS billing.credit_transactions, for synaxis_ledger
-- billing.charge_unpriced(p_tenant text, p_organization_id uuid, p_limit integer)
--     RETURNS integer, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.charged_lately(o billing.organizations, p_now timestamp with time zone)
--     RETURNS numeric, for synaxis_app, synaxis_ledger
-- billing.charged_models(p_organization_id uuid, p_timezone text, p_start timestamp with time zone, p_end timestamp with time zone)
--     RETURNS TABLE(place bigint, model text, provider text, requests numeric, tokens numeric, amount_usd numeric), for synaxis_ledger
-- billing.charged_since(o billing.organizations, p_subject text, p_start timestamp with time zone)
--     RETURNS numeric, for synaxis_ledger
-- billing.charges_to_correct(p_organization_id uuid, p_provider text, p_model text, p_start timestamp with time zone, p_end timestamp with time zone)
--     RETURNS TABLE(transaction_id uuid, price_id uuid, charged_usd numeric, amount_usd numeric), for synaxis_ledger
-- billing.claim_auto_topup(p_tenant text, p_organization_id uuid, p_terms jsonb)
--     RETURNS uuid, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.claim_external_id(p_organization_id uuid, p_old text, p_new text)
--     RETURNS boolean, for synaxis_ledger
-- billing.claim_payments(p_tenant text, p_organization_id uuid)
--     RETURNS uuid[], as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.claim_topups(p_tenant text, p_organization_id uuid)
--     RETURNS uuid[], as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.claim_webhooks(p_tenant text, p_organization_id uuid, p_each integer, p_limit integer, p_lease interval)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.client_is_active(p_tenant text, p_organization_id uuid, p_client_id uuid)
--     RETURNS boolean, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.client_json(c billing.clients)
--     RETURNS json, for synaxis_ledger
-- billing.client_to_verify(p_tenant text, p_client_id uuid)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.clients(p_tenant text, p_organization_id uuid)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.computed_invoice(i billing.invoices, o billing.organizations, p_terms jsonb)
--     RETURNS billing.invoices, for synaxis_ledger
-- billing.corrected_invoice(i billing.invoices, rest billing.credit_notes, o billing.organizations, p_terms jsonb)
--     RETURNS billing.invoices, for synaxis_ledger
-- billing.count_charge(p_organization_id uuid, u billing.usage_request, p_at timestamp with time zone)
--     RETURNS boolean, for synaxis_ledger
-- billing.count_transaction(o billing.organizations, t billing.credit_transactions, p_over_limit boolean)
--     RETURNS void, for synaxis_ledger
-- billing.counted_by(o billing.organizations, t billing.credit_transactions)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.cover_by_all(o billing.organizations, p_at timestamp with time zone)
--     RETURNS billing.organizations, for synaxis_ledger
-- billing.cover_debt(p_organization_id uuid, p_grant_id uuid, p_credit_usd numeric, p_at timestamp with time zone)
--     RETURNS numeric, for synaxis_ledger
-- billing.cover_invoice(o billing.organizations, i billing.invoices, p_initiated_by text)
--     RETURNS void, for synaxis_ledger
-- billing.create_budget(p_tenant text, p_organization_id uuid, p_budget jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.create_client(p_tenant text, p_organization_id uuid, p_name text, p_scopes text[], p_verifier bytea, p_most integer)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.create_grant(p_tenant text, p_organization_id uuid, p_key text, p_fingerprint bytea, p_amount_usd numeric, p_priority integer, p_effective_at timestamp with time zone, p_expires_at timestamp with time zone, p_every text, p_description text, p_initiated_by text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.create_organization(p_tenant text, p_organization_id uuid, p_profile jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.create_payment(p_tenant text, p_organization_id uuid, p_key text, p_fingerprint bytea, p_purpose text, p_provider text, p_credit_usd numeric, p_invoice_id uuid, p_return_url text, p_terms jsonb, p_initiated_by text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.create_payment_link(p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_token_hash bytea, p_expires_in interval)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.create_payment_refund(p_tenant text, p_organization_id uuid, p_payment_id uuid, p_key text, p_fingerprint bytea, p_amount_usd numeric, p_allow_negative_balance boolean, p_initiated_by text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.create_price(p_tenant text, p_price jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.create_rerating(p_tenant text, p_provider text, p_model text, p_start timestamp with time zone, p_end timestamp with time zone, p_initiated_by text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.create_webhook_endpoint(p_tenant text, p_organization_id uuid, p_url text, p_types text[], p_secret bytea, p_most integer)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.created_charge(p_id uuid, p_before_usd numeric, p_after_usd numeric, p_drawn_usd numeric, p_version bigint, p_hash bytea, p_created_at timestamp with time zone, p_priced text)
--     RETURNS json, for synaxis_ledger
-- billing.credit_grant_json(g billing.credit_grants)
--     RETURNS json, for synaxis_ledger
-- billing.credit_invoice(p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_key text, p_fingerprint bytea, p_amount_usd numeric, p_reason text, p_refund_credit boolean, p_initiated_by text, p_series text, p_grace_days integer)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.credit_note(p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_credit_note_id uuid)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.credit_note_event()
--     RETURNS trigger, for synaxis_ledger
-- billing.credit_note_json(n billing.credit_notes)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.credit_notes(p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_after integer, p_limit integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.credit_of(o billing.organizations, p_now timestamp with time zone)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.credit_of_part(p billing.payments, p_part numeric)
--     RETURNS numeric, for synaxis_ledger
-- billing.credit_payment(o billing.organizations, p billing.payments)
--     RETURNS billing.payments, for synaxis_ledger
-- billing.credit_refused(i billing.invoices, p_amount_usd numeric, p_creditable_usd numeric, p_refund_credit boolean)
--     RETURNS json, for synaxis_ledger
-- billing.credit_statement(o billing.organizations, s billing.period_settlement, p_start timestamp with time zone, p_end timestamp with time zone)
--     RETURNS jsonb, for synaxis_ledger
-- billing.creditable_usd(i billing.invoices, rest billing.credit_notes)
--     RETURNS numeric, for synaxis_ledger
-- billing.cut_allocation(p_organization_id uuid, p_at_usd numeric)
--     RETURNS void, for synaxis_ledger
-- billing.cut_back(p_organization_id uuid, p_from_usd numeric, p_to_usd numeric, p_amount_usd numeric, p_invoice_id uuid DEFAULT NULL::uuid)
--     RETURNS numeric[], for synaxis_ledger
-- billing.cut_buckets(p_organization_id uuid, p_timezone text, p_start timestamp with time zone, p_end timestamp with time zone)
--     RETURNS tstzrange[], for synaxis_app, synaxis_ledger
-- billing.daily_spend(o billing.organizations, p_today date, p_days integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.day_start(p_day date, p_timezone text)
--     RETURNS timestamp with time zone, for synaxis_app, synaxis_ledger
-- billing.day_start_of(p_tenant text, p_organization_id uuid, p_day date)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.debt_usd(p_organization_id uuid)
--     RETURNS numeric, for synaxis_app, synaxis_ledger
-- billing.decide_batch(p_requests billing.usage_request[], p_organization_id uuid, OUT results json[], OUT transactions billing.credit_transactions[], OUT usages billing.usage_request[], OUT day_ends timestamp with time zone[])
--     RETURNS record, for synaxis_ledger
-- billing.deferred_usd(o billing.organizations)
--     RETURNS numeric, for synaxis_ledger
-- billing.delete_auto_topup(p_tenant text, p_organization_id uuid)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.delete_budget(p_tenant text, p_organization_id uuid, p_budget_id uuid)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.delete_label(p_tenant text, p_organization_id uuid, p_kind text, p_id text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.delete_webhook_endpoint(p_tenant text, p_organization_id uuid, p_endpoint_id uuid)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.delivered_invalidations(p_tenant text, p_ids uuid[])
--     RETURNS integer, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.dimensions(p_model text, p_provider text, p_team_id text, p_virtual_key_id text, p_region text, p_charged boolean)
--     RETURNS bytea, for synaxis_ledger
-- billing.document_key()
--     RETURNS text, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.does_not_fit(p_budget_id uuid)
--     RETURNS numeric, for synaxis_ledger
-- billing.draft_invoice(p_tenant text, p_organization_id uuid, p_period_start timestamp with time zone, p_period_end timestamp with time zone, p_terms jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.drawn_at(o billing.organizations, p_instant timestamp with time zone)
--     RETURNS numeric, for synaxis_ledger
-- billing.drawn_by(t billing.credit_transactions)
--     RETURNS numeric, for synaxis_app, synaxis_ledger
-- billing.due(p_grants billing.credit_grants[], p_held billing.held_credit[], p_clock timestamp with time zone, p_until timestamp with time zone)
--     RETURNS TABLE(at timestamp with time zone, starts boolean, ordinal integer), for synaxis_app, synaxis_ledger
-- billing.due_auto_topups(p_tenant text, p_after uuid, p_limit integer)
--     RETURNS uuid[], as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.due_invoices(p_tenant text, p_after uuid, p_limit integer)
--     RETURNS uuid[], as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.due_payments(p_tenant text, p_after uuid, p_limit integer)
--     RETURNS uuid[], as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.due_topups(p_tenant text, p_after uuid, p_limit integer)
--     RETURNS uuid[], as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.due_webhooks(p_tenant text, p_after uuid, p_limit integer)
--     RETURNS uuid[], as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.dun(p_tenant text, p_organization_id uuid, p_suspend boolean)
--     RETURNS integer, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.earlier_credit_note(p_organization_id uuid, p_key text, p_fingerprint bytea)
--     RETURNS json, for synaxis_ledger
-- billing.empty_payment_events(p_tenant text)
--     RETURNS bigint, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.end_grants(s billing.settlement, p_ended integer[], p_held_usd numeric, p_credit_limit_usd numeric, p_at timestamp with time zone)
--     RETURNS billing.settlement, for synaxis_app, synaxis_ledger
-- billing.ensure_partitions(p_months_ahead integer)
--     RETURNS text[], as administrator, for synaxis_app, synaxis_ledger
-- billing.erase_budgets(o billing.organizations, p_end_user text)
--     RETURNS void, for synaxis_ledger
-- billing.erase_grants(p_organization_id uuid, p_initiated_by text)
--     RETURNS void, for synaxis_ledger
-- billing.erase_labels(o billing.organizations)
--     RETURNS void, for synaxis_ledger
-- billing.erase_payments(p_organization_id uuid, p_initiated_by text)
--     RETURNS void, for synaxis_ledger
-- billing.erase_personal_data(p_tenant text, p_organization_id uuid, p_initiated_by text, p_reason text, p_erased_by text, p_before timestamp with time zone, p_limit integer)
--     RETURNS json, as synaxis_eraser, for synaxis_app, synaxis_eraser
-- billing.erase_persons(p_tenant text, p_organization_id uuid, p_initiated_by text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.erase_profile(p_tenant text, p_organization_id uuid, p_name text, p_reason text, p_erased_by text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.erase_refused_events(p_organization_id uuid, p_initiated_by text)
--     RETURNS void, for synaxis_ledger
-- billing.erase_unpriced(p_organization_id uuid, p_initiated_by text)
--     RETURNS void, for synaxis_eraser, synaxis_ledger
-- billing.erased_until(p_organization_id uuid, p_before timestamp with time zone, p_limit integer)
--     RETURNS timestamp with time zone, for synaxis_eraser, synaxis_ledger
-- billing.erasure_json(e billing.erasures)
--     RETURNS json, for synaxis_ledger
-- billing.event_subjects(p_tenant text, p_subjects text[], p_ids uuid[])
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.everyones_quote(p_tenant text, p_provider text, p_model text, p_service_tier text, p_usage jsonb)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.exceeds(o billing.organizations, u billing.usage_request)
--     RETURNS boolean, for synaxis_ledger
-- billing.exceeds_budget(o billing.organizations, u billing.usage_request)
--     RETURNS boolean, for synaxis_ledger
-- billing.exceeds_credit(o billing.organizations, p_amount_usd numeric)
--     RETURNS boolean, for synaxis_ledger
-- billing.exceeds_limit(b billing.budgets, p_amount_usd numeric, p_at timestamp with time zone)
--     RETURNS boolean, for synaxis_ledger
-- billing.exchange_rates(p_tenant text, p_currencies text[])
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.expire_holds(o billing.organizations)
--     RETURNS billing.organizations, for synaxis_ledger
-- billing.failed_invalidations(p_tenant text, p_ids uuid[], p_errors text[], p_refused boolean[])
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.failed_topups(p_tenant text)
--     RETURNS bigint, for synaxis_app, synaxis_ledger
-- billing.first_grant_json(p_organization_id uuid, p_id uuid)
--     RETURNS json, for synaxis_ledger
-- billing.fits(b billing.budgets, p_amount_usd numeric, p_at timestamp with time zone)
--     RETURNS boolean, for synaxis_ledger
-- billing.forecast_basis(p_tenant text, p_organization_id uuid, p_days integer, p_horizon integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.forget_invoice(i billing.invoices)
--     RETURNS void, for synaxis_ledger
-- billing.freeze_grant(o billing.organizations, p billing.payments, p_frozen_usd numeric, p_leaving_usd numeric)
--     RETURNS billing.organizations, for synaxis_ledger
-- billing.frozen_usd(p_grants billing.credit_grants[])
--     RETURNS numeric, for synaxis_app, synaxis_ledger
-- billing.give_back(o billing.organizations, p billing.payments, p_usd numeric)
--     RETURNS billing.payments, for synaxis_ledger
-- billing.gone_at(o billing.organizations, p_instant timestamp with time zone)
--     RETURNS TABLE(grant_id uuid, basis_usd numeric, used_basis_usd numeric, expired_basis_usd numeric, gone_basis_usd numeric), for synaxis_ledger
-- billing.grant_event()
--     RETURNS trigger, for synaxis_ledger
-- billing.grant_event_json(g billing.credit_grants)
--     RETURNS jsonb, for synaxis_ledger
-- billing.grant_json(g billing.credit_grants, p_at timestamp with time zone)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.grant_status(g billing.credit_grants, p_at timestamp with time zone)
--     RETURNS text, for synaxis_app, synaxis_ledger
-- billing.grant_terms(p_grants billing.credit_grants[])
--     RETURNS jsonb, for synaxis_ledger
-- billing.grants(p_tenant text, p_organization_id uuid, p_status text, p_before timestamp with time zone, p_since timestamp with time zone, p_limit integer, p_scan integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.grants_ahead(o billing.organizations, p_now timestamp with time zone, p_until timestamp with time zone)
--     RETURNS billing.credit_grants[], for synaxis_app, synaxis_ledger
-- billing.grouped_spend(p_organization_id uuid, p_start timestamp with time zone, p_end timestamp with time zone, p_group_by text[], p_filter jsonb, p_top integer)
--     RETURNS TABLE(other boolean, month text, day text, hour timestamp with time zone, organization_id uuid, model text, provider text, team_id text, virtual_key_id text, region text, amount_usd numeric, tokens numeric, requests numeric, input_tokens numeric, cached_tokens numeric, output_tokens numeric, cost_usd numeric, margin_usd numeric), for synaxis_app, synaxis_ledger
-- billing.guard_invoice()
--     RETURNS trigger, for synaxis_ledger
-- billing.hashed_text(t billing.credit_transactions)
--     RETURNS text, for synaxis_app, synaxis_ledger
-- billing.held_at(p_held billing.held_credit[], p_instant timestamp with time zone)
--     RETURNS numeric, for synaxis_app, synaxis_ledger
-- billing.held_credit_of(p_organization_id uuid)
--     RETURNS billing.held_credit[], for synaxis_app, synaxis_ledger
-- billing.hold(p_tenant text, p_organization_id uuid, p_request jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.hold_in_budgets(o billing.organizations, u billing.usage_request)
--     RETURNS uuid[], for synaxis_ledger
-- billing.hold_json(h billing.holds)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.hold_of(p_tenant text, p_organization_id uuid, p_hold_id uuid)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.holds(p_tenant text, p_organization_id uuid, p_status text, p_request_id text, p_before timestamp with time zone, p_since timestamp with time zone, p_limit integer, p_scan integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.home(p_tenant text, p_organization_id uuid)
--     RETURNS text, for synaxis_app, synaxis_ledger
-- billing.hourly_spend(p_organization_id uuid, p_timezone text, p_start timestamp with time zone, p_end timestamp with time zone)
--     RETURNS TABLE(hour timestamp with time zone, local_day date, model text, provider text, team_id text, virtual_key_id text, region text, charged boolean, amount_usd numeric, tokens bigint, requests bigint, input_tokens bigint, cached_tokens bigint, output_tokens bigint, cost_usd numeric, margin_usd numeric), for synaxis_app, synaxis_ledger
-- billing.import_prices(p_tenant text, p_prices jsonb, p_effective_from timestamp with time zone, p_source text, p_dry_run boolean)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.in_burn_down_order(p_grants billing.credit_grants[])
--     RETURNS billing.credit_grants[], for synaxis_app, synaxis_ledger
-- billing.in_currency(p_usd numeric, p_exchange_rate numeric, p_minor_units integer)
--     RETURNS numeric, for synaxis_ledger
-- billing.insert_grants(p_grants billing.credit_grants[])
--     RETURNS void, for synaxis_ledger
-- billing.instant(p_instant timestamp with time zone)
--     RETURNS text, for synaxis_ledger
-- billing.insufficient_credits(o billing.organizations, p_required_usd numeric)
--     RETURNS json, for synaxis_ledger
-- billing.invalid_state(p_detail text)
--     RETURNS json, for synaxis_ledger
-- billing.invoice(p_tenant text, p_organization_id uuid, p_invoice_id uuid)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.invoice_event()
--     RETURNS trigger, for synaxis_ledger
-- billing.invoice_json(i billing.invoices)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.invoice_lines(p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_after integer, p_limit integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.invoice_of_period(o billing.organizations, p_period_start timestamp with time zone, p_period_end timestamp with time zone)
--     RETURNS billing.invoices, for synaxis_ledger
-- billing.invoice_summary(i billing.invoices)
--     RETURNS jsonb, for synaxis_app, synaxis_ledger
-- billing.invoice_topup(p_tenant text, p_organization_id uuid, p_transaction_id uuid, p_terms jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.invoiced_by(t billing.credit_transactions)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.invoiced_usd(p_organization_id uuid)
--     RETURNS numeric, for synaxis_app, synaxis_ledger
-- billing.invoices(p_tenant text, p_organization_id uuid, p_status text, p_before timestamp with time zone, p_since timestamp with time zone, p_limit integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.is_distributed()
--     RETURNS boolean, for synaxis_app, synaxis_ledger
-- billing.is_final_decline(p_code text)
--     RETURNS boolean, for synaxis_ledger
-- billing.is_listed(o billing.organizations, p_name text, p_status text)
--     RETURNS boolean, for synaxis_app, synaxis_ledger
-- billing.is_unpaid(p_status billing.invoice_status)
--     RETURNS boolean, for synaxis_app, synaxis_ledger
-- billing.is_used(o billing.organizations, p_start timestamp with time zone, p_end timestamp with time zone)
--     RETURNS boolean, for synaxis_ledger
-- billing.issue(i billing.invoices, o billing.organizations, p_terms jsonb, p_outcome text)
--     RETURNS json, for synaxis_ledger
-- billing.issue_invoice(p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_terms jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.issued_invoice(i billing.invoices, o billing.organizations, p_series text)
--     RETURNS billing.invoices, for synaxis_ledger
-- billing.keep_unpriced(o billing.organizations, u billing.usage_request)
--     RETURNS json, for synaxis_ledger
-- billing.know_card(p billing.payments, p_state jsonb, p_at timestamp with time zone)
--     RETURNS void, for synaxis_ledger
-- billing.know_customer(p billing.payments, p_customer_id text, p_at timestamp with time zone)
--     RETURNS void, for synaxis_ledger
-- billing.know_objects(p billing.payments, p_external_ids text[])
--     RETURNS void, for synaxis_ledger
-- billing.label_json(l billing.labels)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.label_of(p_organization_id uuid, p_kind text, p_id text)
--     RETURNS text, for synaxis_app, synaxis_ledger
-- billing.labels_changed(o billing.organizations)
--     RETURNS void, for synaxis_ledger
-- billing.labels_page(p_tenant text, p_organization_id uuid, p_kind text, p_after integer, p_limit integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.last_rate(p_currency text)
--     RETURNS SETOF billing.exchange_rates, for synaxis_app, synaxis_ledger
-- billing.level(b billing.budgets, p_at timestamp with time zone)
--     RETURNS numeric, for synaxis_app, synaxis_ledger
-- billing.level_of_rate(p_spent_usd numeric, p_limit_usd numeric, p_counted_at timestamp with time zone, p_at timestamp with time zone)
--     RETURNS numeric, for synaxis_app, synaxis_ledger
-- billing.line_of_credit(i billing.invoices)
--     RETURNS jsonb, for synaxis_ledger
-- billing.listed_organization(o billing.organizations, p_now timestamp with time zone)
--     RETURNS jsonb, for synaxis_app, synaxis_ledger
-- billing.lock_organization(p_tenant text, p_organization_id uuid)
--     RETURNS billing.organizations, for synaxis_ledger
-- billing.locked_again(p_organization_id uuid)
--     RETURNS billing.organizations, for synaxis_ledger
-- billing.log_of_charge(t billing.credit_transactions)
--     RETURNS billing.spend_logs, for synaxis_app, synaxis_ledger
-- billing.log_spend(p_tenant text, p_organization_id uuid, p_request jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.mark_overdue(p_tenant text, p_organization_id uuid)
--     RETURNS integer, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.mark_paid(o billing.organizations, i billing.invoices, p_paid_at timestamp with time zone, p_initiated_by text)
--     RETURNS billing.invoices, for synaxis_ledger
-- billing.matches(f billing.usage_request, p_request_id text, p_reference_id text, p_team_id text, p_virtual_key_id text, p_end_user text, p_model text, p_provider text)
--     RETURNS boolean, for synaxis_app, synaxis_ledger
-- billing.month_end(p_tenant text, p_month text, p_limit integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.month_failed(p_tenant text, p_organization_id uuid, p_month text, p_error text)
--     RETURNS void, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.month_period(o billing.organizations, p_month text, OUT period_start timestamp with time zone, OUT period_end timestamp with time zone)
--     RETURNS record, for synaxis_ledger
-- billing.month_start(p_month text, p_timezone text)
--     RETURNS timestamp with time zone, for synaxis_app, synaxis_ledger
-- billing.needed_by_holds(p_remaining_usd numeric, p_held_usd numeric, p_other_credit_usd numeric, p_headroom_usd numeric)
--     RETURNS numeric, for synaxis_app, synaxis_ledger
-- billing.net_due(i billing.invoices)
--     RETURNS numeric, for synaxis_ledger
-- billing.new_grant(o billing.organizations, p_kind billing.grant_kind, p_amount_usd numeric, p_priority integer, p_expires_at timestamp with time zone, p_cost_basis_usd numeric)
--     RETURNS billing.credit_grants, for synaxis_ledger
-- billing.new_id(p_instant timestamp with time zone)
--     RETURNS uuid, for synaxis_ledger
-- billing.newest_spend_logs(p_organization_id uuid, p_start timestamp with time zone, p_end timestamp with time zone, p_limit integer)
--     RETURNS SETOF billing.spend_logs, for synaxis_app, synaxis_ledger
-- billing.next_grant(g billing.credit_grants, p_timezone text)
--     RETURNS billing.credit_grants, for synaxis_app, synaxis_ledger
-- billing.next_instant(p_changed_at timestamp with time zone, p_now timestamp with time zone)
--     RETURNS timestamp with time zone, for synaxis_ledger
-- billing.next_month(p_month text)
--     RETURNS text, for synaxis_app, synaxis_ledger
-- billing.next_number(p_series text, p_instant timestamp with time zone)
--     RETURNS text, for synaxis_ledger
-- billing.next_settlement(p_grants billing.credit_grants[], p_settled_at timestamp with time zone)
--     RETURNS timestamp with time zone, for synaxis_ledger
-- billing.next_transaction(o billing.organizations, p_type billing.transaction_type, p_amount_usd numeric, p_description text, p_reference_id text, p_initiated_by text, p_charge_id uuid DEFAULT NULL::uuid, p_grant_id uuid DEFAULT NULL::uuid, p_grants jsonb DEFAULT NULL::jsonb)
--     RETURNS billing.credit_transactions, for synaxis_ledger
-- billing.no_budget(o billing.organizations)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.no_client(o billing.organizations)
--     RETURNS json, for synaxis_ledger
-- billing.no_invoice(o billing.organizations)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.no_webhook_endpoint(o billing.organizations)
--     RETURNS json, for synaxis_ledger
-- billing.not_covered(o billing.organizations, u billing.usage_request)
--     RETURNS json, for synaxis_ledger
-- billing.not_payable(i billing.invoices, p_provider text)
--     RETURNS json, for synaxis_ledger
-- billing.now()
--     RETURNS timestamp with time zone, for synaxis_app, synaxis_eraser, synaxis_ledger
-- billing.on_terms(i billing.invoices, o billing.organizations, p_terms jsonb)
--     RETURNS billing.invoices, for synaxis_ledger
-- billing.open_grants(o billing.organizations, p_until timestamp with time zone)
--     RETURNS billing.credit_grants[], for synaxis_app, synaxis_ledger
-- billing.organization(p_tenant text, p_organization_id uuid)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.organization_json(o billing.organizations)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.organizations_by(p_tenant text, p_sort text, p_name text, p_status text, p_after integer, p_limit integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.organizations_charged_for(p_tenant text, p_provider text, p_model text, p_start timestamp with time zone, p_end timestamp with time zone, p_after uuid, p_limit integer)
--     RETURNS uuid[], as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.organizations_page(p_tenant text, p_external_id text, p_name text, p_status text, p_before timestamp with time zone, p_since timestamp with time zone, p_limit integer, p_scan integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.organizations_to_dun(p_tenant text, p_after uuid, p_limit integer)
--     RETURNS uuid[], as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.organizations_to_settle(p_tenant text, p_limit integer)
--     RETURNS uuid[], for synaxis_app, synaxis_ledger
-- billing.organizations_with_unpriced(p_tenant text, p_after uuid, p_limit integer)
--     RETURNS uuid[], as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.other_column(p_table jsonb, p_service_tier text, p_usage jsonb)
--     RETURNS jsonb, for synaxis_app, synaxis_ledger
-- billing.outcome(p_code text, p_value json DEFAULT NULL::json)
--     RETURNS json, for synaxis_app, synaxis_eraser, synaxis_ledger
-- billing.overlapping(i billing.invoices)
--     RETURNS json, for synaxis_ledger
-- billing.own_key(p_reason text, p_id uuid)
--     RETURNS text, for synaxis_ledger
-- billing.paid_by(o billing.organizations, t billing.credit_transactions)
--     RETURNS jsonb, for synaxis_app, synaxis_ledger
-- billing.part_of(i billing.invoices, rest billing.credit_notes, p_amount_usd numeric)
--     RETURNS billing.credit_notes, for synaxis_ledger
-- billing.pay_invoice(p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_paid_at timestamp with time zone, p_initiated_by text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.payment(p_tenant text, p_organization_id uuid, p_payment_id uuid)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.payment_events_of(p_before billing.payments, p billing.payments)
--     RETURNS void, for synaxis_ledger
-- billing.payment_json(p billing.payments)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.payment_link(p_tenant text, p_organization_id uuid, p_token_hash bytea)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.payment_of(g billing.credit_grants)
--     RETURNS uuid, for synaxis_app, synaxis_ledger
-- billing.payment_order(p_tenant text, p_organization_id uuid, p_payment_id uuid)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.payment_refund(p_tenant text, p_organization_id uuid, p_payment_id uuid, p_refund_id uuid)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.payment_refund_json(r billing.payment_refunds, p billing.payments)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.payment_refused(i billing.invoices)
--     RETURNS json, for synaxis_ledger
-- billing.payments(p_tenant text, p_organization_id uuid, p_status text, p_before timestamp with time zone, p_since timestamp with time zone, p_limit integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.pending_invalidations(p_tenant text, p_limit integer)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.personal_budgets(p_organization_id uuid, p_end_user text)
--     RETURNS uuid[], for synaxis_ledger
-- billing.personal_data(p_tenant text, p_organization_id uuid, p_kind text, p_initiated_by text, p_before timestamp with time zone, p_limit integer, p_scan integer)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.personal_digest(p_salt uuid, p_description text, p_initiated_by text, p_end_user text, p_metadata jsonb)
--     RETURNS bytea, for synaxis_ledger
-- billing.personal_grants(p_organization_id uuid, p_initiated_by text)
--     RETURNS uuid[], for synaxis_ledger
-- billing.personal_text(p_salt uuid, p_description text, p_initiated_by text, p_end_user text, p_metadata jsonb)
--     RETURNS text, for synaxis_app, synaxis_ledger
-- billing.plan_forecasts(p_tenant text, p_after uuid, p_limit integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.plan_month_end(p_tenant text, p_month text, p_after uuid, p_limit integer)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.platform_daily_spend(p_tenant text, p_days integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.platform_payments(p_tenant text, p_status text, p_dispute_state text, p_before uuid, p_since uuid, p_limit integer)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.platform_spend(p_start timestamp with time zone, p_end timestamp with time zone, p_days boolean)
--     RETURNS TABLE(organization_id uuid, local_day date, model text, provider text, team_id text, virtual_key_id text, region text, charged boolean, amount_usd numeric, tokens bigint, requests bigint, input_tokens bigint, cached_tokens bigint, output_tokens bigint, cost_usd numeric, margin_usd numeric), for synaxis_app, synaxis_ledger
-- billing.platform_spending(p_tenant text, p_start timestamp with time zone, p_end timestamp with time zone, p_group_by text[], p_filter jsonb, p_top integer, p_limit integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.preview_payment(p_tenant text, p_organization_id uuid, p_credit_usd numeric, p_terms jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.price(p_tenant text, p_price_id uuid)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.price_json(p billing.prices)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.price_request(p_organization_id uuid, u billing.usage_request, p_at timestamp with time zone, p_known_at timestamp with time zone DEFAULT 'infinity'::timestamp with time zone)
--     RETURNS billing.usage_request, for synaxis_app, synaxis_ledger
-- billing.price_unknown(p_provider text, p_model text)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.priced_members(u billing.usage_request)
--     RETURNS text, for synaxis_ledger
-- billing.priced_payment(o billing.organizations, i billing.invoices, p_credit_usd numeric, p_terms jsonb)
--     RETURNS billing.payments, for synaxis_ledger
-- billing.priced_refund(p billing.payments, p_usd numeric)
--     RETURNS billing.payment_refunds, for synaxis_ledger
-- billing.prices(p_tenant text, p_owner_id uuid, p_provider text, p_model text, p_at timestamp with time zone, p_before uuid, p_since uuid, p_limit integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.profile_changed(o billing.organizations)
--     RETURNS void, for synaxis_ledger
-- billing.promotional_used_at(o billing.organizations, p_instant timestamp with time zone)
--     RETURNS numeric, for synaxis_ledger
-- billing.put_label(p_tenant text, p_organization_id uuid, p_kind text, p_id text, p_name text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.put_on_invoice(i billing.invoices)
--     RETURNS void, for synaxis_ledger
-- billing.quote(p_tenant text, p_organization_id uuid, p_provider text, p_model text, p_service_tier text, p_usage jsonb)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.quoted(p_organization_id uuid, p_provider text, p_model text, p_service_tier text, p_usage jsonb)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.rate_changes(p_old jsonb, p_new jsonb)
--     RETURNS json, for synaxis_ledger
-- billing.rate_column(p_table jsonb, p_service_tier text, p_usage jsonb)
--     RETURNS jsonb, for synaxis_app, synaxis_ledger
-- billing.rate_lines(p_rates jsonb, p_column jsonb, p_usage jsonb)
--     RETURNS TABLE(bucket text, tokens bigint, kind text, rate jsonb), for synaxis_app, synaxis_ledger
-- billing.rate_map(p_rates jsonb)
--     RETURNS jsonb, for synaxis_ledger
-- billing.rate_parents(p_bucket text)
--     RETURNS jsonb, for synaxis_app, synaxis_ledger
-- billing.rate_table(p_rates jsonb)
--     RETURNS jsonb, for synaxis_ledger
-- billing.rate_usage(p_rates jsonb, p_column jsonb, p_usage jsonb)
--     RETURNS TABLE(tokens bigint, input_tokens bigint, cached_tokens bigint, output_tokens bigint, exact_usd numeric), for synaxis_app, synaxis_ledger
-- billing.rated_usd(p_exact_usd numeric, p_price_multiplier numeric)
--     RETURNS numeric, for synaxis_app, synaxis_ledger
-- billing.rates_changed()
--     RETURNS void, for synaxis_ledger
-- billing.rating(p_price_id uuid, p_service_tier text, p_usage jsonb, p_price_multiplier numeric)
--     RETURNS billing.rating, for synaxis_ledger
-- billing.rating_json(p_price_id uuid, p_service_tier text, p_usage jsonb, p_price_multiplier numeric)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.reaches_percent(b billing.budgets, p_spent_usd numeric)
--     RETURNS boolean, for synaxis_ledger
-- billing.receipt(p_tenant text, p_organization_id uuid, p_transaction_id uuid)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.receivable_at(o billing.organizations, p_instant timestamp with time zone, OUT debt_usd numeric, OUT invoiced_usd numeric, OUT overdue_usd numeric)
--     RETURNS record, for synaxis_ledger
-- billing.record_checkout(p_tenant text, p_organization_id uuid, p_payment_id uuid, p_external_id text, p_checkout_url text, p_expires_at timestamp with time zone, p_customer_id text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.record_event(p_organization_id uuid, p_type text, p_data jsonb)
--     RETURNS void, for synaxis_ledger
-- billing.recount_budgets(o billing.organizations)
--     RETURNS void, for synaxis_ledger
-- billing.recounted(o billing.organizations, b billing.budgets)
--     RETURNS billing.budgets, for synaxis_ledger
-- billing.refund(p_tenant text, p_organization_id uuid, p_key text, p_fingerprint bytea, p_charge_id uuid, p_amount_usd numeric, p_description text, p_initiated_by text, p_grace_days integer)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.refund_in_budgets(o billing.organizations, c billing.credit_transactions, p_amount_usd numeric)
--     RETURNS void, for synaxis_ledger
-- billing.refund_invoice(o billing.organizations, i billing.invoices, n billing.credit_notes, p_initiated_by text, p_fingerprint bytea, p_grace_days integer)
--     RETURNS uuid, for synaxis_ledger
-- billing.refundable_of_payment(o billing.organizations, p billing.payments, p_spent_too boolean)
--     RETURNS numeric, for synaxis_ledger
-- billing.refundable_usd(p_organization_id uuid, p_from_usd numeric, p_to_usd numeric, p_invoice_id uuid DEFAULT NULL::uuid)
--     RETURNS numeric, for synaxis_ledger
-- billing.refuse_change()
--     RETURNS trigger, for synaxis_ledger
-- billing.refuse_change_but_erasure()
--     RETURNS trigger, for synaxis_ledger
-- billing.refuse_events(p_tenant text, p_organization_id uuid, p_events jsonb)
--     RETURNS void, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.refused_event_json(r billing.refused_events)
--     RETURNS json, for synaxis_ledger
-- billing.refused_events_page(p_tenant text, p_before uuid, p_since uuid, p_limit integer)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.reissue_invoice(p_tenant text, p_organization_id uuid, p_invoice_id uuid, p_key text, p_fingerprint bytea, p_reason text, p_terms jsonb, p_series text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.release_hold(p_tenant text, p_organization_id uuid, p_request jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.reminder_of(i billing.invoices, p_overdue_days integer, p_next_on date)
--     RETURNS jsonb, for synaxis_ledger
-- billing.repeats(p_requests billing.usage_request[])
--     RETURNS boolean, for synaxis_ledger
-- billing.replacing_grants(o billing.organizations, p_parts numeric[], p_grace_days integer)
--     RETURNS billing.credit_grants[], for synaxis_ledger
-- billing.replay_of(p_past billing.idempotency, p_fingerprint bytea)
--     RETURNS json, for synaxis_ledger
-- billing.replay_unpriced(p_past billing.idempotency)
--     RETURNS json, for synaxis_ledger
-- billing.replay_webhooks(p_tenant text, p_organization_id uuid, p_endpoint_id uuid, p_event_id uuid, p_since timestamp with time zone)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.request_already_counted(p_organization_id uuid, p_request_id text)
--     RETURNS json, for synaxis_ledger
-- billing.request_id_of(p_event json)
--     RETURNS text, for synaxis_ledger
-- billing.request_invalidation(p_tenant text, p_organization_id uuid, p_keys text[], p_tags text[], p_families text[], p_everything boolean)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.rerate(p_tenant text, p_organization_id uuid, p_rerating_id uuid, p_provider text, p_model text, p_start timestamp with time zone, p_end timestamp with time zone, p_initiated_by text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.resets_at(b billing.budgets, p_at timestamp with time zone)
--     RETURNS timestamp with time zone, for synaxis_app, synaxis_ledger
-- billing.restore_grants(o billing.organizations, t billing.credit_transactions, p_parts numeric[], p_replacing billing.credit_grants[])
--     RETURNS billing.organizations, for synaxis_ledger
-- billing.revenue(p_tenant text, p_start timestamp with time zone, p_end timestamp with time zone, p_after uuid, p_limit integer)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.revenue_of(o billing.organizations, p_start timestamp with time zone, p_end timestamp with time zone)
--     RETURNS jsonb, for synaxis_ledger
-- billing.revoke_client(p_tenant text, p_organization_id uuid, p_client_id uuid)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.roll_budgets(o billing.organizations, p_subjects text[])
--     RETURNS void, for synaxis_ledger
-- billing.rotate_client_secret(p_tenant text, p_organization_id uuid, p_client_id uuid, p_verifier bytea, p_overlap interval)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.rotate_webhook_secret(p_tenant text, p_organization_id uuid, p_endpoint_id uuid, p_secret bytea, p_overlap interval)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.save_budget(b billing.budgets)
--     RETURNS void, for synaxis_ledger
-- billing.save_organization(o billing.organizations)
--     RETURNS void, for synaxis_ledger
-- billing.save_payment(p billing.payments)
--     RETURNS billing.payments, for synaxis_ledger
-- billing.seen_item(u billing.usage_request, p_ordinal integer)
--     RETURNS jsonb, for synaxis_ledger
-- billing.seller_is_incomplete(i billing.invoices)
--     RETURNS json, for synaxis_ledger
-- billing.set_auto_topup(p_tenant text, p_organization_id uuid, p_threshold_usd numeric, p_target_usd numeric, p_monthly_limit_usd numeric, p_initiated_by text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.set_home(p_tenant text, p_organization_id uuid, p_region text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.set_tenant(p_tenant text)
--     RETURNS void, for synaxis_app, synaxis_ledger
-- billing.settle(o billing.organizations, p_until timestamp with time zone)
--     RETURNS billing.organizations, for synaxis_ledger
-- billing.settle_grants(o billing.organizations, p_grants billing.credit_grants[], p_settled_usd numeric, p_debt_usd numeric, p_invoiced_usd numeric, p_held billing.held_credit[], p_clock timestamp with time zone, p_until timestamp with time zone)
--     RETURNS billing.settlement, for synaxis_app, synaxis_ledger
-- billing.settle_organization(p_tenant text, p_organization_id uuid)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.settle_payment(p_tenant text, p_organization_id uuid, p_payment_id uuid, p_as_of timestamp with time zone, p_state jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.settle_refunds(p billing.payments, p_refunds jsonb)
--     RETURNS void, for synaxis_ledger
-- billing.settled(o billing.organizations, p_key text, p_fingerprint bytea)
--     RETURNS json, for synaxis_ledger
-- billing.settled_credit(o billing.organizations, p_now timestamp with time zone)
--     RETURNS billing.settlement, for synaxis_app, synaxis_ledger
-- billing.settled_item(o billing.organizations, u billing.usage_request, p_past billing.idempotency, p_counted text, p_requests billing.usage_request[], p_results json[], p_seen jsonb)
--     RETURNS json, for synaxis_ledger
-- billing.settled_usd(p_organization_id uuid)
--     RETURNS numeric, for synaxis_app, synaxis_ledger
-- billing.settlement_of(o billing.organizations, p_start timestamp with time zone, p_end timestamp with time zone)
--     RETURNS billing.period_settlement, for synaxis_ledger
-- billing.shorter_name(p_provider text, p_model text)
--     RETURNS text, for synaxis_app, synaxis_ledger
-- billing.spans_days(p_start timestamp with time zone, p_end timestamp with time zone, p_timezone text)
--     RETURNS boolean, for synaxis_app, synaxis_ledger
-- billing.spend(INOUT p_answer json, IN p_operation text, IN p_tenant text, IN p_organization_id uuid, IN p_request jsonb)
--     RETURNS , for synaxis_app, synaxis_ledger
-- billing.spend_batch(INOUT p_answer json[], IN p_tenant text, IN p_charges jsonb)
--     RETURNS , for synaxis_app, synaxis_ledger
-- billing.spend_batch_of(INOUT p_answer json[], IN p_tenant text, IN p_organization_id uuid, IN p_charges jsonb)
--     RETURNS , for synaxis_app, synaxis_ledger
-- billing.spend_between(p_organization_id uuid, p_timezone text, p_start timestamp with time zone, p_end timestamp with time zone)
--     RETURNS TABLE(local_day date, model text, provider text, team_id text, virtual_key_id text, region text, charged boolean, amount_usd numeric, tokens bigint, requests bigint, input_tokens bigint, cached_tokens bigint, output_tokens bigint, cost_usd numeric, margin_usd numeric), for synaxis_app, synaxis_ledger
-- billing.spend_log_json(s billing.spend_logs)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.spend_logs(p_tenant text, p_organization_id uuid, p_filter jsonb, p_start timestamp with time zone, p_end timestamp with time zone, p_since timestamp with time zone, p_limit integer, p_scan integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.spend_of(p_organization_id uuid, p_start timestamp with time zone, p_end timestamp with time zone, p_group_by text[])
--     RETURNS TABLE(organization_id uuid, hour timestamp with time zone, local_day date, model text, provider text, team_id text, virtual_key_id text, region text, charged boolean, amount_usd numeric, tokens bigint, requests bigint, input_tokens bigint, cached_tokens bigint, output_tokens bigint, cost_usd numeric, margin_usd numeric), for synaxis_app, synaxis_ledger
-- billing.spending(p_tenant text, p_organization_id uuid, p_start timestamp with time zone, p_end timestamp with time zone, p_group_by text[], p_filter jsonb, p_top integer, p_limit integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.spent_at(b billing.budgets, p_at timestamp with time zone)
--     RETURNS numeric, for synaxis_app, synaxis_ledger
-- billing.start_grant(s billing.settlement, p_ordinal integer, p_at timestamp with time zone)
--     RETURNS billing.settlement, for synaxis_app, synaxis_ledger
-- billing.store_adjustment(o billing.organizations, p_amount_usd numeric, p_description text, p_reference_id text, p_initiated_by text, p_expires_at timestamp with time zone, p_key text, p_fingerprint bytea)
--     RETURNS billing.credit_transactions, for synaxis_ledger
-- billing.store_credit_note(n billing.credit_notes, i billing.invoices, o billing.organizations, p_reason text, p_key text, p_fingerprint bytea)
--     RETURNS billing.credit_notes, for synaxis_ledger
-- billing.store_exchange_rates(p_tenant text, p_fetch jsonb, p_largest_jump numeric)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.store_forecast(p_tenant text, p_organization_id uuid, p_forecast jsonb, p_runs_out jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.store_grant(o billing.organizations, g billing.credit_grants, p_type billing.transaction_type, p_reference_id text, p_key text, p_fingerprint bytea)
--     RETURNS billing.credit_transactions, for synaxis_ledger
-- billing.store_invoice(i billing.invoices, o billing.organizations)
--     RETURNS void, for synaxis_ledger
-- billing.store_keys(p_transactions billing.credit_transactions[], p_usages billing.usage_request[])
--     RETURNS void, for synaxis_ledger
-- billing.store_payment(o billing.organizations, p billing.payments)
--     RETURNS billing.payments, for synaxis_ledger
-- billing.store_payment_event(p_tenant text, p_provider text, p_event_id text, p_type text, p_external_ids text[], p_body text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.store_transaction(o billing.organizations, t billing.credit_transactions, p_key text, p_fingerprint bytea)
--     RETURNS void, for synaxis_ledger
-- billing.store_transactions(p_transactions billing.credit_transactions[])
--     RETURNS void, for synaxis_ledger
-- billing.subject_id(p_subject text)
--     RETURNS text, for synaxis_app, synaxis_ledger
-- billing.subjects(p_team_id text, p_virtual_key_id text, p_end_user text, p_model text, p_provider text)
--     RETURNS text[], for synaxis_app, synaxis_ledger
-- billing.subjects_of(u billing.usage_request)
--     RETURNS text[], for synaxis_ledger
-- billing.sum_spend(p_organization_id uuid, p_start timestamp with time zone, p_end timestamp with time zone, p_group_by text[], p_filter jsonb, p_top integer, p_limit integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.sums_json(p_amount_usd numeric, p_tokens numeric, p_requests numeric, p_input_tokens numeric, p_cached_tokens numeric, p_output_tokens numeric, p_cost_usd numeric, p_margin_usd numeric)
--     RETURNS jsonb, for synaxis_app, synaxis_ledger
-- billing.take_back(p billing.payments)
--     RETURNS billing.payments, for synaxis_ledger
-- billing.take_credit(o billing.organizations, p billing.payments, p_usd numeric)
--     RETURNS billing.payments, for synaxis_ledger
-- billing.take_off_invoice(o billing.organizations, i billing.invoices, n billing.credit_notes)
--     RETURNS billing.organizations, for synaxis_ledger
-- billing.take_place(p_organization_id uuid)
--     RETURNS integer, for synaxis_app, synaxis_ledger
-- billing.take_steps(o billing.organizations, s billing.settlement)
--     RETURNS billing.organizations, for synaxis_ledger
-- billing.tax_rate(p_tax jsonb)
--     RETURNS numeric, for synaxis_ledger
-- billing.token_kind(p_bucket text)
--     RETURNS text, for synaxis_app, synaxis_ledger
-- billing.tokens_of(p_usage jsonb, p_kind text)
--     RETURNS bigint, for synaxis_app, synaxis_ledger
-- billing.top_up(p_tenant text, p_organization_id uuid, p_key text, p_fingerprint bytea, p_amount_usd numeric, p_description text, p_reference_id text, p_initiated_by text, p_priority integer, p_expires_at timestamp with time zone, p_cost_basis_usd numeric, p_paid jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.topped_up_this_month(o billing.organizations, p_at timestamp with time zone)
--     RETURNS numeric, for synaxis_app, synaxis_ledger
-- billing.topup_failed(p_tenant text, p_organization_id uuid, p_transaction_id uuid, p_error text)
--     RETURNS void, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.topup_invoice(g billing.credit_grants, o billing.organizations, p_terms jsonb)
--     RETURNS billing.invoices, for synaxis_ledger
-- billing.transaction(p_tenant text, p_organization_id uuid, p_transaction_id uuid)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.transaction_by_id(p_organization_id uuid, p_id uuid)
--     RETURNS billing.credit_transactions, for synaxis_app, synaxis_ledger
-- billing.transaction_hash(t billing.credit_transactions)
--     RETURNS bytea, for synaxis_ledger
-- billing.transaction_json(t billing.credit_transactions)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.transactions(p_tenant text, p_organization_id uuid, p_type text, p_filter jsonb, p_start timestamp with time zone, p_end timestamp with time zone, p_since timestamp with time zone, p_limit integer, p_scan integer)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.uncredited(i billing.invoices)
--     RETURNS billing.credit_notes, for synaxis_ledger
-- billing.unknown_payment_events(p_tenant text)
--     RETURNS bigint, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.unmatched_payment_events(p_tenant text, p_before timestamp with time zone, p_since timestamp with time zone, p_limit integer)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.unpriced(p_tenant text, p_before uuid, p_since uuid, p_limit integer)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.unpriced_json(n billing.unpriced_usage)
--     RETURNS json, for synaxis_ledger
-- billing.unsuspended(o billing.organizations, p_paid_invoice_id uuid)
--     RETURNS billing.organizations, for synaxis_ledger
-- billing.update_budget(p_tenant text, p_organization_id uuid, p_budget_id uuid, p_change jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.update_organization(p_tenant text, p_organization_id uuid, p_profile jsonb, p_settings_only boolean)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.update_webhook_endpoint(p_tenant text, p_organization_id uuid, p_endpoint_id uuid, p_change jsonb)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.usage_lines(i billing.invoices, s billing.period_settlement, p_units numeric, OUT lines jsonb, OUT line_count integer, OUT usd numeric, OUT billing_currency numeric)
--     RETURNS record, for synaxis_ledger
-- billing.used_at(o billing.organizations, p_instant timestamp with time zone)
--     RETURNS TABLE(grant_id uuid, usd numeric), for synaxis_ledger
-- billing.used_event_keys(p_tenant text, p_organization_id uuid, p_keys text[])
--     RETURNS text[], as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.version_of(p_instant timestamp with time zone)
--     RETURNS bigint, for synaxis_app, synaxis_ledger
-- billing.void_grant(p_tenant text, p_organization_id uuid, p_grant_id uuid, p_key text, p_fingerprint bytea, p_initiated_by text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.waiting_invalidations(p_tenant text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.waiting_months(p_tenant text)
--     RETURNS json, for synaxis_app, synaxis_ledger
-- billing.waiting_webhooks(p_tenant text)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.warning_of(p_expires_at timestamp with time zone, p_now timestamp with time zone)
--     RETURNS integer, for synaxis_app, synaxis_ledger
-- billing.webhook_attempted(p_tenant text, p_organization_id uuid, p_event_id uuid, p_endpoint_id uuid, p_lease uuid, p_status_code integer, p_error text, p_patience interval)
--     RETURNS text, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.webhook_delays()
--     RETURNS interval[], for synaxis_ledger
-- billing.webhook_endpoint_json(e billing.webhook_endpoints)
--     RETURNS json, for synaxis_ledger
-- billing.webhook_endpoints(p_tenant text, p_organization_id uuid)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.webhook_event_json(e billing.webhook_events)
--     RETURNS json, for synaxis_ledger
-- billing.webhook_events(p_tenant text, p_organization_id uuid, p_type text, p_before timestamp with time zone, p_since timestamp with time zone, p_limit integer)
--     RETURNS json, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.webhooks_unsent(p_tenant text, p_organization_id uuid, p_unsent jsonb)
--     RETURNS void, as synaxis_ledger, for synaxis_app, synaxis_ledger
-- billing.window_end(p_window billing.budget_window, p_timezone text, p_at timestamp with time zone)
--     RETURNS timestamp with time zone, for synaxis_app, synaxis_ledger
-- billing.window_ended(b billing.budgets, p_at timestamp with time zone)
--     RETURNS boolean, for synaxis_ledger
-- billing.window_start(p_window billing.budget_window, p_timezone text, p_at timestamp with time zone)
--     RETURNS timestamp with time zone, for synaxis_app, synaxis_ledger
-- billing.with_hold_defaults(u billing.usage_request, h billing.holds)
--     RETURNS billing.usage_request, for synaxis_ledger
-- billing.with_state(p billing.payments, p_state jsonb)
--     RETURNS billing.payments, for synaxis_ledger
-- billing.with_tax_on(i billing.invoices, p_taxed_usd numeric)
--     RETURNS billing.invoices, for synaxis_ledger
-- billing.without_busy(p_requests billing.usage_request[], p_organizations uuid[], p_locked uuid[])
--     RETURNS billing.usage_request[], for synaxis_ledger
