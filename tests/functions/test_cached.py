"""What is cached, seen from outside: right at once for who changed it, and soon for everybody."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from uuid import uuid4

from synaxis_billing.currencies import CURRENCIES
from tests.support.running import Client


def test_a_changed_profile_is_read_back_changed(api: Client) -> None:
    path = api.new_organization()
    assert api.get(path).json()["name"] == "Acme"
    for name in ("Acme Ltd", "Acme Inc"):
        assert api.http.patch(path, json={"name": name}).status_code == 200
        assert api.get(path).json()["name"] == name


def test_an_organization_that_was_missing_is_found_as_soon_as_it_is_made(api: Client) -> None:
    organization_id = str(uuid4())
    path = f"/v1/organizations/{organization_id}"
    assert api.get(path).status_code == 404
    api.new_organization(id=organization_id)
    assert api.get(path).status_code == 200


def test_another_tenant_gets_nothing_from_the_cache(api: Client) -> None:
    path = api.new_organization()
    api.get(path)
    stranger = api.other("billing:read", uuid4())
    assert stranger.get(path).json()["code"] == "organization_not_found"


def test_the_balance_is_never_a_cached_one(api: Client) -> None:
    path = api.new_organization("10")
    for spent in range(1, 6):
        key = f"{path} {spent}"
        api.post(f"{path}/charges", {"amount_usd": "1", "description": "chat"}, key)
        assert api.get(f"{path}/balance").json()["balance_usd"] == f"{10 - spent}.00"


def test_the_balance_is_shown_in_the_billing_currency_too(api: Client) -> None:
    path = api.new_organization("10", billing_currency="BRL")
    found = api.get(f"{path}/balance").json()
    assert (found["billing_currency"], found["rate_stale"]) == ("BRL", False)
    rate = Decimal(found["exchange_rate"])
    assert Decimal(found["balance"]) == (10 * rate).quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_the_spending_of_a_closed_period_follows_a_change_of_time_zone(api: Client) -> None:
    path = api.new_organization("10")
    period = {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z", "group_by": "day"}
    first = api.get(f"{path}/spending", **period).json()
    assert first == api.get(f"{path}/spending", **period).json()
    assert first["timezone"] == "UTC"
    api.http.patch(path, json={"timezone": "Asia/Tokyo"})
    assert api.get(f"{path}/spending", **period).json()["timezone"] in ("Asia/Tokyo", "UTC")
    api.post("/v1/cache/invalidate", {"organization_id": path.rpartition("/")[2], "global": True})


def test_an_invoice_that_was_final_is_shown_as_it_is_now(api: Client) -> None:
    path = api.new_organization(credit_limit_usd="10")
    charge = {"amount_usd": "1", "description": "chat"}
    api.post(f"{path}/charges", charge, f"{path} charge").raise_for_status()
    now = datetime.now(UTC)
    period = {"period_start": f"{now - timedelta(days=1)}", "period_end": f"{now}"}
    period = {name: at.replace(" ", "T") for name, at in period.items()}
    invoice = f"{path}/invoices/{api.post(f'{path}/invoices', period).json()['id']}"

    def status() -> str:
        return str(api.get(invoice).json()["status"])

    assert api.post(f"{invoice}/issue").json()["status"] == "issued"
    assert [status(), status()] == ["issued"] * 2
    api.post(f"{invoice}/pay", {}).raise_for_status()
    assert [status(), status()] == ["paid"] * 2
    note = {"reason": "a mistake"}
    api.post(f"{invoice}/credit-notes", note, f"{path} note").raise_for_status()
    assert [status(), status()] == ["cancelled"] * 2
    stranger = api.other("billing:read", uuid4())
    assert stranger.get(invoice).status_code == 404


def test_exchange_rates_are_fetched_by_the_schedule_and_say_where_they_are_from(
    api: Client,
) -> None:
    rates = api.get("/v1/exchange-rates").json()
    assert (rates["base"], rates["source"], rates["stale"]) == ("USD", "simulated", False)
    assert list(rates["rates"]) == list(CURRENCIES)
    assert rates["rates"]["USD"] == "1.00"
    assert abs(Decimal(rates["rates"]["BRL"]) / Decimal("5.75") - 1) <= Decimal("0.02")
    one = api.get("/v1/exchange-rates/eur").json()
    assert one == {
        "base": "USD",
        "currency": "EUR",
        "rate": rates["rates"]["EUR"],
        "as_of": rates["as_of"],
        "source": "simulated",
        "stale": False,
    }
    assert api.get("/v1/exchange-rates/usd").json()["stale"] is False
    assert api.get("/health").json()["rates"] == "ok"
    missing = api.get("/v1/exchange-rates/XXX")
    assert (missing.status_code, missing.json()["code"]) == (404, "unsupported_currency")


def test_the_cache_counts_what_it_answers(api: Client) -> None:
    path = api.new_organization()
    for _ in range(5):
        api.get(path)
    found = api.get("/v1/cache/statistics").json()
    profile = found["families"]["organization"]
    assert profile["l1_hits"] + profile["l2_hits"] > 0
    assert 0 < profile["hit_ratio"] <= 1
    assert found["breaker_open"] is False


def test_what_is_invalidated_must_be_one_organizations(api: Client) -> None:
    path = api.new_organization()
    own, other = path.rpartition("/")[2], str(uuid4())
    admin = api.other("billing:admin", own)
    for scope in ({}, {"global": True}):
        for what in (
            {"organization_id": own},
            {"keys": [f"tenant:{own}:organization"]},
            {"pattern": f"tenant:{own}:spending:*"},
            {"tags": ["profile"]},
        ):
            answer = admin.post("/v1/cache/invalidate", what | scope)
            assert answer.status_code == 200, answer.text
            assert answer.json()["organization_id"] == own
    for what, pointer in (
        ({"organization_id": other}, "/organization_id"),
        ({"keys": [f"tenant:{other}:organization"]}, "/organization_id"),
        ({"keys": ["organization"]}, "/keys/0"),
        ({"pattern": "*"}, "/pattern"),
        ({"pattern": f"tenant:{other}:*"}, "/organization_id"),
    ):
        answer = admin.post("/v1/cache/invalidate", what)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == pointer
