"""Functions run as in Lambda: a process each, one event at a time, replaced when it fails."""

import asyncio
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.pool import LARGEST_POOL, FunctionError, Pool
from local.template import Function
from tests.support import asynchronous
from tests.support.running import wait_until

HANDLER = """
import os, sys, time
served = 0

def handler(event, context):
    global served
    served += 1
    match event.get("do"):
        case "sleep":
            time.sleep(event["seconds"])
        case "die":
            os._exit(3)
        case "raise":
            raise RuntimeError("boom")
        case "print":
            print("printed")
        case "unserializable":
            return object()
    return {
        "pid": os.getpid(),
        "served": served,
        "environment": dict(os.environ),
        "left": context.get_remaining_time_in_millis(),
        "request": context.aws_request_id,
    }
"""


@pytest.fixture
def function(tmp_path: Path) -> Function:
    (tmp_path / "app.py").write_text(HANDLER)
    return Function("Test", tmp_path, "app.handler", 60, 512, {"DECLARED": "yes"}, [])


def _with_pool(function: Function, tmp_path: Path, work: Any) -> Any:
    async def run() -> Any:
        pool = Pool(function, tmp_path)
        try:
            return await work(pool)
        finally:
            await pool.close()

    return asynchronous.run(run())


async def _failure(pool: Pool, event: dict[str, Any]) -> str:
    with pytest.raises(FunctionError) as failed:
        await pool.invoke(event, "r")
    return str(failed.value)


def test_a_container_is_used_again_and_knows_only_what_is_declared(
    function: Function, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDECLARED", "secret")

    async def work(pool: Pool) -> Any:
        return [await pool.invoke({}, f"r{i}") for i in range(3)]

    answers = _with_pool(function, tmp_path, work)
    assert [answer["served"] for answer in answers] == [1, 2, 3]
    assert answers[2]["request"] == "r2"
    assert 0 < answers[0]["left"] <= 60_000
    environment = answers[0]["environment"]
    assert environment["DECLARED"] == "yes"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "Test"
    assert "UNDECLARED" not in environment


def test_more_are_started_as_the_load_asks_for_each_serving_one_at_a_time(
    function: Function, tmp_path: Path
) -> None:
    async def work(pool: Pool) -> Any:
        event = {"do": "sleep", "seconds": 0.2}
        return await asyncio.gather(*(pool.invoke(event, "r") for _ in range(3 * LARGEST_POOL)))

    answers = _with_pool(function, tmp_path, work)
    assert len({answer["pid"] for answer in answers}) == LARGEST_POOL


def test_one_that_runs_out_of_time_is_replaced(function: Function, tmp_path: Path) -> None:
    async def work(pool: Pool) -> Any:
        first = await pool.invoke({}, "r")
        pool.function = function._replace(timeout_seconds=1)
        assert "timed out after 1 seconds" in await _failure(pool, {"do": "sleep", "seconds": 60})
        pool.function = function
        return first, await pool.invoke({}, "r")

    first, after = _with_pool(function, tmp_path, work)
    assert first["pid"] != after["pid"]
    assert after["served"] == 1


def test_one_that_crashes_is_replaced(function: Function, tmp_path: Path) -> None:
    async def work(pool: Pool) -> Any:
        assert "process ended" in await _failure(pool, {"do": "die"})
        return await pool.invoke({}, "r")

    assert _with_pool(function, tmp_path, work)["served"] == 1


def test_when_the_process_that_they_are_forked_from_has_died_others_are_started(
    function: Function, tmp_path: Path
) -> None:
    async def work(pool: Pool) -> Any:
        first = await pool.invoke({}, "r")
        parent = psutil.Process(first["pid"]).parent()
        assert parent
        parent.kill()
        # The first one is no longer watched, so another takes its place.
        wait_until(lambda: parent.status() == psutil.STATUS_ZOMBIE)
        return first, await pool.invoke({}, "r")

    first, after = _with_pool(function, tmp_path, work)
    assert after["served"] == 1
    wait_until(lambda: not psutil.pid_exists(first["pid"]))


def test_a_start_that_is_cancelled_ends_nothing_but_itself(
    function: Function, tmp_path: Path
) -> None:
    async def work(pool: Pool) -> Any:
        before = await pool.invoke({}, "r")
        for milliseconds in range(6):
            other = Pool(function, tmp_path)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(milliseconds / 1000):
                    await other.invoke({"do": "sleep", "seconds": 1}, "r")
            await other.close()
        return before, await pool.invoke({}, "r")

    before, after = _with_pool(function, tmp_path, work)
    # It would have been replaced, had the process died that it was forked from.
    assert (after["pid"], after["served"]) == (before["pid"], 2)


def test_they_can_be_told_apart(function: Function, tmp_path: Path) -> None:
    async def work(pool: Pool) -> Any:
        return psutil.Process((await pool.invoke({}, "r"))["pid"]).cmdline()

    assert " ".join(_with_pool(function, tmp_path, work)).split() == [
        "local.worker",
        str(tmp_path),
        "app.handler",
    ]


@pytest.mark.parametrize("do", ["raise", "unserializable"])
def test_an_exception_is_the_requests_and_the_container_stays(
    function: Function, tmp_path: Path, do: str
) -> None:
    async def work(pool: Pool) -> Any:
        assert "Error" in await _failure(pool, {"do": do})
        return await pool.invoke({}, "r")

    assert _with_pool(function, tmp_path, work)["served"] == 2
    assert "Traceback" in (tmp_path / "Test.log").read_text()


def test_what_a_function_prints_goes_to_its_log(function: Function, tmp_path: Path) -> None:
    _with_pool(function, tmp_path, lambda pool: pool.invoke({"do": "print"}, "r"))
    assert "printed" in (tmp_path / "Test.log").read_text()


def test_one_that_cannot_start_says_so(function: Function, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise ImportError('no')")

    async def work(pool: Pool) -> str:
        return await _failure(pool, {})

    assert "process ended" in _with_pool(function, tmp_path, work)
