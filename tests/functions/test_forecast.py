"""The forecast through its function and its route."""

import json

from tests.conftest import Database
from tests.support import steps
from tests.support.events import FUNCTIONS, Invoke, event
from tests.support.running import Client


def test_the_route_forecasts_1_to_90_days(api: Client) -> None:
    path = api.new_organization("10", timezone="Europe/Berlin")
    api.post(f"{path}/charges", {"amount_usd": "1", "description": "chat"}, "k").raise_for_status()
    tenant = api.other("billing:read", path.rpartition("/")[2])
    for days in (1, 90):
        found = tenant.get(f"{path}/forecast", days=days)
        assert found.status_code == 200
        assert len(found.json()["daily"]) == days
    found = tenant.get(f"{path}/forecast").json()
    assert len(found["daily"]) == 30
    assert found["confidence"] == "low"
    assert found["record"] == {"days": 0, "mase": None, "coverage": None}
    for bad in ("0", "91", "-1", "1.5", "many", ""):
        refused = tenant.get(f"{path}/forecast", days=bad)
        assert refused.status_code == 400, bad
        assert refused.json()["errors"][0]["pointer"] == "/days"
    assert tenant.get(f"{api.new_organization()}/forecast").status_code == 404
    assert (
        api.other("billing:charge", path.rpartition("/")[2]).get(f"{path}/forecast").status_code
        == 403
    )


def test_the_function_forecasts_and_the_route_shows_it(invoke: Invoke, database: Database) -> None:
    with database.connect() as db:
        organization = steps.new_organization(db, "40")
        steps.charge(db, organization, "1")
    assert invoke("ForecastFunction", event("forecast")) == {"made": 1}
    asked = event("get_forecast")
    shown = asked["pathParameters"]["organization_id"]
    asked = json.loads(json.dumps(asked).replace(shown, str(organization)))
    answered = invoke(FUNCTIONS[asked["routeKey"]], asked)
    assert answered["statusCode"] == 200
    assert json.loads(answered["body"])["confidence"] == "low"
