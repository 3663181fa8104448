-- The key that signs links to documents.

CREATE TABLE billing.document_key (
    the_one boolean PRIMARY KEY DEFAULT true CHECK (the_one),
    key bytea NOT NULL CHECK (length(key) = 32)
);
-- Each UUID has 122 bits of the server's own randomness.
INSERT INTO billing.document_key (key)
VALUES (sha256(convert_to(concat(gen_random_uuid(), gen_random_uuid(), gen_random_uuid()), 'UTF8')));
ALTER TABLE billing.document_key ENABLE ROW LEVEL SECURITY;
