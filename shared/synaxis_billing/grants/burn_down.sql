-- The order in which credit grants are used, and which of them pay for an amount. It follows from the grants'
-- terms alone, so that anybody can compute it. These functions read no table.

-- Lower priority first, then the soonest expiry, credit that was given before credit that was paid for, the
-- earliest start, and the id.
-- api helper
CREATE OR REPLACE FUNCTION billing.in_burn_down_order(p_grants billing.credit_grants[])
RETURNS billing.credit_grants[] LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(g ORDER BY g.priority, g.expires_at, g.cost_basis_usd > 0, g.effective_at, g.id), '{}')
    FROM unnest(p_grants) AS g
$$;

-- The grants that pay for a range of the odometer, each with its part, by its position among grants that are in
-- burn-down order. Without a grant it is debt.
-- api helper
CREATE OR REPLACE FUNCTION billing.burn_down(
    p_grants billing.credit_grants[], p_from_usd numeric, p_to_usd numeric
) RETURNS TABLE (ordinal int, grant_id uuid, from_usd numeric, to_usd numeric) LANGUAGE sql IMMUTABLE AS $$
    WITH usable AS (
        SELECT g.ordinality, g.id, g.remaining_usd - g.frozen_usd AS usable_usd,
            p_from_usd + sum(g.remaining_usd - g.frozen_usd) OVER (ORDER BY g.ordinality) AS ends_usd
        FROM unnest(p_grants) WITH ORDINALITY AS g WHERE g.started AND g.remaining_usd > g.frozen_usd
    )
    SELECT ordinality::int, id, ends_usd - usable_usd, least(ends_usd, p_to_usd)
    FROM usable WHERE ends_usd - usable_usd < p_to_usd
    UNION ALL
    SELECT NULL, NULL, coalesce(max(ends_usd), p_from_usd), p_to_usd
    FROM usable HAVING coalesce(max(ends_usd), p_from_usd) < p_to_usd
$$;

-- The credit that is frozen, which neither charges nor holds can use.
-- api helper
CREATE OR REPLACE FUNCTION billing.frozen_usd(p_grants billing.credit_grants[]) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$ SELECT coalesce(sum(g.frozen_usd), 0) FROM unnest(p_grants) AS g $$;

-- The part of an ended grant that live holds can take from nowhere else: neither from other credit, nor from
-- what the credit limit leaves beside debt.
-- api helper
CREATE OR REPLACE FUNCTION billing.needed_by_holds(
    p_remaining_usd numeric, p_held_usd numeric, p_other_credit_usd numeric, p_headroom_usd numeric
) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT least(p_remaining_usd,
        greatest(p_held_usd - p_other_credit_usd - greatest(p_headroom_usd, 0), 0))
$$;
