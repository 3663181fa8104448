"""Generators make clients from the committed document without a warning, and the Python client
takes every body that AWS can send."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from local.openapi.document import PATH

SCRIPTS = Path(sys.executable).parent
PACKAGE = "generated_client"
# A problem of each kind, by its code.
PROBLEMS: dict[str, dict[str, Any]] = {
    code: example["value"]
    for response in json.loads(PATH.read_text())["components"]["responses"].values()
    for content in response["content"].values()
    for code, example in content.get("examples", {}).items()
}
# What API Gateway, Lambda and an empty answer leave of a problem.
BODIES: list[dict[str, Any]] = [
    {"message": "Service Unavailable"},
    {"message": None},
    {"Message": None},
    {},
]


def run(folder: Path, *command: str) -> str:
    """Run a generator as a developer does; return all that it said."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}", "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The package that openapi-python-client makes."""
    folder = tmp_path_factory.mktemp("client")
    said = run(
        folder,
        *("openapi-python-client", "generate", "--path", str(PATH), "--fail-on-warning"),
        *("--meta", "none", "--output-path", PACKAGE),
    )
    assert "arning" not in said, said
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield importlib.import_module(PACKAGE)
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_datamodel_code_generator_makes_models_without_a_warning(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        *("datamodel-codegen", "--input", str(PATH), "--input-file-type", "openapi"),
        *("--output-model-type", "pydantic_v2.BaseModel", "--formatters", "builtin"),
        *("--output", "models.py"),
    )
    assert "arning" not in said, said
    made = "import models; models.Transaction; models.SpendLogPage; models.WebhookEndpoint"
    assert run(tmp_path, sys.executable, "-W", "error", "-c", made) == ""


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("body", PROBLEMS.values(), ids=list(PROBLEMS))
def test_the_clients_problem_takes_every_refusal(body: dict[str, Any]) -> None:
    problem = importlib.import_module(f"{PACKAGE}.models").Problem
    parsed = problem.from_dict(body)
    assert parsed.code.value == body["code"]
    assert parsed.to_dict() == body


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("body", BODIES, ids=str)
def test_the_clients_problem_takes_every_body_of_aws(body: dict[str, Any]) -> None:
    problem = importlib.import_module(f"{PACKAGE}.models").Problem
    assert problem.from_dict(body).to_dict() == body


def charge(client: ModuleType, status: int, content: bytes) -> Any:
    """Charge by the generated client an API that answers this."""
    models = importlib.import_module(f"{PACKAGE}.models")
    create_charge = importlib.import_module(f"{PACKAGE}.api.charges.create_charge")
    answering = httpx.MockTransport(lambda _: httpx.Response(status, content=content))
    caller = client.AuthenticatedClient(
        base_url="http://api", token="a token", httpx_args={"transport": answering}
    )
    return create_charge.sync_detailed(
        "3f1f8a52-6a0e-4c39-9d5a-0c8f1f4f7d10",
        client=caller,
        body=models.ChargeRequest(amount_usd="0.02", description="chat"),
        idempotency_key="a key",
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 503, 504])
@pytest.mark.parametrize("content", [b'{"message": "No"}', b'{"Message": null}'])
def test_a_call_takes_what_api_gateway_answers_itself(
    client: ModuleType, status: int, content: bytes
) -> None:
    assert charge(client, status, content).status_code == status


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("content", [b"", b"<html>Bad Gateway</html>"])
def test_a_call_takes_a_failure_that_is_not_json(
    client: ModuleType, status: int, content: bytes
) -> None:
    answered = charge(client, status, content)
    assert (answered.status_code, answered.content) == (status, content)


@pytest.mark.parametrize(
    "content",
    [
        b'{"database": "down", "cache": "ok", "rates": "ok"}',
        json.dumps(PROBLEMS["temporarily_unavailable"]).encode(),
        b'{"message": "Service Unavailable"}',
        b"",
    ],
)
def test_the_clients_question_after_the_health_takes_every_answer(
    client: ModuleType, content: bytes
) -> None:
    get_health = importlib.import_module(f"{PACKAGE}.api.health.get_health")
    answering = httpx.MockTransport(lambda _: httpx.Response(503, content=content))
    caller = client.Client(base_url="http://api", httpx_args={"transport": answering})
    answered = get_health.sync_detailed(client=caller)
    assert (answered.status_code, answered.content) == (503, content)


def test_a_call_tells_how_much_credit_is_missing(client: ModuleType) -> None:
    body = PROBLEMS["insufficient_credits"]
    answered = charge(client, 402, json.dumps(body).encode())
    assert answered.parsed.deficit_usd == body["deficit_usd"]
