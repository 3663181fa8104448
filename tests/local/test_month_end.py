"""`make month-end`: the functions over local queues, from the plan to the invoice."""

import contextlib
from datetime import UTC, datetime

import pytest

from local import month_end
from tests.billing import set_clock
from tests.conftest import Database
from tests.running import Client

CHARGE = {"amount_usd": "1.25", "description": "chat", "model": "gpt-4o"}


def test_a_month_is_billed_once_by_the_command(
    api: Client, product: tuple[str, Database], capsys: pytest.CaptureFixture[str]
) -> None:
    url, database = product
    paths = [api.new_organization("10", billing_currency="BRL") for _ in range(12)]
    with database.admin() as admin:
        for path in paths:
            for instant in (datetime(2033, 5, 9, tzinfo=UTC), datetime(2033, 6, 1, tzinfo=UTC)):
                set_clock(admin, path.rpartition("/")[2], instant)
                api.post(f"{path}/charges", CHARGE, f"{instant}").raise_for_status()
    with pytest.raises(month_end.MonthError, match="Which month"):
        month_end.run(url, "2033-13")
    for new in (12, 0):
        # Of the other tests' organizations, whose clock has not got there.
        with contextlib.suppress(month_end.MonthError):
            month_end.run(url, "2033-05")
        assert f"12 invoices ({new} new)" in capsys.readouterr().out
    for path in paths:
        [invoice] = api.get(f"{path}/invoices").json()["items"]
        assert (invoice["status"], invoice["subtotal_usd"]) == ("issued", "1.25")
        assert (invoice["period_start"], invoice["period_end"]) == (
            "2033-05-01T00:00:00Z",
            "2033-06-01T00:00:00Z",
        )
    tenant = api.other("billing:read", paths[0].rpartition("/")[2])
    assert tenant.get("/v1/month-end/2033-05").status_code == 403
    assert api.get("/v1/month-end/2033-5").json()["errors"][0]["pointer"] == "/month"
