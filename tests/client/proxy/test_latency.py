"""How much longer a call takes because it is billed: calls of each kind in random order through one
process of LiteLLM, so that a busy machine is equally busy for all of them."""

import itertools
import json
import os
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from synaxis_billing_client import Billing
from tests.client.proxy.conftest import HERE, Proxy, proxy
from tests.client.test_client import created
from tests.support.running import wait_until

pytestmark = pytest.mark.litellm
WARMING, CALLS = 15, int(os.environ.get("LATENCY_CALLS", "60"))
KINDS = ("none", "bare", "holds", "leases")
_numbers = itertools.count()
MILLISECONDS = 1000


class Switching(NamedTuple):
    """A proxy that does with a call what the team of its key is called."""

    gateway: Proxy
    organization: str
    taken: Path
    gate: Path

    def seconds_of_a_call(self, kind: str) -> float:
        key = f"sk-{self.organization}_{kind}_key1"
        began = time.perf_counter()
        answer = self.gateway.chat(key, id=f"latency-{next(_numbers)}", tokens=[10, 10])
        took = time.perf_counter() - began
        assert answer.status_code == 200, answer.text
        return took

    def measured(self, step: str) -> list[dict[str, Any]]:
        lines = self.taken.read_text().splitlines() if self.taken.exists() else []
        return [record for line in lines if (record := json.loads(line))["step"] == step]


@pytest.fixture(scope="module")
def switching(
    books: Billing, url: str, upstream: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Switching]:
    folder = tmp_path_factory.mktemp("switching")
    configuration = yaml.safe_load((HERE / "config.yaml").read_text())
    configuration["litellm_settings"]["callbacks"] = ["switching.switch"]
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration))
    for module in ("recording.py", "switching.py"):
        (folder / module).write_text((HERE / module).read_text())
    files = {"TAKEN": str(folder / "taken"), "GATE": str(folder / "gate")}
    # Without the line that other tests cut, which takes time of its own.
    files["SYNAXIS_BILLING_URL"] = url
    with proxy(folder, url, upstream, folder / "config.yaml", **files) as gateway:
        organization = str(created(books, "100"))
        yield Switching(gateway, organization, folder / "taken", folder / "gate")


def test_a_call_waits_for_one_request_with_a_hold_and_for_none_with_a_lease(
    switching: Switching,
) -> None:
    seconds: dict[str, list[float]] = defaultdict(list)
    ended = len(switching.measured("after"))
    for _ in range(WARMING + CALLS):
        for kind in random.sample(KINDS, len(KINDS)):
            seconds[kind].append(switching.seconds_of_a_call(kind))
            ended += kind != "none"
            # A call is not slowed by the end of the one before.
            wait_until(lambda due=ended: len(switching.measured("after")) >= due)  # type: ignore[misc]
    steps = {
        (kind, step): [of for of in switching.measured(step) if of["kind"] == kind][WARMING:]
        for kind in KINDS[1:]
        for step in ("before", "after")
    }
    _print(seconds, steps)

    def requests(kind: str, step: str) -> set[tuple[str, ...]]:
        return {tuple(of["requests"]) for of in steps[kind, step]}

    assert requests("holds", "before") == {("POST holds",)}
    assert requests("holds", "after") == {("POST capture",)}
    assert requests("leases", "before") == requests("leases", "after") == {()}
    # The callback works in the event loop of all calls, so its time is taken from all of them.
    own = {kind: _median(steps[kind, "before"], "own_seconds") for kind in KINDS[1:]}
    assert own["leases"] < own["bare"]
    assert own["holds"] < 3 * own["bare"]


@pytest.mark.parametrize("kind", ["holds", "leases"])
def test_a_caller_does_not_wait_for_the_charge(switching: Switching, kind: str) -> None:
    charged = len(switching.measured("after"))
    switching.gate.touch()
    try:
        switching.seconds_of_a_call(kind)
        assert len(switching.measured("after")) == charged
    finally:
        switching.gate.unlink()
    wait_until(lambda: len(switching.measured("after")) > charged)


def _median(steps: list[dict[str, Any]], name: str) -> float:
    return statistics.median(float(step[name]) for step in steps)


def _print(
    seconds: dict[str, list[float]], steps: dict[tuple[str, str], list[dict[str, Any]]]
) -> None:
    told = [f"\nload {os.getloadavg()[0]:.0f}; milliseconds, medians of {CALLS} calls"]
    told.append("kind     call  added   waits  own CPU   own CPU after it")
    for kind in KINDS:
        whole = statistics.median(seconds[kind][WARMING:])
        pairs = zip(seconds[kind][WARMING:], seconds["none"][WARMING:], strict=True)
        figures = [whole, statistics.median(one - other for one, other in pairs)]
        if kind != "none":
            before, after = steps[kind, "before"], steps[kind, "after"]
            figures += [_median(before, "seconds"), _median(before, "own_seconds")]
            figures += [_median(after, "own_seconds")]
        told.append(f"{kind:7}" + "".join(f"{figure * MILLISECONDS:8.2f}" for figure in figures))
    print("\n".join(told), file=sys.stderr)  # noqa: T201
