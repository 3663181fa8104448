concat(
    '{"idempotency_key": "', :key, '", "request_id": "', :key,
    '", "organization_id": ', coalesce('"' || :organization || '"', 'null'),
    ', "fingerprint": "\\x', repeat('ab', 32), '", "amount_usd": "0.00012345"',
    ', "description": "chat completion", "initiated_by": "bench", "model": "gpt-4o"',
    ', "provider": "openai", "tokens": 418, "team_id": "0190b8a2-7c11-7d3e-9a51-3f2b6c8d9e04"',
    ', "virtual_key_id": "0190b8a2-7c11-7d3e-9a51-3f2b6c8d9e05"}')::jsonb
