-- Days and months of a time zone, and instants as text and as numbers. These functions read no table.

-- The instant at which a local day begins; the first one where midnight occurs twice.
-- api helper
CREATE OR REPLACE FUNCTION billing.day_start(p_day date, p_timezone text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN (midnight - back) AT TIME ZONE p_timezone >= p_day THEN midnight - back
        ELSE midnight END
    FROM (SELECT p_day::timestamp AT TIME ZONE p_timezone) AS days (midnight)
    -- How far the zone's clocks went back in the day before midnight.
    CROSS JOIN LATERAL (SELECT greatest(
        ((midnight - interval '24 hours') AT TIME ZONE p_timezone) + interval '24 hours'
            - (midnight AT TIME ZONE p_timezone), interval '0')) AS changes (back)
$$;

-- api helper
CREATE OR REPLACE FUNCTION billing.month_start(p_month text, p_timezone text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$ SELECT billing.day_start(to_date(p_month, 'YYYY-MM'), p_timezone) $$;

-- api helper
CREATE OR REPLACE FUNCTION billing.next_month(p_month text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT to_char(to_date(p_month, 'YYYY-MM') + interval '1 month', 'YYYY-MM')
$$;

-- An instant as text in UTC.
CREATE OR REPLACE FUNCTION billing.instant(p_instant timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT to_char(p_instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
$$;

-- The version of a row that was written at this instant: its microseconds since 1970.
-- api helper
CREATE OR REPLACE FUNCTION billing.version_of(p_instant timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT (extract(epoch FROM p_instant) * 1000000)::bigint $$;
