"""A callback that does with each call what the team of its key is called, and writes what it took:
so one process of LiteLLM makes calls of all kinds by turns.

`holds` and `leases` bill the call, `bare` sends the request of a hold and does nothing else, `none`
does nothing.
"""

import asyncio
import json
import os
import time
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, override

import httpx
from litellm.integrations.custom_logger import CustomLogger

from synaxis_billing_client import credentials, new_key
from synaxis_billing_client.litellm import Billing, Settings

POLL_SECONDS = 0.02


class Taken:
    """A coroutine of the callback: the seconds that it took, those of the processor that were its
    own, and the requests that it sent to the product."""

    current: ContextVar["Taken | None"] = ContextVar("current", default=None)

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = work.__await__()
        self.seconds = self.own_seconds = 0.0
        self.requests: list[str] = []

    def __await__(self) -> Generator[Any, Any, None]:
        began = time.perf_counter()
        step: Any = self._work.send
        given: Any = None
        self.current.set(self)
        try:
            while True:
                stepped = time.thread_time()
                try:
                    asked = step(given)
                except StopIteration:
                    return
                finally:
                    self.own_seconds += time.thread_time() - stepped
                try:
                    given, step = (yield asked), self._work.send
                except BaseException as error:  # noqa: BLE001
                    given, step = error, self._work.throw
        finally:
            self.seconds = time.perf_counter() - began

    @classmethod
    async def note(cls, request: httpx.Request) -> None:
        if (taken := cls.current.get()) is not None:
            taken.requests.append(f"{request.method} {request.url.path.rpartition('/')[2]}")


class Bare(CustomLogger):
    """The request of a hold as httpx sends it: the least that any hold before a call takes."""

    def __init__(self, url: str) -> None:
        super().__init__()
        auth = credentials(url, None, "gateway", "local")
        self.http = httpx.AsyncClient(base_url=url, auth=auth, timeout=None)

    @override
    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> None:
        body = {
            "request_id": new_key(),
            "description": "LLM call",
            "provider": "openai",
            "model": data["model"],
            "usage": {"format": "buckets", "input": 60, "output": 200},
        }
        answer = await self.http.post(
            f"/v1/organizations/{user_api_key_dict.org_id}/holds",
            content=json.dumps(body).encode(),
            headers={"content-type": "application/json", "idempotency-key": new_key()},
        )
        answer.raise_for_status()


class Switch(CustomLogger):
    """All kinds of callbacks."""

    def __init__(self) -> None:
        super().__init__()
        settings = Settings.read(os.environ)
        self._kinds: dict[str, CustomLogger] = {
            "holds": Billing(settings._replace(journal=f"{settings.journal}-holds")),
            "leases": Billing(
                settings._replace(journal=f"{settings.journal}-leases", lease_usd="1")
            ),
            "bare": Bare(settings.url),
        }
        self._counted: set[str] = set()

    @override
    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> None:
        kind = user_api_key_dict.team_id
        if kind in self._kinds:
            self._count_requests(kind)
            work = self._kinds[kind].async_pre_call_hook(user_api_key_dict, cache, data, call_type)
            await self._measure(kind, "before", work)

    @override
    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        kind = kwargs["standard_logging_object"]["metadata"]["user_api_key_team_id"]
        while Path(os.environ["GATE"]).exists():
            await asyncio.sleep(POLL_SECONDS)
        if kind in self._kinds:
            log = self._kinds[kind].async_log_success_event
            await self._measure(kind, "after", log(kwargs, response_obj, start_time, end_time))

    def _count_requests(self, kind: str) -> None:
        if kind not in self._counted:
            self._counted.add(kind)
            callback = self._kinds[kind]
            http = callback.http if isinstance(callback, Bare) else callback.gateway._billing._http
            http.event_hooks["request"].append(Taken.note)

    async def _measure(self, kind: str, step: str, work: Coroutine[Any, Any, None]) -> None:
        taken = Taken(work)
        await taken
        record = {
            "kind": kind,
            "step": step,
            "seconds": taken.seconds,
            "own_seconds": taken.own_seconds,
            "requests": taken.requests,
        }
        with open(os.environ["TAKEN"], "a") as file:  # noqa: PTH123
            file.write(json.dumps(record) + "\n")


switch = Switch()
