SELECT balance_usd, version FROM billing.organizations WHERE id = %(organization)s
FOR NO KEY UPDATE;

INSERT INTO billing.idempotency
    (organization_id, key, fingerprint, result_type, result_id, created_at)
VALUES (%(organization)s, %(key)s, %(print)s, 'transaction', %(id)s, %(now)s);

INSERT INTO billing.credit_transactions (
    id, organization_id, version, transaction_type, amount_usd, balance_before_usd,
    balance_after_usd, drawn_usd, description, model, provider, tokens, bucket_start,
    personal_digest, previous_hash, hash, created_at
) VALUES (
    %(id)s, %(organization)s, %(version)s, 'charge', -%(amount)s, %(balance)s,
    %(balance)s - %(amount)s, 0, 'chat completion', 'gpt-4o', 'openai', 418, %(now)s, %(print)s,
    %(print)s, %(print)s, %(now)s
);

INSERT INTO billing.spend_rollups (
    organization_id, bucket_start, dimensions, bucket_end, model, provider, charged, amount_usd,
    tokens, requests
) VALUES (
    %(organization)s, %(now)s, %(print)s, %(now)s, 'gpt-4o', 'openai', true, %(amount)s, 418, 1
);

UPDATE billing.organizations SET balance_usd = balance_usd - %(amount)s, version = version + 1
WHERE id = %(organization)s;
