"""The example with a plain HTTP client runs, and its calls are charged."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from local.template import ROOT
from synaxis_billing_client import Billing
from tests.client.test_client import created
from tests.client.test_holds import Ledger

EXAMPLES = ROOT / "clients/python/examples"


@pytest.fixture
def organization(billing: Billing) -> UUID:
    return created(billing)


def run(python: Path | str, name: str, **environment: str) -> None:
    """Run an example; what it prints is for a reader."""
    done = subprocess.run(
        [str(python), str(EXAMPLES / name)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "clients/python/src"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_plain_client_is_billed(
    url: str, upstream: str, billing: Billing, organization: UUID
) -> None:
    run(
        sys.executable,
        "plain_httpx.py",
        SYNAXIS_BILLING_URL=url,
        ORGANIZATION=str(organization),
        PROVIDER_URL=f"{upstream}/v1",
    )
    ledger = Ledger(billing, organization)
    assert (len(ledger.charges), ledger.held_usd) == (11, "0.00")


@pytest.mark.litellm
@pytest.mark.parametrize("name", ["openai_sdk.py", "anthropic_sdk.py"])
def test_the_sdk_of_a_provider_is_billed(
    url: str, upstream: str, billing: Billing, organization: UUID, name: str
) -> None:
    run(
        ROOT / ".venv-litellm/bin/python",
        name,
        SYNAXIS_BILLING_URL=url,
        ORGANIZATION=str(organization),
        OPENAI_BASE_URL=f"{upstream}/v1",
        OPENAI_API_KEY="sk-up",
        ANTHROPIC_BASE_URL=upstream,
        ANTHROPIC_API_KEY="sk-up",
    )
    ledger = Ledger(billing, organization)
    assert [charge.tokens for charge in ledger.charges] == [120, 120]
    assert ledger.held_usd == "0.00"
