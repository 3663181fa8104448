"""Exchange rates from the fetch to the reader: kept, held back, read again, never made up."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
import pytest

from synaxis_billing.cache import L2, Cache
from synaxis_billing.currencies import currency_code
from synaxis_billing.errors import NotFound
from synaxis_billing.invalidations import outbox
from synaxis_billing.rates import rates
from tests.conftest import Database

BASE = {"EUR": Decimal("0.92"), "BRL": Decimal("5.75"), "GBP": Decimal("0.79")}


def fetched(hours: float = 0, source: str = "ecb", **changes: str) -> rates.Fetch:
    """What a source said some hours from now."""
    at = datetime.now(UTC) + timedelta(hours=hours)
    changed = {name: Decimal(rate) for name, rate in changes.items()}
    return rates.Fetch(id=uuid4(), source=source, as_of=at, fetched_at=at, rates=BASE | changed)


def read(database: Database, cache: Cache | None = None) -> dict[str, rates.Rate]:
    with database.connect() as db:
        return {
            rate.currency: rate for rate in rates.current_rates(lambda: db, cache or Cache(None))
        }


def test_what_was_stored_last_is_read_with_its_source_and_time(database: Database) -> None:
    with database.connect() as db:
        rates.store_rates(db, fetched(-1))
        last = fetched(EUR="0.925", source="exchangerate-api")
        stored = rates.store_rates(db, last)
    assert stored.stored == ["BRL", "EUR", "GBP"]
    assert stored.held == []
    euro = read(database)["EUR"]
    assert (euro.rate, euro.source, euro.stale) == (Decimal("0.925"), "exchangerate-api", False)
    assert euro.as_of == last.as_of
    dollar = read(database)["USD"]
    # As of the hour.
    assert dollar.as_of == dollar.as_of.replace(minute=0, second=0, microsecond=0)
    assert dollar.rate == 1


@pytest.mark.parametrize(("hours", "stale"), [(0, False), (-1.9, False), (-2.1, True), (-99, True)])
def test_a_rate_is_stale_two_hours_after_it_was_fetched(
    hours: float, stale: bool, database: Database
) -> None:
    with database.connect() as db:
        rates.store_rates(db, fetched(hours, EUR="0.93"))
    euro = read(database)["EUR"]
    # The last known rate goes on serving, and says how old it is.
    assert (euro.rate, euro.stale) == (Decimal("0.93"), stale)


def test_without_any_stored_rate_the_static_ones_serve_and_say_so(database: Database) -> None:
    for name, rate in BASE.items():
        found = read(database)[name]
        assert (found.rate, found.source, found.stale) == (rate, "static_fallback", True)


def test_when_the_database_is_gone_the_static_rates_serve_and_say_so() -> None:
    def gone() -> psycopg.Connection:
        raise psycopg.OperationalError

    assert rates.current_rate(gone, Cache(None), "eur").source == "static_fallback"
    assert rates.current_rate(gone, Cache(None), "usd").stale is False


def test_the_same_fetch_twice_is_stored_once(database: Database) -> None:
    fetch = fetched()
    with database.connect() as db:
        first, again = rates.store_rates(db, fetch), rates.store_rates(db, fetch)
        [count] = db.execute("SELECT count(*) FROM billing.exchange_rates").fetchone() or [0]
    assert (len(first.stored), again.stored, count) == (3, [], 3)


def test_an_older_fetch_that_arrives_late_replaces_nothing(database: Database) -> None:
    with database.connect() as db:
        rates.store_rates(db, fetched(EUR="0.93"))
        rates.store_rates(db, fetched(-1, EUR="0.94"))
    assert read(database)["EUR"].rate == Decimal("0.93")


@pytest.mark.parametrize(
    ("rate", "held"), [("1.104", False), ("1.105", True), ("0.736", False), ("0.735", True)]
)
def test_a_jump_of_more_than_a_fifth_is_held_back_alone(
    rate: str, held: bool, database: Database
) -> None:
    with database.connect() as db:
        rates.store_rates(db, fetched(-1))
        stored = rates.store_rates(db, fetched(EUR=rate, GBP="0.80"))
    assert stored.held == (["EUR"] if held else [])
    assert stored.stored == ["BRL", *([] if held else ["EUR"]), "GBP"]
    current = read(database)
    assert current["EUR"].rate == (BASE["EUR"] if held else Decimal(rate))
    assert current["GBP"].rate == Decimal("0.80")


def test_a_jump_that_lasts_is_held_back_until_it_is_accepted(database: Database) -> None:
    jumped = fetched(-1, BRL="8")
    with database.connect() as db:
        rates.store_rates(db, fetched(-2))
        assert rates.store_rates(db, jumped).held == ["BRL"]
        assert rates.store_rates(db, fetched(-0.5, BRL="8.1")).held == ["BRL"]
        accepted = rates.accept_rates(db, jumped.id)
        assert (accepted.stored, accepted.fetch_id) == (["BRL"], jumped.id)
        assert rates.accept_rates(db, jumped.id).stored == []
        assert read(database)["BRL"].rate == 8
        assert rates.store_rates(db, fetched(BRL="8.2")).held == []
    assert read(database)["BRL"].rate == Decimal("8.2")


def test_rates_that_arrive_at_once_are_each_compared_with_the_one_before(
    database: Database,
) -> None:
    """Two fetches each within the bound of the first, but not of each other."""
    with database.connect() as db:
        rates.store_rates(db, fetched(-3, EUR="1"))
    held: list[str] = []
    ready = threading.Barrier(2)

    def keep(rate: str, hours: float) -> None:
        with database.connect() as db:
            ready.wait()
            held.extend(rates.store_rates(db, fetched(hours, EUR=rate)).held)

    threads = [threading.Thread(target=keep, args=of) for of in (("1.19", -2), ("0.81", -1.9))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held == ["EUR"]


@pytest.mark.parametrize("statement", ["DELETE FROM", "TRUNCATE", "UPDATE"])
def test_the_history_of_rates_is_not_the_applications_to_change(
    statement: str, database: Database
) -> None:
    with database.connect() as db:
        rates.store_rates(db, fetched())
        set_rate = " SET rate = 1" if statement == "UPDATE" else ""
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(f"{statement} billing.exchange_rates{set_rate}")


def test_a_stored_rate_is_seen_through_the_cache_at_once(
    database: Database, other_redis_url: str
) -> None:
    caches = [Cache(L2(other_redis_url)), Cache(L2(other_redis_url))]
    with database.connect() as db:
        for number, rate in enumerate(("0.91", "0.93", "0.90")):
            rates.store_rates(db, fetched(number, EUR=rate))
            outbox.drain(db, caches[0], "here", lambda _messages: None)
            caches[1].l1.clear()
            assert [read(database, cache)["EUR"].rate for cache in caches] == [Decimal(rate)] * 2
    # From Redis alone, which the other container has filled.
    third = Cache(L2(other_redis_url))
    assert rates.current_rate(_unasked, third, "EUR").rate == Decimal("0.90")


def _unasked() -> psycopg.Connection:
    raise AssertionError("a cached rate asks no database")


def test_codes_are_known_in_any_case() -> None:
    assert currency_code("eur") == "EUR"
    assert currency_code("BRL") == "BRL"
    with pytest.raises(ValueError, match="must be one of USD, EUR"):
        currency_code("XAU")
    with pytest.raises(NotFound, match="'XAU' is not supported; use one of USD, EUR, BRL, GBP"):
        rates.current_rate(_unasked, Cache(None), "xau")


def test_only_the_platform_stores_and_accepts(database: Database) -> None:
    calls = {
        "store_exchange_rates": (psycopg.types.json.Jsonb({"rates": {}}), Decimal("0.2")),
        "accept_exchange_rates": (UUID(int=1),),
    }
    with database.connect() as db:
        for name, arguments in calls.items():
            marks = ", %s" * len(arguments)
            row = db.execute(
                f"SELECT billing.{name}(%s{marks})",
                [str(uuid4()), *arguments],
            ).fetchone()
            assert row is not None
            assert row[0]["outcome"] == "forbidden"
