"""The template, the functions and their routes say the same."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from local.template import ROOT, Function, read
from synaxis_billing.edge.settings import Settings

TEMPLATE = read({}, environment={"DATABASE_URL": "postgresql://x", "REDIS_URL": "redis://y"})
WITH_ROUTES = [function for function in TEMPLATE.functions.values() if function.routes]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "test")


@pytest.mark.parametrize("function", WITH_ROUTES, ids=lambda function: function.name)
def test_a_function_serves_the_routes_that_the_template_sends_it(function: Function) -> None:
    api = function.load().api
    assert set(api.routes) == {route.key for route in function.routes}
    for route in function.routes:
        assert route.open == (api.routes[route.key].scope is None)


def test_every_folder_of_functions_is_declared() -> None:
    assert {function.folder for function in TEMPLATE.functions.values()} == {
        path.parent for path in (ROOT / "functions").glob("*/*.py")
    }


# What asks the internet, or needs no data.
OUTSIDE = {"FxFetchFunction", "WebhookSendFunction", "PaymentCallsFunction"}
OUTSIDE |= {"ApiDocsFunction", "TokensFunction"}


def test_only_health_the_reference_links_and_signed_webhooks_are_open() -> None:
    assert [route.key for function in WITH_ROUTES for route in function.routes if route.open] == [
        *("GET /health", "GET /v1/documents/{token}", "POST /v1/tokens"),
        *("GET /openapi.json", "GET /docs", "GET /docs/{file}"),
        *("GET /v1/payment-links/{token}", "POST /v1/payment-links/{token}"),
        "POST /v1/payment-events/{provider}",
    ]


def test_the_environment_is_declared_and_used() -> None:
    for name, function in TEMPLATE.functions.items():
        # What asks the internet, or needs no data, has no way to it.
        asks = name in OUTSIDE
        assert function.environment["DATABASE_URL"] == ("" if asks else "postgresql://x")
        assert function.environment["REDIS_URL"] == ("" if asks else "redis://y")
    used = {name.upper() for name in Settings.model_fields}
    declared = set.union(*(set(of.environment) for of in TEMPLATE.functions.values()))
    # What Lambda itself sets needs no declaration.
    assert used - {"AWS_REGION", "AWS_LAMBDA_INITIALIZATION_TYPE"} <= declared
    assert declared - used == {"CONFIG_REVISION", "MIGRATION"} | {
        name for name in declared if name.startswith("POWERTOOLS_")
    }


def test_the_inner_time_limit_ends_first() -> None:
    statement = re.search(
        r"statement_timeout=(\d+)s",
        (ROOT / "shared/synaxis_billing/schema/privileges.sql").read_text(),
    )
    assert statement
    for function in WITH_ROUTES:
        assert int(statement[1]) < function.timeout_seconds < 30


def test_the_layer_ships_what_the_project_depends_on_and_nothing_of_aws() -> None:
    pinned = set(re.findall(r"^([\w-]+)==", _layer().read_text(), re.M))
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {re.split(r"[\[>=<]", of)[0] for of in declared} <= pinned
    assert not pinned & {"boto3", "botocore", "aws-xray-sdk", "pytest"}


@pytest.mark.parametrize("layer", ["dependencies", "documents"])
def test_the_layers_pins_are_those_that_the_tests_ran_with(layer: str) -> None:
    pins = re.compile(r"^[\w-]+==\S+", re.M)
    tested = set(pins.findall((ROOT / "requirements/dev.txt").read_text()))
    only_elsewhere = {"tzdata"}
    assert {
        pin
        for pin in pins.findall(_layer(layer).read_text())
        if pin.split("==")[0] not in only_elsewhere
    } <= tested


@pytest.mark.parametrize(
    "lock",
    [
        "requirements/dev.txt",
        "requirements/sam.txt",
        "layers/dependencies/requirements.txt",
        "layers/documents/requirements.txt",
    ],
)
def test_a_lock_names_hashes_and_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert text.count("==") <= text.count("--hash=")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "events").glob("*.json")), ids=lambda path: path.stem
)
def test_an_event_is_of_a_route_or_a_trigger_of_the_template(path: Path) -> None:
    event = json.loads(path.read_text())
    keys = {route.key for function in WITH_ROUTES for route in function.routes}
    queues = [record["eventSource"] for record in event.get("Records", [])]
    assert (
        event.get("routeKey") in keys
        or event.get("source") == "aws.scheduler"
        or event.get("eventSource") == "SelfManagedKafka"
        or event.get("triggerSource") == "TokenGeneration_ClientCredentials"
        or set(event) <= {"time"}
        # Invoked by functions that cannot reach the internet.
        or "operation" in event
        or queues
    )


def _layer(name: str = "dependencies") -> Path:
    return ROOT / "layers" / name / "requirements.txt"
