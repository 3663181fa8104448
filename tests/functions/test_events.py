"""Every event under events/ is served by its function, on a database of its own."""

from local.template import ROOT
from tests.conftest import Database
from tests.support.events import OTHERS, STATUSES, Invoke, answers, event


def test_every_event_gets_its_answer(invoke: Invoke) -> None:
    assert {path.stem for path in (ROOT / "events").glob("*.json")} == {*STATUSES, *OTHERS}
    found = answers(invoke)
    for name, status in STATUSES.items():
        assert found[name]["statusCode"] == status, (name, found[name])
    assert found["upkeep"] == {"made": []}
    assert found["fx_fetch"]["source"] == "simulated"
    assert found["cache_sweep"] == {"sent": 0}
    # The organization is younger than the month.
    assert found["month_end_plan"] == {"month": "2026-02", "sent": 0}
    # That the top-up has its invoice.
    assert found["topup_invoices"] == {"issued": 1, "failed": 0}
    assert found["webhook_dispatch"] == {"sent": 1}
    assert found["migrate"] == {"applied": [], "online": []}
    assert found["audit"] == {"organizations": 1, "broken": []}
    for name in OTHERS:
        if "Records" in event(name):
            assert found[name] == {"batchItemFailures": []}


def test_a_charge_is_one_round_trip(invoke: Invoke, database: Database) -> None:
    with database.admin() as admin:
        admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    for function, name in (("Account", "create_organization"), ("Topup", "topup")):
        invoke(f"{function}Function", event(name))
    names = ["charge", "charge_refused", "charge_batch", "hold", "capture_hold", "release_hold"]
    for name in names:
        with database.admin() as admin:
            admin.execute("SELECT pg_stat_statements_reset()")
            invoke("ChargeFunction", event(name))
            calls = admin.execute(
                # The running product may use the same server.
                "SELECT query, calls FROM pg_stat_statements JOIN pg_database AS d ON d.oid = dbid"
                " WHERE datname = current_database() AND userid = 'synaxis_app'::regrole"
                " AND toplevel"
            ).fetchall()
        assert [count for _, count in calls] == [1], (name, calls)
