"""How much longer a call takes because it is billed: the difference to a proxy that bills nobody,
in one run of all of them, call by call in random order."""

import itertools
import os
import random
import statistics
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest
import yaml

from synaxis_billing_client import Billing
from tests.client.proxy.conftest import HERE, Proxy, proxy
from tests.client.test_client import created

pytestmark = pytest.mark.litellm
WARMING, CALLS = 15, int(os.environ.get("LATENCY_CALLS", "60"))
_numbers = itertools.count()
BILLING = "synaxis_billing_client.litellm.billing"


def unbilled(folder: Path) -> Path:
    """The configuration of the proxies, without the line that bills."""
    configuration = yaml.safe_load((HERE / "config.yaml").read_text())
    configuration["litellm_settings"]["callbacks"].remove(BILLING)
    (folder / "recording.py").write_text((HERE / "recording.py").read_text())
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(configuration))
    return path


def seconds_of_a_call(gateway: Proxy, organization: UUID) -> float:
    began = time.perf_counter()
    answer = gateway.chat(
        f"sk-{organization}_red_key1", id=f"latency-{next(_numbers)}", tokens=[10, 10]
    )
    took = time.perf_counter() - began
    assert answer.status_code == 200, answer.text
    return took


def test_a_billed_call_takes_a_round_trip_more_and_with_a_lease_less_than_that(
    proxies: dict[str, Proxy], books: Billing, url: str, upstream: str, tmp_path: Path
) -> None:
    organization = created(books, "100")
    with proxy(tmp_path, url, upstream, unbilled(tmp_path)) as plain:
        kinds = {"plain": plain, **proxies}
        taken: dict[str, list[float]] = {kind: [] for kind in kinds}
        for number in range(WARMING + CALLS):
            for kind in random.sample(list(kinds), len(kinds)):
                took = seconds_of_a_call(kinds[kind], organization)
                if number >= WARMING:
                    taken[kind].append(took)
    added = {
        kind: statistics.median(
            one - other for one, other in zip(taken[kind], taken["plain"], strict=True)
        )
        for kind in proxies
    }
    for kind, seconds in added.items():
        print(f"a call with {kind} takes {seconds * 1000:.1f} ms more", file=sys.stderr)  # noqa: T201
    print(f"of {statistics.median(taken['plain']) * 1000:.0f} ms", file=sys.stderr)  # noqa: T201
    assert added["leases"] < added["holds"]
