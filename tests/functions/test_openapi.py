"""The API does what its OpenAPI document says, whatever it is asked: no crash, no surprise."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.template import ROOT
from tests.running import EVERYTHING, Client

# Times that each route is asked in each way; `make fuzz` asks more often.
EXAMPLES = int(os.environ.get("FUZZ", "3"))
# Rules that a schema cannot hold refuse what it allows (an empty period, a reused key), and API
# Gateway answers 404 for a method that a path has not.
LEFT_OUT = "positive_data_acceptance,unsupported_method"


def operations(api: Client) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in api.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_refusal_of_a_route_is_one_that_a_reader_is_told_of(api: Client) -> None:
    page = (ROOT / "docs/integrate.md").read_text()
    refusals = page.partition("## Refusals")[2].partition("##")[0]
    rows = re.findall(r"^\| ([0-9, ]+) \|", refusals, re.M)
    told = {status.strip() for row in rows for status in row.split(",")}
    documented = set()
    for route, operation in operations(api):
        statuses = {one for one in operation["responses"] if one >= "400"}
        assert {"400", "413", "503"} <= statuses, route
        assert ({"401", "403"} <= statuses) == ("security" in operation), route
        assert not re.search("{organization_id}", route) or {"404", "421"} <= statuses, route
        for status in statuses:
            content = operation["responses"][status]["content"]["application/problem+json"]
            assert content["schema"]["$ref"] == "#/components/schemas/Problem"
        documented |= statuses
    assert documented == told


def test_no_field_of_a_change_has_a_default_that_a_generated_client_would_send(
    api: Client,
) -> None:
    schemas = api.get("/openapi.json").json()["components"]["schemas"]
    changes = []
    for route, operation in operations(api):
        if route.startswith("PATCH"):
            name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            changes.append(schemas[name.rpartition("/")[2]])
    assert len(changes) == 2
    for change in changes:
        assert not [of for of in change["properties"].values() if "default" in of]


@pytest.mark.parametrize("who", ["platform", "tenant"])
def test_every_answer_is_as_documented(who: str, api: Client, tmp_path: Path) -> None:
    asking = api
    if who == "tenant":
        own = api.new_organization("1000", low_balance_threshold_usd="10").rpartition("/")[2]
        asking = api.other(EVERYTHING.replace("billing:platform ", ""), own)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/openapi.json"),
        *("--header", f"Authorization: {asking.http.headers['authorization']}"),
        *("--max-examples", str(EXAMPLES), "--seed", "7", "--workers", "2"),
        *("--exclude-checks", LEFT_OUT, "--continue-on-failure", "--warnings", "off"),
        *("--generation-database", "none", "--no-color"),
    ]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    asked = re.search(r"(\d+) generated", run.stdout)
    assert asked, run.stdout + run.stderr
    sys.stdout.write(f"\n{who}: {asked[1]} requests\n")
    assert run.returncode == 0, run.stdout[-8000:]
    assert int(asked[1]) > 1000
    assert api.get("/health").json()["database"] == "ok"
