-- The answers of every function: an outcome's code and its value. procedures.py knows the successes;
-- each refusal is declared beside its noun.

-- How a change ended: 'created' or 'replayed' with its value, or the code of the refusal with what
-- the refusal tells.
-- api helper
CREATE OR REPLACE FUNCTION billing.outcome(p_code text, p_value json DEFAULT NULL) RETURNS json
LANGUAGE sql STABLE AS $$ SELECT json_build_object('outcome', p_code, 'value', p_value) $$;

CREATE OR REPLACE FUNCTION billing.invalid_state(p_detail text) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT billing.outcome('invalid_state', json_build_object('detail', p_detail))
$$;
