SELECT balance_usd, version FROM billing.organizations WHERE id = %(organization)s
FOR NO KEY UPDATE;

INSERT INTO billing.idempotency
VALUES (%(organization)s, 'key', %(key)s, %(print)s, 'transaction', %(id)s, %(now)s);

INSERT INTO billing.credit_transactions (
    id, organization_id, version, transaction_type, amount_usd, balance_before_usd,
    balance_after_usd, description, personal_digest, previous_hash, hash, created_at
) VALUES (
    %(id)s, %(organization)s, %(version)s, 'charge', -%(amount)s, %(balance)s,
    %(balance)s - %(amount)s, 'chat completion', %(print)s, %(print)s, %(print)s, %(now)s
);

INSERT INTO billing.spend_logs (
    id, organization_id, transaction_id, amount_usd, model, provider, tokens, bucket_start, created_at
) VALUES (
    %(id)s, %(organization)s, %(id)s, %(amount)s, 'gpt-4o', 'openai', 418, %(now)s, %(now)s
);

UPDATE billing.organizations SET balance_usd = balance_usd - %(amount)s, version = version + 1
WHERE id = %(organization)s;
