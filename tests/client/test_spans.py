"""The calls of an application that OpenTelemetry instruments are charged by their spans."""

import os
import subprocess
from uuid import UUID

import httpx
import pytest

from local.template import ROOT
from synaxis_billing_client import Billing
from tests.client.conftest import HERE
from tests.client.test_client import created
from tests.support.running import PATIENCE_SECONDS


@pytest.fixture
def organization(billing: Billing) -> UUID:
    return created(billing)


@pytest.mark.litellm
def test_the_spans_of_opentelemetrys_own_packages_are_charged(
    url: str, upstream: str, billing: Billing, organization: UUID
) -> None:
    scope = {"scope": "billing:platform billing:charge"}
    issued = httpx.post(f"{url}/_local/token", json=scope, timeout=PATIENCE_SECONDS).json()
    done = subprocess.run(
        [str(ROOT / ".venv-litellm/bin/python"), str(HERE / "instrumented.py")],
        env={
            **os.environ,
            "PRODUCT_URL": url,
            "TOKEN": issued["access_token"],
            "ORGANIZATION": str(organization),
            "OPENAI_BASE_URL": f"{upstream}/v1",
            "OPENAI_API_KEY": "sk-up",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    charges = list(billing.list_transactions(organization, type="charge"))
    assert {charge.request_id for charge in charges} == {
        "chatcmpl-stream",
        *(f"chatcmpl-call {number}" for number in range(3)),
    }
    for charge in charges:
        assert (charge.provider, charge.model) == ("openai", "gpt-4o-mini")
        assert charge.usage == {"input": 100, "output": 20}
        assert charge.occurred_at is not None
