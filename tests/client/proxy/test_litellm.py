"""A LiteLLM proxy with one line of configuration charges each call that it delivered once, for what
the provider counted; and no other."""

import contextlib
import itertools
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest

from synaxis_billing_client import Billing, models
from tests.client.proxy.conftest import Proxy, chat
from tests.client.test_client import created
from tests.support.running import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.litellm
# How many calls of every kind a proxy gets.
CALLS = {"holds": 400, "leases": 110}
_numbers = itertools.count(1)


@pytest.fixture
def organization(books: Billing) -> UUID:
    return created(books, "100")


@pytest.fixture
def key(organization: UUID) -> str:
    return f"sk-{organization}_red_key1"


def charges(books: Billing, organization: UUID) -> list[models.Transaction]:
    return list(books.list_transactions(organization, type="charge"))


def wait_for_charges(books: Billing, organization: UUID, count: int) -> list[models.Transaction]:
    wait_until(lambda: len(charges(books, organization)) >= count)
    return charges(books, organization)


def new_id() -> str:
    return f"call-{next(_numbers)}"


def test_a_call_is_charged_with_its_key_team_user_model_and_usage(
    gateway: Proxy, books: Billing, organization: UUID, key: str
) -> None:
    body = {**chat("fast", id=new_id(), tokens=[1000, 50], cached=400), "user": "u7"}
    answer = gateway.post("/v1/chat/completions", body, key)
    assert answer.status_code == 200
    [charge] = wait_for_charges(books, organization, 1)
    assert (charge.team_id, charge.virtual_key_id, charge.end_user) == ("red", "key1", "u7")
    assert (charge.provider, charge.model) == ("openai", "gpt-4o-mini")
    assert charge.usage == {"input": 600, "cache_read": 400, "output": 50}
    assert charge.metadata is not None
    assert charge.metadata["litellm_call_id"] == answer.headers["x-litellm-call-id"]


def test_a_call_without_credit_is_refused_by_litellms_own_error(
    gateway: Proxy, books: Billing
) -> None:
    poor = created(books, "0")
    refused = gateway.chat(f"sk-{poor}_red_key1", id=new_id())
    assert refused.status_code == 402
    error = refused.json()["error"]
    assert error["type"] == "insufficient_credits"
    assert "credit" in error["message"]
    assert gateway.chat(f"sk-{poor}_red_key1", id=new_id(), stream=True).status_code == 402


def test_the_anthropic_route_is_refused_too(gateway: Proxy, books: Billing) -> None:
    poor = created(books, "0")
    body = chat("claude-haiku-4-5", id=new_id())
    assert gateway.post("/v1/messages", body, f"sk-{poor}_red_key1").status_code == 402


def test_a_model_without_a_price_is_refused_with_the_way_out(gateway: Proxy, key: str) -> None:
    refused = gateway.chat(key, "unpriced", id=new_id())
    assert refused.status_code == 422
    assert "add one by POST /v1/prices" in refused.json()["error"]["message"]


def test_a_key_of_nobody_is_refused(gateway: Proxy) -> None:
    nobody = gateway.chat("sk-__key1", id=new_id())
    assert nobody.status_code == 403
    assert "SYNAXIS_BILLING_ORGANIZATION" in nobody.json()["error"]["message"]
    unknown = gateway.chat("sk-nosuch__key1", id=new_id())
    assert unknown.status_code == 404


def test_an_organization_is_found_by_its_external_id_or_by_a_team_of_that_name(
    gateway: Proxy, books: Billing, organization: UUID
) -> None:
    name = f"customer-{organization}"[:40].replace("_", "-")
    books.update_organization(organization, external_id=name)
    assert gateway.chat(f"sk-{name}_red_key1", id=new_id()).status_code == 200
    assert gateway.chat(f"sk-_{name}_key1", id=new_id()).status_code == 200
    assert {charge.team_id for charge in wait_for_charges(books, organization, 2)} == {"red", name}


def test_a_client_cannot_make_calls_that_count_as_one(
    gateway: Proxy, books: Billing, organization: UUID, key: str
) -> None:
    """The ids that a client may choose are not those by which a call is charged once."""
    for _ in range(3):
        forged = {"metadata": {"synaxis_billing_call_id": "mine"}}
        body = {**chat("gpt-4o-mini", id=new_id()), **forged}
        answer = gateway.post("/v1/chat/completions", body, key, **{"x-litellm-call-id": "mine"})
        assert answer.status_code == 200
    assert len(wait_for_charges(books, organization, 3)) == 3


def test_a_batch_is_charged_once_however_often_it_is_looked_at(
    holding: Proxy, books: Billing, organization: UUID, key: str
) -> None:
    batch = {"input_file_id": "file-in", "endpoint": "/v1/chat/completions"}
    made = holding.post("/v1/batches", {**batch, "completion_window": "24h"}, key).json()
    for _ in range(3):
        looked = holding.get(f"/v1/batches/{made['id']}", key)
        assert looked.json()["status"] == "completed"
    wait_for_charges(books, organization, 1)
    # A call that comes after them is charged after them.
    holding.chat(key, id=new_id())
    charged = wait_for_charges(books, organization, 2)
    assert [charge.tokens for charge in charged] == [120, 2200]
    assert charged[1].service_tier == "batch"


class Made:
    """Kinds of calls, each by a function that makes one and tells whether it was delivered."""

    def __init__(self, gateway: Proxy, key: str) -> None:
        self._gateway, self._key = gateway, key
        self._random = random.Random(7)
        self.delivered: list[str] = []

    def tokens(self) -> list[int]:
        return [self._random.randint(400, 3000), self._random.randint(1, 150)]

    def post(self, path: str, body: dict[str, Any], call_id: str) -> None:
        answer = self._gateway.post(path, body, self._key)
        if answer.status_code == 200 and 'data: {"error"' not in answer.text:
            self.delivered.append(call_id)

    def chat(self, model: str = "gpt-4o-mini", **told: Any) -> None:
        call_id = new_id()
        stream = told.pop("stream", False)
        body = chat(model, stream=stream, id=call_id, tokens=self.tokens(), **told)
        self.post("/v1/chat/completions", body, call_id)

    def messages(self, *, stream: bool, model: str = "claude-haiku-4-5") -> None:
        call_id = new_id()
        told = {"cached": 300, "written": 200, "long": 50}
        body = chat(model, stream=stream, id=call_id, tokens=self.tokens(), **told)
        self.post("/v1/messages", body, call_id)

    def responses(self, *, stream: bool) -> None:
        call_id = new_id()
        told = chat("", id=call_id, tokens=self.tokens())["messages"][0]["content"]
        body = {"model": "gpt-4o-mini", "input": told, "stream": stream}
        self.post("/v1/responses", body, call_id)

    def embedding(self) -> None:
        call_id = new_id()
        told = chat("", id=call_id, tokens=self.tokens())["messages"][0]["content"]
        self.post("/v1/embeddings", {"model": "text-embedding-3-small", "input": told}, call_id)

    def cached(self) -> None:
        """The same request twice; LiteLLM's cache answers the second."""
        call_id = new_id()
        body = {**chat("gpt-4o-mini", id=call_id), "cache": {"use-cache": True}}
        for number in range(2):
            self.post("/v1/chat/completions", body, f"{call_id} {number}")

    def cancelled(self) -> None:
        """A client that leaves after three chunks."""
        call_id = new_id()
        body = chat("gpt-4o-mini", stream=True, id=call_id, chunks=40, pause=0.02)
        headers = {"authorization": f"Bearer {self._key}"}
        url = f"{self._gateway.url}/v1/chat/completions"
        with httpx.stream(
            "POST", url, json=body, headers=headers, timeout=PATIENCE_SECONDS
        ) as answer:
            lines = (line for line in answer.iter_lines() if line)
            for _ in itertools.islice(lines, 3):
                pass
        self.delivered.append(call_id)

    def batch(self) -> None:
        """A batch of two calls, which is charged when it is looked at."""
        batch = {"input_file_id": "file-in", "endpoint": "/v1/chat/completions"}
        body = {**batch, "completion_window": "24h"}
        made = self._gateway.post("/v1/batches", body, self._key).json()["id"]
        looked = self._gateway.get(f"/v1/batches/{made}", self._key)
        assert looked.json()["status"] == "completed"
        self.delivered.append(made)

    def kinds(self) -> Iterator[Callable[[], None]]:
        yield self.chat
        yield lambda: self.chat(stream=True, cached=10)
        yield lambda: self.chat(reasoning=1)
        yield lambda: self.chat("claude-haiku-4-5", cached=300, written=200, long=50)
        yield lambda: self.chat("claude-haiku-4-5", stream=True, cached=300, written=200)
        yield lambda: self.messages(stream=False)
        yield lambda: self.messages(stream=True)
        yield lambda: self.messages(stream=False, model="gpt-4o-mini")
        yield lambda: self.responses(stream=False)
        yield lambda: self.responses(stream=True)
        yield self.embedding
        yield lambda: self.chat(fail=1)
        yield lambda: self.chat(fail=2, stream=True)
        yield lambda: self.chat(fail=1, status=429)
        yield lambda: self.chat(fail=-1)
        yield lambda: self.chat(fail=-1, status=400)
        yield lambda: self.chat("broken")
        yield lambda: self.chat("broken", stream=True)
        yield lambda: self.chat(delay=0.3)
        yield self.cached
        yield self.cancelled
        yield self.batch
        yield lambda: self.chat(stream=True, chunks=6, cut=3)


@pytest.mark.parametrize("kind", CALLS)
def test_every_delivered_call_is_charged_once_and_nothing_else(
    proxies: dict[str, Proxy], kind: str, books: Billing, organization: UUID, key: str
) -> None:
    """Calls of every kind at once: our ledger has what LiteLLM's own records have, to the rounding,
    and no hold is left."""
    gateway = proxies[kind]
    before = len(gateway.records())
    made = Made(gateway, key)

    def records() -> list[dict[str, Any]]:
        """LiteLLM's, of what counts tokens: to send a batch and to read its files is free."""
        return [of for of in gateway.records()[before:] if of["total_tokens"]]

    work = list(itertools.islice(itertools.cycle(made.kinds()), CALLS[kind]))
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda call: call(), work))
    delivered = len(made.delivered)
    assert delivered > CALLS[kind] * 0.8
    charged = wait_for_charges(books, organization, delivered)
    wait_until(lambda: len(records()) >= delivered)
    theirs_by_id = {record["litellm_call_id"]: record for record in records()}
    ours = {(charge.metadata or {})["litellm_call_id"]: charge for charge in charged}
    assert len(charged) == len(ours) == delivered
    assert ours.keys() == theirs_by_id.keys()
    for call_id, charge in ours.items():
        record = theirs_by_id[call_id]
        theirs = Decimal(0) if record["cache_hit"] else Decimal(str(record["response_cost"]))
        assert abs(-charge.amount_usd - theirs) <= Decimal("5e-9"), (charge, record)
        assert charge.tokens == record["total_tokens"], (charge, record)
    _nothing_is_left(gateway, books, organization, -sum(charge.amount_usd for charge in charged))


def _nothing_is_left(
    gateway: Proxy, books: Billing, organization: UUID, spent_usd: Decimal | int
) -> None:
    wait_until(lambda: gateway.owed() == "")
    balance = books.get_balance(organization)
    assert balance.balance_usd == 100 - spent_usd
    states = {hold.status for hold in books.list_holds(organization)}
    if "lease" in str(gateway.journal):
        # What is held is the lease.
        assert balance.held_usd <= 1
    else:
        assert states <= {"captured", "released"}
        assert balance.held_usd == 0


@contextlib.contextmanager
def cut(gateway: Proxy) -> Iterator[None]:
    gateway.line.set(cut=True)
    try:
        yield
    finally:
        gateway.line.set(cut=False)


def test_calls_go_on_while_the_product_is_away_and_are_charged_later(
    holding: Proxy, books: Billing, organization: UUID, key: str
) -> None:
    with cut(holding):
        answers = [holding.chat(key, id=new_id(), stream=bool(of % 2)) for of in range(6)]
        assert {answer.status_code for answer in answers} == {200}
        wait_until(lambda: holding.owed().count('"owed"') == 6)
        assert "billing is away" in holding.log.read_text()
    assert len(wait_for_charges(books, organization, 6)) == 6
    _nothing_is_left(holding, books, organization, 6 * Decimal("0.000027"))


def test_an_answer_is_not_lost_when_the_product_goes_away_during_the_call(
    holding: Proxy, books: Billing, organization: UUID, key: str, upstream: str
) -> None:
    with ThreadPoolExecutor() as threads:
        calls = [threads.submit(holding.chat, key, id=new_id(), gate=key) for _ in range(4)]
        wait_until(lambda: len(list(books.list_holds(organization, status="held"))) == 4)
        with cut(holding):
            httpx.get(f"{upstream}/open/{key}")
            assert {call.result().status_code for call in calls} == {200}
            wait_until(lambda: holding.owed().count('"owed"') == 4)
    assert len(wait_for_charges(books, organization, 4)) == 4
    _nothing_is_left(holding, books, organization, 4 * Decimal("0.000027"))


def test_no_call_is_made_while_the_product_is_away_if_the_operator_says_so(
    leasing: Proxy, books: Billing, organization: UUID, key: str
) -> None:
    with cut(leasing):
        refused = leasing.chat(key, id=new_id())
        assert refused.status_code == 503
        assert "Billing is away" in refused.json()["error"]["message"]
    assert leasing.chat(key, id=new_id()).status_code == 200
    assert len(wait_for_charges(books, organization, 1)) == 1


def test_a_lease_is_held_once_for_many_calls(
    leasing: Proxy, books: Billing, organization: UUID, key: str
) -> None:
    for _ in range(10):
        assert leasing.chat(key, id=new_id()).status_code == 200
    wait_for_charges(books, organization, 10)
    [hold] = books.list_holds(organization)
    assert hold.virtual_key_id == "key1"
    wait_until(lambda: books.get_balance(organization).held_usd == 1)
