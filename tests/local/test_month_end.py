"""`make month-end`: the functions over local queues, from the plan to the invoice."""

import contextlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from local import month_end
from local.template import ROOT
from tests.support.billing import set_clock
from tests.support.running import Client, running

CHARGE = {"amount_usd": "1.25", "description": "chat", "model": "gpt-4o"}
AFTER = datetime(2033, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("month", "now", "ends"),
    [
        ("2033-05", AFTER - timedelta(microseconds=1), "2033-06-01 12:00 UTC"),
        ("2033-12", AFTER, "2034-01-01 12:00 UTC"),
    ],
)
def test_a_month_that_has_not_ended_is_refused_in_one_sentence(
    month: str, now: datetime, ends: str
) -> None:
    # Nothing is asked of the product, which does not run here.
    with pytest.raises(month_end.MonthError) as refused:
        month_end.run("http://127.0.0.1:1", month, now)
    assert str(refused.value) == (
        f"{month} has not ended yet: it ends everywhere on Earth at {ends}."
    )


@pytest.mark.parametrize("month", ["", "2033", "2033-13", "0000-01", "9999-12"])
def test_what_is_no_month_is_refused_in_one_sentence(month: str) -> None:
    with pytest.raises(month_end.MonthError, match="Which month"):
        month_end.run("http://127.0.0.1:1", month, AFTER)


def test_the_command_fails_for_a_month_that_has_not_ended(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"url": "http://127.0.0.1:1"}')
    done = subprocess.run(
        [sys.executable, "-m", "local", "month-end", "9998-12"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}", "STATE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "9998-12 has not ended yet: it ends everywhere on Earth at 9999-01-01 12:00 UTC.\n"
    )


def test_a_month_is_billed_once_by_the_command(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(home) as url, contextlib.closing(Client(url)) as api:
        database_url = json.loads((home / "run.json").read_text())["database_url"]
        paths = [api.new_organization("10", billing_currency="BRL") for _ in range(12)]
        with psycopg.connect(database_url, autocommit=True) as admin:
            for path in paths:
                for instant in (datetime(2033, 5, 9, tzinfo=UTC), datetime(2033, 6, 1, tzinfo=UTC)):
                    set_clock(admin, path.rpartition("/")[2], instant)
                    api.post(f"{path}/charges", CHARGE, f"{instant}").raise_for_status()
        behind = api.new_organization()
        for new in (12, 0):
            with pytest.raises(month_end.MonthError, match="What failed is tried again"):
                month_end.run(url, "2033-05", AFTER)
            told = capsys.readouterr().out
            assert f"12 invoices ({new} new), 0 organizations had nothing to bill, 1 failed" in told
            assert f"{behind.rpartition('/')[2]}: The period ends at 2033-06-01" in told
        with psycopg.connect(database_url, autocommit=True) as admin:
            set_clock(admin, behind.rpartition("/")[2], datetime(2033, 6, 1, 1, tzinfo=UTC))
        # The failures of the runs before do not count in this one.
        month_end.run(url, "2033-05", AFTER)
        assert "1 organizations had nothing to bill, 0 failed" in capsys.readouterr().out
        for path in paths:
            found = api.get(f"{path}/invoices").json()["items"]
            # The top-up has an invoice of its own.
            [invoice] = [one for one in found if one["kind"] == "usage"]
            assert (invoice["status"], invoice["subtotal_usd"]) == ("paid", "1.25")
            assert (invoice["period_start"], invoice["period_end"]) == (
                "2033-05-01T00:00:00Z",
                "2033-06-01T00:00:00Z",
            )
        tenant = api.other("billing:read", paths[0].rpartition("/")[2])
        assert tenant.get("/v1/month-end/2033-05").status_code == 403
        assert api.get("/v1/month-end/2033-5").json()["errors"][0]["pointer"] == "/month"
