-- The tables, types and indexes, in the order in which they refer to each other. Every table of one
-- organization's rows has row-level security; without a policy of schema/privileges.sql it shows none.
-- Money is US dollars in numeric(18,8); times are stored as instants.
-- Every key begins with organization_id, so that an organization's rows can be stored together on one of
-- several servers.
-- PostgreSQL parses a CHECK and a trigger's WHEN again in every statement that writes the table: the tables of
-- the charge path have restrictive policies in their place (schema/privileges.sql).

-- The clock of every function and default. Tests replace it in their own database.
CREATE FUNCTION billing.now() RETURNS timestamptz LANGUAGE sql VOLATILE RETURN clock_timestamp();

-- Organizations

-- Suspended and closed organizations are refused new charges and holds.
CREATE TYPE billing.organization_status AS ENUM ('active', 'suspended', 'closed');

-- Columns of organizations have their rules from domains: each charge would parse a CHECK of the table.
CREATE DOMAIN billing.suspension_reason AS text CHECK (VALUE = 'unpaid_invoice');
CREATE DOMAIN billing.alert_days AS int CHECK (VALUE BETWEEN 1 AND 90);
CREATE DOMAIN billing.payment_days AS int CHECK (VALUE BETWEEN 0 AND 365);
CREATE DOMAIN billing.multiplier AS numeric(18, 8) CHECK (VALUE >= 0);

CREATE TABLE billing.organizations (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    -- The client's own name of it.
    external_id text,
    name text NOT NULL,
    email text,
    status billing.organization_status NOT NULL DEFAULT 'active',
    -- NULL: the platform has decided so.
    suspended_because billing.suspension_reason,
    billing_currency text NOT NULL,
    timezone text NOT NULL DEFAULT 'UTC',
    region text,
    low_balance_threshold_usd numeric(18, 8),
    -- How near a run-out must be for an event.
    runs_out_alert_days billing.alert_days,
    tax jsonb,
    address jsonb,
    -- EN 16931, BT-10.
    buyer_reference text,
    -- BCP 47: the language and format of documents.
    locale text NOT NULL DEFAULT 'en',
    payment_terms_days billing.payment_days NOT NULL DEFAULT 30,
    -- Markup or discount on everyone's prices.
    price_multiplier billing.multiplier NOT NULL DEFAULT 1,
    balance_usd numeric(18, 8) NOT NULL DEFAULT 0,
    -- Credit reserved by holds, and frozen credit of grants; counts expired holds until a statement that needs
    -- credit clears them.
    held_usd numeric(18, 8) NOT NULL DEFAULT 0,
    -- How far below zero charges may take the balance.
    credit_limit_usd numeric(18, 8) NOT NULL DEFAULT 0,
    -- The odometer: all credit that charges and negative adjustments have ever drawn.
    drawn_usd numeric(28, 8) NOT NULL DEFAULT 0,
    -- How far an explicit rule has let the balance, less what is held, fall below zero and the limit.
    floor_usd numeric(18, 8) NOT NULL DEFAULT 0,
    -- When credit did not cover a request, until credit comes.
    exhausted_at timestamptz,
    -- The number and the hash of the newest transaction.
    version bigint NOT NULL DEFAULT 0,
    head_hash bytea NOT NULL DEFAULT sha256(''),
    -- The time of the newest transaction or spend log: each next one is later.
    changed_at timestamptz NOT NULL DEFAULT billing.now(),
    -- The local day of the open rollup buckets.
    day_start timestamptz NOT NULL DEFAULT '-infinity',
    day_end timestamptz NOT NULL DEFAULT '-infinity',
    -- The next instant at which a credit grant starts or ends; -infinity while credit that has ended waits for
    -- holds.
    settle_at timestamptz NOT NULL DEFAULT 'infinity',
    -- Until then a charge needs nothing but the credit: no new day, no settlement, no other rule.
    fast_until timestamptz NOT NULL DEFAULT '-infinity',
    -- Whether it has budgets.
    budgeted boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT billing.now()
) WITH (fillfactor = 50);
CREATE INDEX organizations_due ON billing.organizations (settle_at) WHERE settle_at < 'infinity';
CREATE INDEX organizations_newest ON billing.organizations (created_at, id);

-- The organization of each external id.
CREATE TABLE billing.external_ids (
    external_id text PRIMARY KEY,
    organization_id uuid NOT NULL
);

-- Programs that get tokens of one organization. `verifier` is the hash of the secret.
CREATE TABLE billing.clients (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    name text NOT NULL CHECK (name <> ''),
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0 AND NOT 'billing:platform' = ANY (scopes)),
    verifier bytea NOT NULL,
    old_verifier bytea,
    old_verifier_ends_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT billing.now(),
    rotated_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT old_verifier_ends CHECK ((old_verifier IS NULL) = (old_verifier_ends_at IS NULL))
);
CREATE UNIQUE INDEX clients_name ON billing.clients (organization_id, name) WHERE revoked_at IS NULL;
-- A request for a token names no organization.
CREATE INDEX clients_id ON billing.clients (id);

-- Organizations that another region holds. This region stores their ids and that region's name alone.
CREATE TABLE billing.organization_homes (
    organization_id uuid PRIMARY KEY,
    region text NOT NULL CHECK (region <> '')
);

-- Ledger: transactions, idempotency, holds, refunds

CREATE TYPE billing.transaction_type AS ENUM (
    'topup', 'charge', 'refund', 'adjustment', 'grant', 'expiry', 'void', 'payout'
);

CREATE TABLE billing.credit_transactions (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    version bigint NOT NULL,
    transaction_type billing.transaction_type NOT NULL,
    amount_usd numeric(18, 8) NOT NULL,
    balance_before_usd numeric(18, 8) NOT NULL,
    balance_after_usd numeric(18, 8) NOT NULL,
    -- The odometer before this transaction. A charge draws the range from here on that is as long as its amount.
    drawn_usd numeric(28, 8) NOT NULL,
    description text,
    reference_id text,
    initiated_by text,
    -- The hold that a charge captured; the charge that a refund gives back.
    hold_id uuid,
    charge_id uuid,
    -- The grant that an expiry or a void takes credit from; the terms of the grants that a transaction brings.
    grant_id uuid,
    grants jsonb,
    -- What a charge was for, and the rollup bucket that contains it.
    request_id text,
    team_id text,
    virtual_key_id text,
    end_user text,
    model text,
    provider text,
    tokens bigint,
    region text,
    metadata jsonb,
    -- How the amount came to be, where it was not given: these make it again.
    usage jsonb,
    service_tier text,
    price_id uuid,
    price_multiplier numeric(18, 8),
    -- What the usage costs the platform; NULL where nobody knows.
    cost_usd numeric(18, 8),
    -- When the call was made, where an event says so: it is booked when it comes.
    occurred_at timestamptz,
    bucket_start timestamptz,
    -- Personal fields enter the hash chain as this digest: erasing them leaves the chain valid.
    personal_salt uuid,
    personal_digest bytea NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, created_at)
) PARTITION BY RANGE (created_at);

-- What is not a charge: few of the rows, of which statements are made.
CREATE INDEX credit_transactions_movements ON billing.credit_transactions (organization_id, created_at)
    WHERE transaction_type <> 'charge';

-- Rows of a month that has no partition yet are stored here, so a missing partition is never an outage.
CREATE TABLE billing.credit_transactions_default PARTITION OF billing.credit_transactions DEFAULT;

CREATE TYPE billing.result_type AS ENUM ('transaction', 'hold', 'release', 'spend_log', 'unpriced', 'grant');

-- Keys of the client, and LLM requests, that have had their effect, with the fingerprint of the API request.
CREATE TABLE billing.idempotency (
    organization_id uuid NOT NULL,
    key text,
    request_id text,
    fingerprint bytea NOT NULL,
    -- The resulting transaction, hold or spend log; its time finds it.
    result_type billing.result_type NOT NULL,
    result_id uuid NOT NULL,
    created_at timestamptz NOT NULL
);
-- Its rows never change, so this costs nothing; logical replication asks for it where there is no primary key.
ALTER TABLE billing.idempotency REPLICA IDENTITY FULL;
CREATE UNIQUE INDEX idempotency_key ON billing.idempotency (organization_id, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX idempotency_request ON billing.idempotency (organization_id, request_id)
    WHERE request_id IS NOT NULL;

-- Payments that were credited, by their reference.
CREATE TABLE billing.credited_payments (
    organization_id uuid NOT NULL,
    reference_id text NOT NULL,
    transaction_id uuid NOT NULL,
    PRIMARY KEY (organization_id, reference_id)
);

CREATE TYPE billing.hold_status AS ENUM ('held', 'captured', 'released', 'expired');

CREATE TABLE billing.holds (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    id uuid NOT NULL,
    -- Zero for a model that is free.
    amount_usd numeric(18, 8) NOT NULL CHECK (amount_usd >= 0),
    status billing.hold_status NOT NULL DEFAULT 'held',
    expires_at timestamptz NOT NULL,
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
    -- More than the held amount when the capture asked to charge an overrun.
    captured_usd numeric(18, 8) CHECK (captured_usd >= 0),
    transaction_id uuid,
    -- As the hold was made, when it was changed after that.
    first_amount_usd numeric(18, 8),
    first_expires_at timestamptz,
    -- The budgets that count it while it is open.
    budget_ids uuid[],
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT captured_by_charge CHECK (
        (status = 'captured') = (transaction_id IS NOT NULL AND captured_usd IS NOT NULL)
    )
);
CREATE INDEX holds_open ON billing.holds (organization_id, expires_at) WHERE status = 'held';
CREATE INDEX holds_newest ON billing.holds (organization_id, created_at);

-- The refunded part of each charge.
CREATE TABLE billing.charge_refunds (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    charge_id uuid NOT NULL,
    charged_usd numeric(18, 8) NOT NULL,
    refunded_usd numeric(18, 8) NOT NULL CHECK (refunded_usd > 0),
    PRIMARY KEY (organization_id, charge_id),
    CONSTRAINT refund_within_charge CHECK (refunded_usd <= charged_usd)
);

-- Credit grants, and the allocations of the odometer to them

CREATE TYPE billing.grant_kind AS ENUM ('paid', 'promotional', 'adjustment', 'refund');

-- Credit of one origin. The terms never change.
CREATE TABLE billing.credit_grants (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    id uuid NOT NULL,
    kind billing.grant_kind NOT NULL,
    amount_usd numeric(18, 8) NOT NULL CHECK (amount_usd > 0),
    -- As of the newest settlement. It is open while this is more than zero.
    remaining_usd numeric(18, 8) NOT NULL,
    -- Of that, what a dispute or a refund to the payer that is under way keeps from use: held_usd counts it.
    frozen_usd numeric(18, 8) NOT NULL DEFAULT 0,
    priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 100),
    effective_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL DEFAULT 'infinity',
    -- What was paid for it, net of tax; zero for credit that was given.
    cost_basis_usd numeric(18, 8) NOT NULL CHECK (cost_basis_usd >= 0),
    -- The payment, in its own currency, and the exchange rate by which it is the cost basis.
    paid jsonb,
    -- The invoice whose debt the credit covers, and nothing else.
    invoice_id uuid,
    -- The ended grant whose refunded credit this one gives back.
    origin_id uuid,
    -- Of a recurring grant: its first grant, and the local month of this one.
    schedule_id uuid,
    period text CHECK (period ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    description text,
    initiated_by text,
    -- Whether its credit is in the balance, and the transaction that brought it there.
    started boolean NOT NULL,
    transaction_id uuid,
    voided_at timestamptz,
    -- How many days before the expiry the newest warning was.
    warned_days int,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT remaining_is_part CHECK (remaining_usd BETWEEN 0 AND amount_usd),
    CONSTRAINT frozen_is_part CHECK (frozen_usd BETWEEN 0 AND remaining_usd),
    CONSTRAINT starts_before_it_ends CHECK (effective_at < expires_at),
    CONSTRAINT brought_by_transaction CHECK (started = (transaction_id IS NOT NULL)),
    CONSTRAINT recurs_by_month CHECK ((schedule_id IS NULL) = (period IS NULL))
);
CREATE INDEX credit_grants_open ON billing.credit_grants (organization_id) WHERE remaining_usd > 0;
CREATE INDEX credit_grants_expiring ON billing.credit_grants (expires_at)
    WHERE remaining_usd > 0 AND expires_at < 'infinity';
CREATE INDEX credit_grants_newest ON billing.credit_grants (organization_id, created_at);

-- Ranges of the odometer, and what settles each: a grant, or nothing yet, which is debt. They are contiguous up
-- to the newest settlement. Ranges are cut where a part of one is covered or refunded.
CREATE TABLE billing.allocations (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    from_usd numeric(28, 8) NOT NULL CHECK (from_usd >= 0),
    to_usd numeric(28, 8) NOT NULL,
    grant_id uuid,
    -- When the grant covered it, if it was debt before.
    covered_at timestamptz,
    -- The refund that gave it back, and the grant that it went to; a refund of debt goes to none.
    refund_id uuid,
    restored_to uuid,
    -- The invoice that asks for it, while it is debt and after that.
    invoice_id uuid,
    PRIMARY KEY (organization_id, from_usd),
    FOREIGN KEY (organization_id, grant_id) REFERENCES billing.credit_grants,
    FOREIGN KEY (organization_id, restored_to) REFERENCES billing.credit_grants,
    CONSTRAINT range_is_not_empty CHECK (from_usd < to_usd),
    CONSTRAINT covered_by_grant CHECK (covered_at IS NULL OR grant_id IS NOT NULL),
    CONSTRAINT restored_by_refund CHECK (
        (restored_to IS NOT NULL) = (refund_id IS NOT NULL AND grant_id IS NOT NULL))
);
CREATE INDEX allocations_of_grant ON billing.allocations (organization_id, grant_id);
CREATE INDEX allocations_of_refund ON billing.allocations (organization_id, refund_id)
    WHERE refund_id IS NOT NULL;
CREATE INDEX allocations_of_invoice ON billing.allocations (organization_id, invoice_id)
    WHERE invoice_id IS NOT NULL;
CREATE INDEX allocations_debt ON billing.allocations (organization_id, from_usd)
    WHERE grant_id IS NULL AND refund_id IS NULL;

-- Credit that an open hold reserves until an instant.
CREATE TYPE billing.held_credit AS (amount_usd numeric, expires_at timestamptz);

-- A change of the set of usable grants: a grant starts, and covers debt first, or credit of an ended one leaves.
CREATE TYPE billing.settlement_step AS (
    at timestamptz,
    type billing.transaction_type,
    grant_id uuid,
    amount_usd numeric,
    covered_usd numeric
);

-- The credit of an organization as it is when all that is due is settled.
CREATE TYPE billing.settlement AS (
    grants billing.credit_grants[],
    debt_usd numeric,
    -- Of that, what an invoice asks for.
    invoiced_usd numeric,
    balance_usd numeric,
    steps billing.settlement_step[]
);

-- Usage: requests, spend logs, rollups

-- A request to charge, capture, hold or log spend; absent fields are NULL.
CREATE TYPE billing.usage_request AS (
    organization_id uuid,
    idempotency_key text,
    fingerprint bytea,
    amount_usd numeric(18, 8),
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
    -- Of a hold, its change and its capture.
    hold_id uuid,
    expires_in_seconds int,
    overrun text,
    -- Tokens by bucket, in place of an amount: billing.price_request() sets the amount and what made it.
    usage jsonb,
    service_tier text,
    price_id uuid,
    price_multiplier numeric(18, 8),
    cost_usd numeric(18, 8),
    input_tokens bigint,
    cached_tokens bigint,
    output_tokens bigint,
    -- Of a usage event.
    occurred_at timestamptz
);

-- Spend that was logged for analytics and not charged.
CREATE TABLE billing.logged_spend (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    amount_usd numeric(18, 8) NOT NULL,
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
    price_multiplier numeric(18, 8),
    cost_usd numeric(18, 8),
    -- The rollup bucket that contains it.
    bucket_start timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, created_at)
) PARTITION BY RANGE (created_at);

CREATE TABLE billing.logged_spend_default PARTITION OF billing.logged_spend DEFAULT;

-- Every LLM call that cost something: the charges, and the spend that was only logged. The caller's policies
-- bind it.
CREATE VIEW billing.spend_logs WITH (security_invoker = true) AS
SELECT id, organization_id, id AS transaction_id, -amount_usd AS amount_usd, reference_id, request_id, team_id,
    virtual_key_id, end_user, model, provider, tokens, region, metadata, usage, service_tier, price_id,
    price_multiplier, cost_usd, bucket_start, created_at
FROM billing.credit_transactions WHERE transaction_type = 'charge'
UNION ALL
SELECT id, organization_id, NULL::uuid, amount_usd::numeric, reference_id, request_id, team_id,
    virtual_key_id, end_user, model, provider, tokens, region, metadata, usage, service_tier, price_id,
    price_multiplier, cost_usd, bucket_start, created_at
FROM billing.logged_spend;

-- Spend per local day of the organization and mix of dimensions, which are found by their digest. Buckets of
-- one organization never overlap: a change of its time zone cuts the open one.
CREATE TABLE billing.spend_rollups (
    organization_id uuid NOT NULL,
    bucket_start timestamptz NOT NULL,
    dimensions bytea NOT NULL,
    bucket_end timestamptz NOT NULL,
    model text,
    provider text,
    team_id text,
    virtual_key_id text,
    region text,
    charged boolean NOT NULL,
    amount_usd numeric(28, 8) NOT NULL,
    tokens bigint NOT NULL,
    requests bigint NOT NULL,
    -- Of the tokens, those that were counted by bucket.
    input_tokens bigint NOT NULL DEFAULT 0,
    cached_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    -- Of the spend, that whose cost is known: the cost, and the rest.
    cost_usd numeric(28, 8) NOT NULL DEFAULT 0,
    margin_usd numeric(28, 8) NOT NULL DEFAULT 0,
    PRIMARY KEY (organization_id, bucket_start, dimensions)
) WITH (fillfactor = 70);

CREATE TYPE billing.label_kind AS ENUM ('team', 'virtual_key');

-- The names that an organization gave its teams and keys. Nothing is computed by them.
CREATE TABLE billing.labels (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    kind billing.label_kind NOT NULL,
    subject_id text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (organization_id, kind, subject_id)
);

-- Budgets

CREATE TYPE billing.budget_window AS ENUM ('day', 'week', 'month', 'lifetime', 'rate');

-- A hard budget refuses, a soft one alerts.
CREATE TYPE billing.budget_mode AS ENUM ('hard', 'soft');

-- How much a subject may spend in a window, and what it has spent and holds.
CREATE TABLE billing.budgets (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    id uuid NOT NULL,
    -- 'organization', or the kind and the id: 'team team-7'.
    subject text NOT NULL,
    window_length billing.budget_window NOT NULL,
    mode billing.budget_mode NOT NULL,
    -- Of a rate: how much it forgets in an hour.
    limit_usd numeric(18, 8) NOT NULL,
    -- Of a rate alone: it refuses what is above.
    burst_usd numeric(18, 8),
    -- Ascending; the next one to alert of in this window, NULL when there is none left.
    alert_percents int[] NOT NULL,
    next_percent int,
    -- Whether this window's first refusal was told.
    exceeded boolean NOT NULL DEFAULT false,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    spent_usd numeric(28, 8) NOT NULL,
    -- Counts expired holds until a statement that needs the room clears them.
    held_usd numeric(28, 8) NOT NULL,
    -- How far an explicit rule has let what is spent and held rise, where that is above the limit.
    ceiling_usd numeric(28, 8) NOT NULL,
    -- When spent_usd was as it is; the level of a rate falls from there.
    counted_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, subject, window_length, mode)
) WITH (fillfactor = 50);
CREATE INDEX budgets_newest ON billing.budgets (organization_id, created_at);

-- The newest forecast of each organization, and how its forecasts of one day came true.
CREATE TABLE billing.forecasts (
    organization_id uuid PRIMARY KEY REFERENCES billing.organizations,
    first_day date NOT NULL,
    made_at timestamptz NOT NULL,
    history_days int NOT NULL,
    -- The day on which the expected spend exceeds the credit.
    runs_out date,
    -- Of each day, and of the days up to it: expected, lower and upper bound in US dollars, as text.
    daily jsonb NOT NULL,
    totals jsonb NOT NULL,
    -- The error that the same weekday of the week before has as a forecast.
    naive_error_usd numeric(28, 8) NOT NULL,
    -- The rates of misses that its bands aimed at (forecast.py).
    miss_rates numeric[] NOT NULL,
    -- Of the newest days that are over: the error as a multiple of the naive one, and whether it was in its band.
    scaled_errors numeric[] NOT NULL,
    covered boolean[] NOT NULL,
    -- Whether the run-out is near; the event is sent when it becomes so.
    is_near boolean NOT NULL
);

-- Personal data

-- The record that personal fields were erased, kept for as long as the ledger.
CREATE TABLE billing.erasures (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    id uuid NOT NULL DEFAULT uuidv7(),
    initiated_by_digest bytea,
    reason text NOT NULL CHECK (reason <> ''),
    transactions bigint NOT NULL,
    holds bigint NOT NULL DEFAULT 0,
    profile boolean NOT NULL DEFAULT false,
    erased_by text NOT NULL DEFAULT session_user,
    created_at timestamptz NOT NULL DEFAULT billing.now(),
    PRIMARY KEY (organization_id, id)
);

-- Exchange rates

-- Units of the currency per US dollar, one row per fetch and currency. A held rate differs too much from
-- the one before; it is not used until an administrator accepts it.
CREATE TABLE billing.exchange_rates (
    fetch_id uuid NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    rate numeric(24, 12) NOT NULL CHECK (rate > 0),
    source text NOT NULL CHECK (source <> ''),
    as_of timestamptz NOT NULL,
    fetched_at timestamptz NOT NULL,
    held boolean NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT billing.now(),
    PRIMARY KEY (fetch_id, currency)
);
CREATE INDEX exchange_rates_latest ON billing.exchange_rates (currency, fetched_at DESC, fetch_id)
    WHERE NOT held;

-- Prices

-- The price of a model from an instant on, as it was known at another: rows are only added. In force at an
-- instant is the newest effective_from up to it, in its newest recording.
CREATE TABLE billing.prices (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    -- NULL is the price of every organization that has none of its own.
    organization_id uuid,
    -- The nil UUID is everyone: one look at the index finds an organization's price before everyone's.
    owner_id uuid NOT NULL GENERATED ALWAYS AS (coalesce(organization_id, '00000000-0000-0000-0000-000000000000')) STORED,
    provider text NOT NULL,
    model text NOT NULL,
    effective_from timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT billing.now(),
    source text NOT NULL CHECK (source <> ''),
    -- What billing.rate_table() makes of an array of billing.price_rate.
    rates jsonb NOT NULL
        CHECK (NOT rates @? '$.rates[*] ? (!(@.usd_per_million >= 0 && @.above_input_tokens >= 0))'),
    -- So every bucket has a rate: its own, or that of a parent.
    CONSTRAINT rates_are_complete CHECK (
        rates @? '$.rates[*] ? (@.bucket == "input" && @.service_tier == "standard" && @.above_input_tokens == 0)'
        AND rates @? '$.rates[*] ? (@.bucket == "output" && @.service_tier == "standard" && @.above_input_tokens == 0)'
        AND rates @? '$.columns.*' AND NOT rates @? '$.columns.* ? (!(exists(@.input) && exists(@.output)))')
);
CREATE INDEX prices_in_force ON billing.prices (owner_id, provider, model, effective_from, recorded_at, id);

-- A rate of a price: for a bucket of tokens, in a service tier, for requests of more input tokens than
-- above_input_tokens. A rate that is absent is that of its parent (rate.sql).
CREATE TYPE billing.price_rate AS (
    bucket text,
    service_tier text,
    above_input_tokens bigint,
    usd_per_million numeric(20, 10)
);

-- The rates of a price make this of usage.
CREATE TYPE billing.rating AS (
    tokens bigint,
    input_tokens bigint,
    cached_tokens bigint,
    output_tokens bigint,
    amount_usd numeric,
    -- The amount without the multiplier.
    cost_usd numeric
);

-- Charges of usage whose model has no price yet, as they were asked for. Each is charged when its price comes.
CREATE TABLE billing.unpriced_usage (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    id uuid NOT NULL,
    request billing.usage_request NOT NULL,
    created_at timestamptz NOT NULL,
    -- The charge, when there is one.
    transaction_id uuid,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX unpriced_usage_waiting ON billing.unpriced_usage (organization_id, id)
    WHERE transaction_id IS NULL;

-- Usage events that were refused, one row for each source and id, with the reason of the last try. Those that name no
-- organization that exists have the nil UUID, or the organization of the token.
CREATE TABLE billing.refused_events (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    -- The idempotency key that the charge would have had.
    key text NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    subject text,
    -- As it came; NULL after an erasure.
    event json,
    code text NOT NULL,
    error json NOT NULL,
    initiated_by text,
    times int NOT NULL,
    created_at timestamptz NOT NULL,
    refused_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, key)
);
CREATE INDEX refused_events_newest ON billing.refused_events (id);

-- Corrections of what a model's usage was charged in a period, by what is known of its price since.
CREATE TABLE billing.reratings (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    provider text NOT NULL,
    model text NOT NULL,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    initiated_by text,
    created_at timestamptz NOT NULL DEFAULT billing.now(),
    CONSTRAINT period_is_not_empty CHECK (period_start < period_end)
);

-- One adjustment for each organization that a rerating corrects.
CREATE TABLE billing.rerating_adjustments (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    rerating_id uuid NOT NULL REFERENCES billing.reratings,
    transaction_id uuid NOT NULL,
    charges bigint NOT NULL CHECK (charges > 0),
    -- What is taken from the organization; negative is given back.
    correction_usd numeric(18, 8) NOT NULL,
    PRIMARY KEY (organization_id, rerating_id)
);

-- What a charge should have been; the newest counts. The charge itself is never rewritten.
CREATE TABLE billing.rerated_charges (
    organization_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    rerating_id uuid NOT NULL,
    price_id uuid NOT NULL REFERENCES billing.prices,
    amount_usd numeric(18, 8) NOT NULL CHECK (amount_usd >= 0),
    PRIMARY KEY (organization_id, transaction_id, rerating_id),
    FOREIGN KEY (organization_id, rerating_id) REFERENCES billing.rerating_adjustments
);

-- Cache invalidations

-- Cache entries to drop, written by the change itself, deleted after every region has received them.
-- The version is the microsecond of the change; older values must not be cached any more.
CREATE TABLE billing.invalidations (
    tenant uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuidv7(),
    keys text[] NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    families text[] NOT NULL DEFAULT '{}',
    everything boolean NOT NULL DEFAULT false,
    version bigint NOT NULL DEFAULT 0 CHECK (version >= 0),
    created_at timestamptz NOT NULL DEFAULT billing.now(),
    -- Tries that failed, and why the last one did. A row whose next try is at infinity is set aside.
    attempts int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT billing.now(),
    error text,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX invalidations_due ON billing.invalidations (next_attempt_at, id);

-- Invoices, credit notes, month end

CREATE TYPE billing.invoice_status AS ENUM ('draft', 'issued', 'paid', 'overdue', 'uncollectible', 'cancelled');

-- The usage of a period, or the sale of credit.
CREATE TYPE billing.invoice_kind AS ENUM ('usage', 'topup');

-- What was drawn in a period, less refunds, and what settles it: credit that was given, credit that was bought,
-- or nothing yet.
CREATE TYPE billing.period_settlement AS (
    drawn_from_usd numeric,
    drawn_to_usd numeric,
    adjusted_usd numeric,
    refunded_usd numeric,
    promotional_usd numeric,
    prepaid_usd numeric,
    due_usd numeric
);

-- Amounts in the billing currency have its minor units and follow from one exchange rate.
CREATE TABLE billing.invoices (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    id uuid NOT NULL DEFAULT uuidv7(),
    kind billing.invoice_kind NOT NULL,
    -- The top-up that is invoiced.
    transaction_id uuid,
    invoice_number text,
    -- That of the invoice that a correction replaces by this one.
    corrects_number text,
    status billing.invoice_status NOT NULL DEFAULT 'draft',
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    timezone text NOT NULL,
    -- The first and the last day of the period, as the time zone has them.
    first_day date NOT NULL,
    last_day date NOT NULL,
    billing_currency text NOT NULL CHECK (billing_currency ~ '^[A-Z]{3}$'),
    minor_units int NOT NULL CHECK (minor_units BETWEEN 0 AND 4),
    exchange_rate numeric(24, 12) NOT NULL CHECK (exchange_rate > 0),
    rate_source text NOT NULL,
    rate_as_of timestamptz NOT NULL,
    line_items jsonb NOT NULL,
    line_count int NOT NULL CHECK (line_count = jsonb_array_length(line_items)),
    -- Less than zero when a period's refunds are more than its usage.
    subtotal_usd numeric(28, 8) NOT NULL,
    -- On what no credit settled, or on the credit that was sold.
    tax_usd numeric(28, 8) NOT NULL CHECK (tax_usd >= 0),
    total_amount_usd numeric(28, 8) NOT NULL,
    subtotal_billing_currency numeric(28, 4) NOT NULL,
    tax_billing_currency numeric(28, 4) NOT NULL,
    total_amount_billing_currency numeric(28, 4) NOT NULL,
    -- What credit settled, by kind, and what it leaves to pay.
    settled jsonb NOT NULL DEFAULT '[]',
    settled_usd numeric(28, 8) NOT NULL DEFAULT 0,
    settled_billing_currency numeric(28, 4) NOT NULL DEFAULT 0,
    amount_due_usd numeric(28, 8) NOT NULL,
    amount_due_billing_currency numeric(28, 4) NOT NULL,
    -- The range of the odometer that the period drew, and how the balance moved in it.
    drawn_from_usd numeric(28, 8),
    drawn_to_usd numeric(28, 8),
    credit jsonb,
    tax jsonb,
    seller jsonb NOT NULL,
    customer jsonb NOT NULL,
    locale text NOT NULL,
    payment_terms_days int NOT NULL,
    issued_at timestamptz,
    -- The local days of the issue and of the last day to pay.
    issue_date date,
    due_date date,
    paid_at timestamptz,
    created_at timestamptz NOT NULL,
    -- How often it was asked for after it was due, and on which local day last.
    reminders int NOT NULL DEFAULT 0,
    reminded_on date,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, invoice_number),
    CONSTRAINT period_is_not_empty CHECK (period_start < period_end OR kind = 'topup'),
    CONSTRAINT kind_has_its_facts CHECK (
        (kind = 'topup') = (transaction_id IS NOT NULL) AND (kind = 'usage') = (drawn_to_usd IS NOT NULL)
        AND (kind = 'usage') = (drawn_from_usd IS NOT NULL) AND (kind = 'usage') = (credit IS NOT NULL)
    ),
    CONSTRAINT totals_add_up CHECK (
        total_amount_usd = subtotal_usd + tax_usd AND amount_due_usd = total_amount_usd - settled_usd
        AND total_amount_billing_currency = subtotal_billing_currency + tax_billing_currency
        AND amount_due_billing_currency = total_amount_billing_currency - settled_billing_currency
    ),
    CONSTRAINT nothing_is_owed_to_the_customer CHECK (amount_due_usd >= tax_usd),
    CONSTRAINT number_is_taken_at_issue CHECK (
        (invoice_number IS NULL) = (issued_at IS NULL) AND (invoice_number IS NOT NULL OR due_date IS NULL)
        AND (invoice_number IS NULL) = (issue_date IS NULL)
        AND CASE status WHEN 'draft' THEN invoice_number IS NULL WHEN 'cancelled' THEN true
            ELSE invoice_number IS NOT NULL END
    ),
    CONSTRAINT paid_when_paid CHECK (
        CASE status WHEN 'paid' THEN paid_at IS NOT NULL WHEN 'cancelled' THEN true ELSE paid_at IS NULL END
    )
);
CREATE UNIQUE INDEX invoices_period ON billing.invoices (organization_id, period_start, period_end)
    WHERE status <> 'cancelled' AND kind = 'usage';
CREATE UNIQUE INDEX invoices_topup ON billing.invoices (organization_id, transaction_id)
    WHERE status <> 'cancelled' AND kind = 'topup';
CREATE UNIQUE INDEX invoices_newest ON billing.invoices (organization_id, created_at);
CREATE INDEX invoices_due ON billing.invoices (due_date) WHERE status = 'issued';

-- Top-ups that have no invoice yet, and why the last attempt to issue one failed.
CREATE TABLE billing.topups_to_invoice (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    transaction_id uuid NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT billing.now(),
    error text,
    created_at timestamptz NOT NULL DEFAULT billing.now(),
    PRIMARY KEY (organization_id, transaction_id)
);
CREATE INDEX topups_to_invoice_due ON billing.topups_to_invoice (next_attempt_at);

-- Each takes back a part of an issued invoice, together at most all of it.
CREATE TABLE billing.credit_notes (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    id uuid NOT NULL DEFAULT uuidv7(),
    invoice_id uuid NOT NULL,
    credit_note_number text NOT NULL,
    issue_date date NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    subtotal_usd numeric(28, 8) NOT NULL CHECK (subtotal_usd > 0),
    tax_usd numeric(28, 8) NOT NULL CHECK (tax_usd >= 0),
    total_amount_usd numeric(28, 8) NOT NULL,
    subtotal_billing_currency numeric(28, 4) NOT NULL,
    tax_billing_currency numeric(28, 4) NOT NULL,
    total_amount_billing_currency numeric(28, 4) NOT NULL,
    -- The refund that returned the credit, when the request asked for one.
    transaction_id uuid,
    -- The invoice that replaces the credited one, when the request asked for one.
    corrected_invoice_id uuid,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, credit_note_number),
    UNIQUE (organization_id, idempotency_key),
    FOREIGN KEY (organization_id, invoice_id) REFERENCES billing.invoices,
    CONSTRAINT totals_add_up CHECK (
        total_amount_usd = subtotal_usd + tax_usd
        AND total_amount_billing_currency = subtotal_billing_currency + tax_billing_currency
    )
);
CREATE UNIQUE INDEX credit_notes_newest ON billing.credit_notes (organization_id, created_at);
CREATE INDEX credit_notes_of_invoice ON billing.credit_notes (organization_id, invoice_id);

-- The last number of each series and year, taken in the transaction that uses it: a rollback leaves no gap.
CREATE TABLE billing.document_counters (
    series text NOT NULL,
    year int NOT NULL,
    last bigint NOT NULL CHECK (last > 0),
    PRIMARY KEY (series, year)
);

-- The organizations to bill for a month, and the result of each.
CREATE TABLE billing.month_end_items (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    month text NOT NULL CHECK (month ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'issued', 'empty', 'failed')),
    -- The billed period, also when nothing was used in it; the next period begins at its end.
    period_start timestamptz,
    period_end timestamptz,
    invoice_id uuid,
    error text,
    updated_at timestamptz NOT NULL DEFAULT billing.now(),
    PRIMARY KEY (organization_id, month),
    FOREIGN KEY (organization_id, invoice_id) REFERENCES billing.invoices,
    CONSTRAINT done_has_a_period CHECK (
        (status IN ('issued', 'empty')) = (period_end IS NOT NULL)
        AND (period_start IS NULL) = (period_end IS NULL)
        AND (status = 'issued') = (invoice_id IS NOT NULL) AND (status = 'failed') = (error IS NOT NULL)
    )
);
CREATE INDEX month_end_items_of ON billing.month_end_items (month, organization_id);
CREATE INDEX month_end_items_open ON billing.month_end_items (updated_at) WHERE status IN ('pending', 'failed');

-- Payments

CREATE TYPE billing.payment_purpose AS ENUM ('topup', 'auto_topup', 'invoice');

-- unknown: a call to the provider had no answer, so the provider is asked; nothing is paid under another key.
CREATE TYPE billing.payment_status AS ENUM ('pending', 'unknown', 'succeeded', 'failed', 'expired');

-- Money that a payer gives through a provider. Amounts without _usd are in the currency.
CREATE TABLE billing.payments (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    -- Also the key under which the provider makes the payment, once.
    id uuid NOT NULL,
    purpose billing.payment_purpose NOT NULL,
    provider text NOT NULL CHECK (provider IN ('stripe', 'paypal')),
    status billing.payment_status NOT NULL DEFAULT 'pending',
    -- The invoice that it pays.
    invoice_id uuid,
    -- The credit that it buys, or the net amount of the invoice.
    credit_usd numeric(18, 8) NOT NULL CHECK (credit_usd > 0),
    -- What the payer is asked for, and the tax in it, on the terms of the moment at which it was asked.
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    minor_units int NOT NULL CHECK (minor_units BETWEEN 0 AND 4),
    amount numeric(28, 4) NOT NULL CHECK (amount > 0),
    tax numeric(28, 4) NOT NULL CHECK (tax >= 0),
    exchange_rate numeric(24, 12) NOT NULL CHECK (exchange_rate > 0),
    rate_source text NOT NULL,
    rate_as_of timestamptz NOT NULL,
    tax_terms jsonb,
    return_url text,
    -- The provider's object that is asked, and where the payer pays until when.
    external_id text,
    checkout_url text,
    expires_at timestamptz,
    -- The provider's state in the newest answer that was settled, and when that question was asked.
    captured numeric(28, 4) NOT NULL DEFAULT 0 CHECK (captured >= 0),
    refunded numeric(28, 4) NOT NULL DEFAULT 0 CHECK (refunded >= 0),
    -- Under dispute, and lost by disputes.
    disputed numeric(28, 4) NOT NULL DEFAULT 0 CHECK (disputed >= 0),
    lost numeric(28, 4) NOT NULL DEFAULT 0 CHECK (lost >= 0),
    dispute_state text CHECK (dispute_state IN ('open', 'won', 'lost')),
    fee numeric(28, 4),
    fee_currency text,
    failure_code text,
    as_of timestamptz NOT NULL DEFAULT '-infinity',
    -- When to ask next, whether or not a webhook comes.
    next_ask_at timestamptz NOT NULL,
    -- What it did to the credit: what it brought, what left again, and what of that had been spent already.
    credited_usd numeric(18, 8) NOT NULL DEFAULT 0 CHECK (credited_usd >= 0),
    paid_out_usd numeric(18, 8) NOT NULL DEFAULT 0 CHECK (paid_out_usd >= 0),
    charged_back_usd numeric(18, 8) NOT NULL DEFAULT 0 CHECK (charged_back_usd >= 0),
    grant_id uuid,
    transaction_id uuid,
    initiated_by text,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, idempotency_key),
    FOREIGN KEY (organization_id, invoice_id) REFERENCES billing.invoices,
    FOREIGN KEY (organization_id, grant_id) REFERENCES billing.credit_grants,
    CONSTRAINT an_invoice_is_paid_for CHECK ((purpose = 'invoice') = (invoice_id IS NOT NULL)),
    CONSTRAINT tax_is_part CHECK (tax < amount),
    CONSTRAINT takes_back_what_it_brought CHECK (paid_out_usd + charged_back_usd <= credited_usd),
    CONSTRAINT credits_once_it_succeeds CHECK ((credited_usd > 0) = (grant_id IS NOT NULL))
);
CREATE UNIQUE INDEX payments_newest ON billing.payments (organization_id, created_at);
CREATE UNIQUE INDEX payments_one_open_of_invoice ON billing.payments (organization_id, invoice_id)
    WHERE status IN ('pending', 'unknown');
CREATE UNIQUE INDEX payments_one_auto_topup ON billing.payments (organization_id)
    WHERE purpose = 'auto_topup' AND status IN ('pending', 'unknown');
CREATE INDEX payments_due ON billing.payments (next_ask_at) WHERE next_ask_at < 'infinity';
-- The platform's lists, whose ids are in the order of time.
CREATE INDEX payments_newest_of_all ON billing.payments (id);
CREATE INDEX payments_in_doubt ON billing.payments (id) WHERE status = 'unknown';
CREATE INDEX payments_disputed ON billing.payments (id) WHERE dispute_state IS NOT NULL;

-- The provider's objects of each payment: no object belongs to two.
CREATE TABLE billing.payment_objects (
    provider text NOT NULL,
    external_id text NOT NULL,
    organization_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    PRIMARY KEY (provider, external_id)
);
CREATE INDEX payment_objects_of ON billing.payment_objects (organization_id, payment_id);

-- The verified webhooks of providers, as they came. Their numbers are never booked: an event only says which
-- payment to ask for.
CREATE TABLE billing.payment_events (
    provider text NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    -- The provider's objects that it names.
    external_ids text[] NOT NULL,
    body text NOT NULL,
    -- NULL until the payment of one of these objects is known.
    organization_id uuid,
    payment_id uuid,
    received_at timestamptz NOT NULL DEFAULT billing.now(),
    -- Set by the settlement of an answer to a question that was asked after the event came.
    settled_at timestamptz,
    PRIMARY KEY (provider, event_id)
);
CREATE INDEX payment_events_unmatched ON billing.payment_events (received_at) WHERE payment_id IS NULL;
CREATE INDEX payment_events_of ON billing.payment_events (organization_id, payment_id) WHERE settled_at IS NULL;
CREATE INDEX payment_events_unknown ON billing.payment_events USING gin (external_ids)
    WHERE payment_id IS NULL;
CREATE INDEX payment_events_with_body ON billing.payment_events (received_at) WHERE body <> '';

-- Money that goes back to the payer because the platform asks for it. Its credit is frozen until the provider has
-- answered.
CREATE TABLE billing.payment_refunds (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    -- Also the key under which the provider makes the refund, once.
    id uuid NOT NULL,
    payment_id uuid NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'unknown', 'succeeded', 'failed')),
    amount numeric(28, 4) NOT NULL CHECK (amount > 0),
    credit_usd numeric(18, 8) NOT NULL CHECK (credit_usd > 0),
    external_id text,
    failure_code text,
    initiated_by text,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, idempotency_key),
    FOREIGN KEY (organization_id, payment_id) REFERENCES billing.payments
);
CREATE INDEX payment_refunds_of ON billing.payment_refunds (organization_id, payment_id);

-- The provider's customer of an organization, and the card that may be charged without the payer.
CREATE TABLE billing.payment_customers (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    provider text NOT NULL,
    customer_id text NOT NULL,
    payment_method_id text,
    card_fingerprint text,
    card text,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, provider)
);

-- When a saved card is charged without the payer, and the breaker that ends it.
CREATE TABLE billing.auto_topups (
    organization_id uuid PRIMARY KEY REFERENCES billing.organizations,
    active boolean NOT NULL DEFAULT true,
    threshold_usd numeric(18, 8) NOT NULL CHECK (threshold_usd >= 0),
    target_usd numeric(18, 8) NOT NULL,
    monthly_limit_usd numeric(18, 8) NOT NULL CHECK (monthly_limit_usd > 0),
    -- Of the card, in a row.
    declines int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT '-infinity',
    paused_at timestamptz,
    paused_reason text,
    initiated_by text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT target_is_above_threshold CHECK (target_usd > threshold_usd),
    CONSTRAINT a_pause_has_a_reason CHECK ((paused_at IS NULL) = (paused_reason IS NULL))
);

-- Links by which anybody who has the token pays one invoice; only the token's hash is kept.
CREATE TABLE billing.payment_links (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    token_hash bytea NOT NULL,
    invoice_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, token_hash),
    FOREIGN KEY (organization_id, invoice_id) REFERENCES billing.invoices
);

-- Webhooks

-- Where an organization receives events. After a rotation both secrets sign until the old one ends.
CREATE TABLE billing.webhook_endpoints (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    id uuid NOT NULL DEFAULT uuidv7(),
    url text NOT NULL CHECK (url ~ '^https?://'),
    -- Empty means all types.
    types text[] NOT NULL DEFAULT '{}',
    secret bytea NOT NULL,
    old_secret bytea,
    old_secret_ends_at timestamptz,
    -- The first of the failures since the last success.
    failing_since timestamptz,
    disabled_at timestamptz,
    disabled_because text,
    created_at timestamptz NOT NULL DEFAULT billing.now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, url),
    CONSTRAINT disabled_has_a_reason CHECK ((disabled_at IS NULL) = (disabled_because IS NULL)),
    CONSTRAINT old_secret_ends CHECK ((old_secret IS NULL) = (old_secret_ends_at IS NULL))
);

CREATE TABLE billing.webhook_events (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    id uuid NOT NULL DEFAULT uuidv7(),
    type text NOT NULL,
    data jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, created_at)
);

-- One event to one endpoint. An attempt holds the lease until next_attempt_at; then it counts as lost.
CREATE TABLE billing.webhook_deliveries (
    organization_id uuid NOT NULL REFERENCES billing.organizations,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts int NOT NULL DEFAULT 0,
    lease uuid,
    next_attempt_at timestamptz NOT NULL DEFAULT billing.now(),
    attempted_at timestamptz,
    -- The endpoint's answer to the last attempt, or the reason why there was none.
    status_code int,
    error text,
    PRIMARY KEY (organization_id, event_id, endpoint_id),
    FOREIGN KEY (organization_id, endpoint_id) REFERENCES billing.webhook_endpoints ON DELETE CASCADE,
    FOREIGN KEY (organization_id, event_id) REFERENCES billing.webhook_events
);
CREATE INDEX webhook_deliveries_due ON billing.webhook_deliveries (organization_id, endpoint_id, next_attempt_at)
    WHERE status = 'pending';

-- Row-level security

ALTER TABLE billing.organizations ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.organization_homes ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.clients ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.credit_transactions ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.idempotency ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.credited_payments ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.external_ids ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.holds ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.charge_refunds ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.credit_grants ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.allocations ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.logged_spend ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.spend_rollups ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.labels ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.budgets ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.forecasts ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.erasures ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.exchange_rates ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.prices ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.unpriced_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.refused_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.reratings ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.rerating_adjustments ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.rerated_charges ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.invoices ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.topups_to_invoice ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.credit_notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.month_end_items ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.payments ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.payment_objects ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.payment_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.payment_refunds ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.payment_customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.payment_links ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.auto_topups ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.webhook_endpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.webhook_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.webhook_deliveries ENABLE ROW LEVEL SECURITY;
