"""Names of teams and keys stand beside their ids, and nothing is computed by them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conftest import Database
from tests.support import steps
from tests.support.running import Client

TEAM, KEY = "team-7", "0c2f8c0e-52b7-4d5e-8b52-3f0a8e1d2c11"


def put(api: Client, path: str, kind: str, subject_id: str, name: str) -> dict[str, Any]:
    label = {"kind": kind, "id": subject_id, "name": name}
    put: dict[str, Any] = api.http.put(f"{path}/labels", json=label).raise_for_status().json()
    assert put == label
    return put


def labels(api: Client, path: str, **asked: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get(f"{path}/labels", **asked).json()["items"]
    return items


def test_a_name_is_given_changed_listed_and_deleted(api: Client) -> None:
    path, other = api.new_organization(), api.new_organization()
    put(api, path, "team", TEAM, "Search")
    key = put(api, path, "virtual_key", KEY, "Production")
    team = put(api, path, "team", TEAM, "Search and answers")
    assert labels(api, path) == [team, key]
    assert labels(api, path, kind="virtual_key") == [key]
    assert labels(api, other) == []
    first = api.get(f"{path}/labels", limit=1).json()
    assert first["items"] == [team]
    assert labels(api, path, limit=1, cursor=first["next_cursor"]) == [key]
    named = {"kind": "team", "id": TEAM}
    assert api.http.delete(f"{path}/labels", params=named).json() == team
    gone = api.http.delete(f"{path}/labels", params=named)
    assert (gone.status_code, gone.json()["code"]) == (404, "label_not_found")
    assert labels(api, path) == [key]


def test_spending_and_budgets_show_the_names(api: Client) -> None:
    path = api.new_organization("10")
    for team in (TEAM, "team-8"):
        call = {"amount_usd": "1", "description": "x", "team_id": team, "virtual_key_id": KEY}
        api.post(f"{path}/charges", call, f"{path} {team}").raise_for_status()
    put(api, path, "team", TEAM, "Search")
    # A key of the id of a team is another thing.
    put(api, path, "virtual_key", "team-8", "Not a team")
    for asked, names in (
        ("team_id", {TEAM: "Search", "team-8": None}),
        ("team_id,virtual_key_id", {TEAM: "Search", "team-8": None}),
    ):
        items = api.get(f"{path}/spending", group_by=asked).json()["items"]
        assert {of["team_id"]: of["team_name"] for of in items} == names
        assert all(("virtual_key_name" in of) == ("virtual_key_id" in asked) for of in items)
    [whole] = api.get(f"{path}/spending", group_by="month").json()["items"]
    assert "team_name" not in whole
    budget = {"subject": "team", "subject_id": TEAM, "window": "month", "limit_usd": "5"}
    made = api.post(f"{path}/budgets", budget).raise_for_status().json()
    assert made["subject_name"] == "Search"


def test_a_new_name_is_shown_in_the_spending_of_a_closed_period(api: Client) -> None:
    path = api.new_organization("10")
    call = {"amount_usd": "1", "description": "x", "team_id": TEAM}
    api.post(f"{path}/charges", call, path).raise_for_status()
    put(api, path, "team", TEAM, "Search")
    past = datetime.now(UTC) - timedelta(days=40)
    period = {"from": past.isoformat(), "to": (past + timedelta(days=1)).isoformat()}
    for name in ("Search", "Answers"):
        put(api, path, "team", TEAM, name)
        assert api.get(f"{path}/spending", group_by="team_id", **period).json()["items"] == []
        [item] = api.get(f"{path}/spending", group_by="team_id").json()["items"]
        assert item["team_name"] == name


def test_an_erasure_of_the_organization_deletes_the_names(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        own, other = (steps.new_organization(db, "1") for _ in range(2))
        admin.execute(
            "INSERT INTO billing.labels (organization_id, kind, subject_id, name)"
            " SELECT id, 'virtual_key', 'k', 'Anna' FROM billing.organizations"
        )
        steps.erase(db, own, "somebody")
        assert _named(admin) == {own, other}
        steps.erase(db, own)
        assert _named(admin) == {other}


def _named(admin: Any) -> set[Any]:
    return {row[0] for row in admin.execute("SELECT organization_id FROM billing.labels")}
