-- Rounding and tax of invoices and credit notes. The subtotal and the tax are each rounded once, half-up; the
-- lines of an invoice are rounded down or up, so that they add up to the subtotal. Pure functions of their
-- arguments, IMMUTABLE, which read no table.

-- An amount in US dollars in another currency, rounded to its minor unit.
CREATE OR REPLACE FUNCTION billing.in_currency(p_usd numeric, p_exchange_rate numeric, p_minor_units int)
RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT round(p_usd * p_exchange_rate, p_minor_units) $$;

-- The rate of tax, 0.19 for 19 %; none without tax details, under reverse charge and for what is exempt.
CREATE OR REPLACE FUNCTION billing.tax_rate(p_tax jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_tax IS NULL OR p_tax ->> 'category' <> 'standard' THEN 0
        ELSE (p_tax ->> 'rate_percent')::numeric / 100 END
$$;

-- The amounts in minor units, each rounded down or up, so that they add up to their rounded sum: by largest
-- remainder, then largest amount, then place. p_units is the minor units per US dollar.
CREATE OR REPLACE FUNCTION billing.allocate(p_amounts_usd numeric[], p_units numeric) RETURNS numeric[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(units + (place <= short)::int ORDER BY ordinal), '{}')
    FROM (
        SELECT ordinal, floor(usd * p_units) AS units,
            round(sum(usd) OVER () * p_units) - sum(floor(usd * p_units)) OVER () AS short,
            row_number() OVER (
                ORDER BY usd * p_units - floor(usd * p_units) DESC, usd DESC, ordinal) AS place
        FROM unnest(p_amounts_usd) WITH ORDINALITY AS amounts (usd, ordinal)
    ) AS floored
$$;
