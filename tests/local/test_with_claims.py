"""In containers of `sam local start-api` a token counts if the running product issued it."""

import importlib
import json
import sys
from typing import Any

import pytest

from local.gateway import CLAIMS
from local.template import ROOT
from synaxis_billing.edge import database as connections
from tests.conftest import Database
from tests.support.events import CONTEXT
from tests.support.running import Client


def test_a_token_is_checked_by_its_issuer_and_its_claims_reach_the_function(
    api: Client, product: tuple[str, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, database = product
    monkeypatch.setenv("CLAIMS_URL", url + CLAIMS)
    monkeypatch.setenv("DATABASE_URL", database.app_url)
    monkeypatch.syspath_prepend(ROOT / "functions" / "account")
    monkeypatch.delitem(sys.modules, "app", raising=False)
    module = importlib.reload(importlib.import_module("local.with_claims"))
    connections.discard()
    path = api.new_organization()
    token = api.http.headers["authorization"]

    def status(**headers: str) -> int:
        event: dict[str, Any] = json.loads((ROOT / "events" / "get_organization.json").read_text())
        event["rawPath"] = event["requestContext"]["http"]["path"] = path
        event["pathParameters"] = {"organization_id": path.rpartition("/")[2]}
        del event["requestContext"]["authorizer"]
        event["headers"] = {"Accept": "application/json", **headers}
        return int(module.handler(event, CONTEXT)["statusCode"])

    assert status(Authorization=token) == 200
    assert status(Authorization=token[:-4] + "AAAA") == 401
    assert status(Authorization="Bearer Jürgen") == 401
    assert status() == 401
    connections.discard()
