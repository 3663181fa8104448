-- The list of an organization's transactions, newest first.

-- api
CREATE OR REPLACE FUNCTION billing.transactions(
    p_tenant text, p_organization_id uuid, p_type text, p_start timestamptz, p_end timestamptz,
    p_limit int
) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('billing.tenant', p_tenant, true);
    IF NOT EXISTS (SELECT FROM billing.organizations WHERE id = p_organization_id) THEN
        RETURN billing.outcome('organization_not_found');
    END IF;
    RETURN billing.outcome('found', (
        SELECT coalesce(json_agg(billing.transaction_json(t)), '[]')
        FROM (
            SELECT * FROM billing.credit_transactions
            WHERE organization_id = p_organization_id
                AND (p_type IS NULL OR transaction_type = p_type::billing.transaction_type)
                AND created_at >= coalesce(p_start, '-infinity')
                AND created_at < coalesce(p_end, 'infinity')
            ORDER BY created_at DESC LIMIT p_limit
        ) AS t
    ));
END $$;
