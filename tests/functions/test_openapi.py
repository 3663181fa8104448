"""The API does what its OpenAPI document says, whatever it is asked: no crash, no surprise."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from local.template import ROOT
from tests.support.running import EVERYTHING, Client

# Times that each route is asked for something good, beside all that is asked once; `make fuzz` asks
# more often, and for more.
EXAMPLES = int(os.environ.get("FUZZ", "3"))
HERE = Path(__file__).parent


DOCUMENT = json.loads((ROOT / "docs/openapi.json").read_text())


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_refusal_of_a_route_is_one_that_a_reader_is_told_of() -> None:
    page = (ROOT / "docs/integrate.md").read_text()
    refusals = page.partition("## Refusals")[2].partition("##")[0]
    rows = re.findall(r"^\| ([0-9, ]+) \|", refusals, re.M)
    told = {status.strip() for row in rows for status in row.split(",")}
    documented = set()
    for route, operation in operations():
        refused = {one for one in operation["responses"] if one >= "400"}
        assert {"400", "413", "429", "500", "503", "504"} <= refused, route
        assert ({"401", "403"} <= refused) == ("security" in operation), route
        assert "421" in refused or "{organization_id}" not in route, route
        assert "404" in refused or "{" not in route, route
        documented |= refused
    assert documented == told


def test_no_field_of_a_change_has_a_default_that_a_generated_client_would_send() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    changes = []
    for route, operation in operations():
        if route.startswith("PATCH"):
            name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            changes.append(schemas[name.rpartition("/")[2]])
    assert len(changes) == 4
    for change in changes:
        assert not [of for of in change["properties"].values() if "default" in of]


CARD = {"number": "4242424242424242", "name": "Ada", "email": "ada@example.com"}


class Known(NamedTuple):
    """The id of an organization, and those of its holds and payments."""

    organization: str
    holds: list[str]
    payments: list[str]


def with_something_of_everything(api: Client) -> Known:
    """A new organization that has credit, charges, an invoice, a credit note, an endpoint, events,
    a payment that is paid and one that is not."""
    path = api.new_organization("1000000000", low_balance_threshold_usd="999999999")
    began = datetime.now(UTC)
    holds = [
        api.post(f"{path}/holds", {"amount_usd": "500"}, f"{i}").json()["id"] for i in range(50)
    ]
    for i in range(3):
        charge = {"amount_usd": "20", "description": "chat", "model": "gpt-4o", "tokens": 418}
        api.post(f"{path}/charges", charge, f"charge {i}").raise_for_status()
    api.post(f"{path}/webhook-endpoints", {"url": "https://example.com/"}).raise_for_status()
    period = {
        "period_start": (began - timedelta(days=1)).isoformat(),
        "period_end": datetime.now(UTC).isoformat(),
    }
    invoice = api.post(f"{path}/invoices", period).raise_for_status().json()
    assert invoice["line_items"]
    one = f"{path}/invoices/{invoice['id']}"
    api.post(f"{one}/issue").raise_for_status()
    # The credit was bought: its sale is what can be credited.
    [bought] = api.get(f"{path}/transactions", type="topup").json()["items"]
    sale = api.get(f"{path}/topups/{bought['id']}/invoice").raise_for_status().json()
    credit = {"reason": "wrong price", "amount_usd": "1"}
    note = api.post(f"{path}/invoices/{sale['id']}/credit-notes", credit, "credit")
    note.raise_for_status()
    paid, pending = (
        api.post(f"{path}/payments", {"provider": "stripe", "amount_usd": "5"}, key).json()
        for key in ("paid", "pending")
    )
    httpx.post(paid["checkout_url"], data=CARD)
    # Its card is saved, for automatic top-ups.
    assert api.get(f"{path}/payments/{paid['id']}").json()["status"] == "succeeded"
    return Known(path.rpartition("/")[2], holds, [paid["id"], pending["id"]])


def settings(own: Known | None) -> str:
    """schemathesis' own: for whom has an organization, good requests to it; for the platform,
    made-up ids and bad requests too."""
    text = f'hooks = "{HERE / "schemathesis_hooks.py"}"\n'
    if own is not None:
        for name in ("hold", "payment"):
            values = json.dumps(getattr(own, f"{name}s"))
            text += f"dictionaries.{name}s.values = {values}\n"
            text += f'parameters."path.{name}_id" = '
            text += f'{{ dictionary = "{name}s", probability = 0.8 }}\n'
        text += f'parameters."path.organization_id" = "{own.organization}"\n'
        for phase in ("coverage", "fuzzing"):
            text += f'phases.{phase}.generation.mode = "positive"\n'
    return text + (HERE / "schemathesis.toml").read_text()


def read(report: Path) -> tuple[Counter[int], dict[str, set[str]]]:
    """How often each status was answered, and the operations that got good requests and bad ones,
    by "positive" and "negative"."""
    found: Counter[int] = Counter()
    operations: dict[str, set[str]] = {"positive": set(), "negative": set()}
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for id_, asked in recorder.get("interactions", {}).items():
            found[asked["response"]["status_code"]] += 1
            mode = recorder["cases"][id_]["value"]["meta"]["generation"]["mode"]
            operations[mode].add(recorder["label"])
    return found, operations


@pytest.mark.parametrize("who", ["platform", "tenant"])
def test_every_answer_is_as_documented(who: str, api: Client, tmp_path: Path) -> None:
    asking, own = api, None
    if who == "tenant":
        own = with_something_of_everything(api)
        asking = api.other(EVERYTHING.replace("billing:platform ", ""), own.organization)
    (tmp_path / "settings.toml").write_text(settings(own))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", "settings.toml"),
        *("run", f"{api.url}/openapi.json"),
        *("--header", f"Authorization: {asking.http.headers['authorization']}"),
        *("--max-examples", str(EXAMPLES), "--seed", "7", "--workers", "2"),
        *("--continue-on-failure", "--warnings", "off", "--generation-database", "none"),
        *("--no-color", "--report", "ndjson", "--report-ndjson-path", "report.ndjson"),
    ]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WHO": who},
    )
    assert (tmp_path / "report.ndjson").exists(), run.stdout + run.stderr
    answers, asked_of = read(tmp_path / "report.ndjson")
    asked, good = answers.total(), answers[200] + answers[201]
    sys.stdout.write(f"\n{who}: {asked} requests, {good / asked:.0%} of them done: {answers}\n")
    assert run.returncode == 0, run.stdout[-8000:]
    assert asked > 1000
    every = {route for route, _ in operations()}
    assert every <= asked_of["positive"]
    if who == "platform":
        assert every <= asked_of["negative"]
    assert api.get("/health").json()["database"] == "ok"
