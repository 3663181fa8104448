-- Links by which anybody who has one opens one document, until it expires.

-- The key that signs them. It never leaves the functions of the API.
-- api as synaxis_ledger
CREATE OR REPLACE FUNCTION billing.document_key() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = billing, pg_temp AS $$
    SELECT encode(key, 'hex') FROM billing.document_key
$$;
