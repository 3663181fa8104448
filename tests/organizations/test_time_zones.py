"""A local day begins at its first instant, whatever its time zone did in the night."""

import psycopg
import pytest
from pydantic import ValidationError

from synaxis_billing.organizations.profile import AMBIGUOUS_ZONES, NewOrganization
from tests.conftest import Database

# Every day of a month in which a zone's offset changes, of all zones, from 1990 to 2037.
WRONG_DAYS = """
WITH months AS (
    SELECT name, start FROM pg_timezone_names CROSS JOIN generate_series(
        timestamptz '1990-01-01Z', '2037-12-01Z', interval '1 month') AS start
    WHERE name NOT LIKE 'posix%' AND name NOT IN (SELECT abbrev FROM pg_timezone_abbrevs)
        AND start AT TIME ZONE name - (start + interval '1 month') AT TIME ZONE name
            <> start AT TIME ZONE 'UTC' - (start + interval '1 month') AT TIME ZONE 'UTC'
), days AS (
    SELECT name, day::date AS day, billing.day_start(day::date, name) AS start FROM months
    CROSS JOIN generate_series(start AT TIME ZONE 'UTC' - interval '1 day',
        start AT TIME ZONE 'UTC' + interval '32 days', interval '1 day') AS day
)
SELECT name, day FROM days
WHERE (start AT TIME ZONE name)::date < day
    OR ((start - interval '1 microsecond') AT TIME ZONE name)::date >= day
"""


def rows(admin: psycopg.Connection, query: str) -> list[tuple[str, ...]]:
    admin.execute("SET TimeZone = 'UTC'")
    return admin.execute(query.encode()).fetchall()


def test_every_local_day_of_every_zone_begins_at_its_first_instant(database: Database) -> None:
    with database.admin() as admin:
        assert rows(admin, WRONG_DAYS) == []


@pytest.mark.parametrize("name", [*AMBIGUOUS_ZONES, "cet"])
def test_a_name_with_two_meanings_is_refused_with_the_zone_to_use(name: str) -> None:
    instead = AMBIGUOUS_ZONES[name.upper()]
    with pytest.raises(ValidationError, match=f"{instead} in place of {name}"):
        NewOrganization.model_validate({"name": "x", "billing_currency": "EUR", "timezone": name})
    taken = {"name": "x", "billing_currency": "EUR", "timezone": instead}
    assert NewOrganization.model_validate(taken).timezone == instead
