"""A gateway may be killed at any line: the next one charges once each call that it had begun to
charge, and no other."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from local.template import ROOT
from synaxis_billing_client import Billing
from synaxis_billing_client.gateway import Gateway
from tests.client.test_client import created
from tests.client.test_gateway import CHARGED, Switched, within
from tests.support.running import EVERYTHING, PATIENCE_SECONDS

__all__ = ["within"]
# A process that is never killed, which tells how many lines there are.
NEVER = 0
# How many of its lines are tried.
LINES = int(os.environ.get("KILLED_LINES", "12"))


def bill(url: str, organization: UUID, folder: Path, lease_usd: str, lines: list[int]) -> list[int]:
    """Have processes killed before these lines; return the numbers of lines of the others."""
    issued = httpx.post(f"{url}/_local/token", json={"scope": EVERYTHING}, timeout=PATIENCE_SECONDS)
    told = [url, issued.json()["access_token"], str(organization), str(folder), lease_usd]
    done = subprocess.run(
        [sys.executable, "-m", "tests.client.killed", *told, *map(str, lines)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"shared:.:{ROOT / 'clients/python/src'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


@pytest.mark.parametrize("lease_usd", ["", "1"], ids=["holds", "leases"])
def test_a_call_is_charged_once_though_its_gateway_was_killed(
    url: str,
    billing: Billing,
    tmp_path: Path,
    lease_usd: str,
    within: Callable[..., Any],
) -> None:
    organization = created(billing, "100")
    [total] = bill(url, organization, tmp_path, lease_usd, [NEVER])
    step = max(total // LINES, 1)
    bill(url, organization, tmp_path, lease_usd, list(range(step // 2 + 1, total, step)))
    surely: set[str] = set()
    perhaps: set[str] = set()
    for said in tmp_path.glob("*/said"):
        for line in said.read_text().splitlines():
            what, _, call_id = line.partition(" ")
            (surely if what == "charged" else perhaps).add(call_id)

    # One gateway after the other takes over what they left.
    async def take_over(gateway: Gateway, _: Switched) -> None:
        for owed in gateway._journal.owed():
            await gateway._settle(owed)

    for journal in tmp_path.glob("*/journal"):
        within(take_over, journal=journal)
        assert list(journal.iterdir()) == []
    charges = list(billing.list_transactions(organization, type="charge"))
    ids = [charge.request_id for charge in charges]
    assert len(ids) == len(set(ids))
    assert surely <= set(ids) <= surely | perhaps
    assert {-charge.amount_usd for charge in charges} == {CHARGED}
    assert billing.get_balance(organization).balance_usd == 100 - len(charges) * CHARGED
