"""REGIONS=2: two APIs, each with a Redis of its own, and what one changes the other forgets."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.running import Client, running, wait_until


def test_a_change_in_one_region_is_seen_in_the_other(home: Path) -> None:
    with running(home, REGIONS="2") as url, contextlib.ExitStack() as stack:
        urls = json.loads((home / "run.json").read_text())["urls"]
        assert urls[0] == url
        here, there = (stack.enter_context(contextlib.closing(Client(one))) for one in urls)
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


@pytest.mark.parametrize("regions", ["0", "10", "two"])
def test_what_is_no_number_of_regions_is_one_sentence(
    regions: str, refusal: Callable[..., str]
) -> None:
    sentence = refusal(REGIONS=regions)
    assert sentence == f"REGIONS must be a number from 1 to 9, and is {regions!r}."
