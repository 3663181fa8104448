"""REGIONS=2: two APIs, each with a Redis of its own, and what one changes the other forgets, also
after each of their processes has died."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.running import Client, kill, start, stop, wait_until, wait_until_ready

CHARGE = {"amount_usd": "1", "description": "chat"}


class Run(NamedTuple):
    """A run whose output goes to a file, and clients of its regions."""

    process: "subprocess.Popen[str]"
    here: Client
    there: Client
    terminal: Path


@pytest.fixture(scope="module")
def run(new_home: Callable[[], Path]) -> Iterator[Run]:
    home = new_home()
    terminal = home / "terminal"
    with terminal.open("w") as output:
        process = start(home, output, REGIONS="2")
    url = wait_until_ready(process, home)
    urls = json.loads((home / "run.json").read_text())["urls"]
    assert urls[0] == url
    with contextlib.ExitStack() as stack:
        here, there = (stack.enter_context(contextlib.closing(Client(one))) for one in urls)
        yield Run(process, here, there, terminal)
    stop(process)
    assert process.returncode == 0
    assert "Traceback" not in terminal.read_text()


def test_a_change_in_one_region_is_seen_in_the_other(run: Run) -> None:
    here, there = run.here, run.there
    path = here.new_organization()
    for number, (changes, sees) in enumerate([(here, there), (there, here)]):
        # Cached in both regions, in a container's memory and in Redis.
        assert changes.get(path).json()["name"] == sees.get(path).json()["name"]
        name = f"Acme {number}"
        assert changes.http.patch(path, json={"name": name}).status_code == 200
        assert changes.get(path).json()["name"] == name
        wait_until(lambda: sees.get(path).json()["name"] == name)  # noqa: B023
    statistics = [one.get("/v1/cache/statistics").json() for one in (here, there)]
    assert [one["region"] for one in statistics] == ["local", "local-2"]
    everywhere = {"organization_id": path.rpartition("/")[2], "global": True}
    answer = here.post("/v1/cache/invalidate", everywhere)
    assert answer.json()["scope"] == "global"


def _charge(client: Client, organization: str, key: str) -> int:
    """Charge until the answer is no 5xx, as the guide says, and return its status."""
    last = 0

    def answered() -> bool:
        nonlocal last
        last = client.post(f"{organization}/charges", CHARGE, key).status_code
        return last < 500

    wait_until(answered)
    return last


def test_each_process_that_dies_is_started_again(run: Run) -> None:
    here, there = run.here, run.there
    organization = here.new_organization("10")

    def is_seen(name: str) -> bool:
        # What was not sent while its bus was down is sent within a minute.
        here.post("/_local/invoke/CacheSweepFunction", {})
        return bool(there.get(organization).json()["name"] == name)

    names = ("bin/postgres", "valkey-server", "local.kafka", "local.worker")
    for number, name in enumerate(names, 1):
        kill(run.process, name)
        assert _charge(here, organization, name) == 201
        assert here.get(f"{organization}/balance").json()["balance_usd"] == f"{10 - number}.00"
        # The cache and the bus work again, too.
        wait_until(lambda: here.get("/health").json()["cache"] == "ok")
        assert there.get(organization).status_code == 200
        assert here.http.patch(organization, json={"name": name}).status_code == 200
        wait_until(lambda: is_seen(name))  # noqa: B023
    for name in names:
        replayed = here.post(f"{organization}/charges", CHARGE, name)
        assert replayed.headers["idempotency-replayed"] == "true"
    said = run.terminal.read_text()
    for name, times in (("PostgreSQL", 1), ("Valkey", 2), ("Kafka", 1)):
        assert said.count(f"{name} ended (SIGKILL); it is started again.") == times, said


@pytest.mark.parametrize("regions", ["0", "10", "two"])
def test_what_is_no_number_of_regions_is_one_sentence(
    regions: str, refusal: Callable[..., str]
) -> None:
    sentence = refusal(REGIONS=regions)
    assert sentence == f"REGIONS must be a number from 1 to 9, and is {regions!r}."
