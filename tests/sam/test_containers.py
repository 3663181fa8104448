"""The functions in Lambda-like containers, as `sam build` packs them: `make sam-test`."""

import contextlib
import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
import pytest
import uvicorn
from botocore import UNSIGNED
from botocore.config import Config
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from local.gateway import QUEUES, Gateway, Regions
from local.servers import free_port
from local.template import ROOT, Template
from local.tokens import Issuer
from tests.conftest import Database, temporary
from tests.events import OTHERS, TEMPLATE, Invoke, answers, event, in_process
from tests.relay import relaying
from tests.running import wait_until

pytestmark = pytest.mark.sam

HOST = "host.docker.internal"
SAM = str(ROOT / ".venv-sam/bin/sam")


@pytest.fixture(scope="module")
def address() -> str:
    """Of this machine, as containers reach it; where Docker runs in a machine of its own, it leads
    to this one's loopback by itself."""
    bridge = psutil.net_if_addrs().get("docker0", [])
    found = [one.address for one in bridge if one.family == socket.AF_INET]
    return found[0] if found else "127.0.0.1"


@pytest.fixture(scope="module")
def queues(address: str, state: Path) -> Iterator[str]:
    """Where containers find the template's queues, which nobody reads."""
    template = Template({}, TEMPLATE.queues, "", "")
    gateway = Gateway(template, Issuer("", "", state / "sam.pem"), state / "sam-logs")
    with socket.create_server((address, 0)) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(Regions({port: gateway}), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://{HOST}:{port}{QUEUES}/000000000000"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def environment(
    address: str,
    queues: str,
    server_url: str,
    redis_url: str,
    template_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """The file that tells functions in containers where the data is: a database of their own."""
    with contextlib.ExitStack() as stack:
        admin_url = stack.enter_context(temporary(server_url, "sam", template_database.admin_url))
        name = str(conninfo_to_dict(admin_url)["dbname"])
        port = stack.enter_context(relaying(address, int(str(conninfo_to_dict(admin_url)["port"]))))
        redis = httpx.URL(redis_url)
        redis_port = stack.enter_context(relaying(address, int(redis.port or 6379)))
        parameters = {
            "DATABASE_URL": make_conninfo(
                template_database.app_url, host=HOST, port=port, dbname=name
            ),
            "ADMIN_DATABASE_URL": make_conninfo(admin_url, host=HOST, port=port),
            "REDIS_URL": f"redis://:{redis.password}@{HOST}:{redis_port}/2",
            "FX_SOURCES": "simulated",
            "MONTH_END_QUEUE_URL": f"{queues}/MonthEndQueue",
            "WEBHOOK_QUEUE_URL": f"{queues}/WebhookQueue",
            "WEBHOOK_RESULTS_QUEUE_URL": f"{queues}/WebhookResultsQueue",
        }
        file = tmp_path_factory.mktemp("sam") / "environment.json"
        file.write_text(json.dumps({"Parameters": parameters}))
        yield file


def sam(*command: object) -> list[str]:
    options = ["--skip-pull-image"] if _has_image() else []
    return [SAM, "local", *map(str, command), *options, "--add-host", f"{HOST}:host-gateway"]


def _has_image() -> bool:
    image = "public.ecr.aws/lambda/python:3.13-x86_64"
    found = subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False)
    return found.returncode == 0


@contextlib.contextmanager
def serving(kind: str, environment: Path, log: Path) -> Iterator[str]:
    """The URL of `sam local start-api` or `start-lambda`."""
    port = free_port()
    command = sam(kind, "--port", port, "-n", environment, "--warm-containers", "LAZY")
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env=_sam())
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None, seconds=60)
        assert process.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


def _sam() -> dict[str, str]:
    return {**os.environ, "SAM_CLI_TELEMETRY": "0", "PYTHONPATH": ""}


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture(scope="module")
def invoke(environment: Path, state: Path) -> Iterator[Invoke]:
    """Invokes a function in its container, as a gateway in AWS would: by boto3."""
    with serving("start-lambda", environment, state / "start-lambda.log") as url:
        client = boto3.client(
            "lambda",
            endpoint_url=url,
            region_name="eu-central-1",
            config=Config(
                signature_version=UNSIGNED, retries={"max_attempts": 0}, read_timeout=120
            ),
        )

        def call(name: str, asked: Any) -> Any:
            answer = client.invoke(FunctionName=name, Payload=json.dumps(asked))
            return json.loads(answer["Payload"].read())

        yield call


def comparable(answer: Any) -> str:
    """Without what differs from one run to the next: ids, times, hashes, made-up rates."""
    text = json.dumps(answer, sort_keys=True)
    for pattern, kind in (
        (r"[0-9a-f]{64}", "hash"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "id"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", "time"),
        (r"whsec_[\w+/=]+", "secret"),
        (r'"region\\*": \\*"[\w-]+\\*"', "region"),
        (r'"rates": \{[^}]*\}', "rates"),
    ):
        text = re.sub(pattern, kind, text)
    return text


def test_every_event_is_answered_in_a_container_as_in_process(
    invoke: Invoke,
    database: Database,
    other_redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contained = answers(invoke)
    with in_process(database, other_redis_url, monkeypatch) as call:
        expected = answers(call)
    assert set(contained) == set(expected)
    # What a container counts is its own.
    for found in (contained, expected):
        assert found.pop("cache_statistics")["statusCode"] == 200
    for name, answer in expected.items():
        assert comparable(contained[name]) == comparable(answer), name


@pytest.mark.parametrize("name", ["charge_invalid", "upkeep", "cache_invalidation"])
def test_an_event_is_invoked_by_sam_itself(name: str, environment: Path) -> None:
    function = OTHERS.get(name, "ChargeFunction")
    file = ROOT / "events" / f"{name}.json"
    command = sam("invoke", function, "-e", file, "-n", environment)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=_sam())
    answer = json.loads(done.stdout)
    if name == "charge_invalid":
        assert answer["statusCode"] == 400
    else:
        assert answer == {"upkeep": {"made": []}, "cache_invalidation": {"batchItemFailures": []}}[
            name
        ]  # fmt: skip


def generated(*kind: str) -> Any:
    """An event as SAM makes it up."""
    made = subprocess.run(
        [SAM, "local", "generate-event", *kind],
        capture_output=True,
        text=True,
        check=True,
        env=_sam(),
    )
    return json.loads(made.stdout)


def test_a_schedule_that_sam_makes_up_is_handled(invoke: Invoke) -> None:
    assert invoke("UpkeepFunction", generated("cloudwatch", "scheduled-event")) == {"made": []}


def test_a_batch_that_sam_makes_up_is_handled(invoke: Invoke) -> None:
    batch = generated("sqs", "receive-message")
    batch["Records"][0]["body"] = event("webhook_record")["Records"][0]["body"]
    assert invoke("WebhookRecordFunction", batch) == {"batchItemFailures": []}


def test_a_message_that_cannot_be_read_is_delivered_again(
    invoke: Invoke,
) -> None:
    batch = event("webhook_record")
    [good] = batch["Records"]
    batch["Records"] = [good, {**good, "messageId": "bad", "body": "?"}]
    failed = invoke("WebhookRecordFunction", batch)["batchItemFailures"]
    assert failed == [{"itemIdentifier": "bad"}]


def test_over_http_a_container_takes_no_request_whose_token_nobody_has_checked(
    environment: Path, state: Path
) -> None:
    """`sam local start-api` has no JWT authorizer, and tells functions of no token."""
    with serving("start-api", environment, state / "start-api.log") as url:
        headers = {"authorization": "Bearer x.y.z", "idempotency-key": "k"}
        with httpx.Client(base_url=url, timeout=60, headers=headers) as client:
            healthy = client.get("/health")
            assert (healthy.status_code, healthy.json()["database"]) == (200, "ok")
            for name in ("topup", "charge", "balance"):
                asked = event(name)
                method = asked["requestContext"]["http"]["method"]
                refused = client.request(method, asked["rawPath"], content=asked.get("body"))
                answer = (refused.status_code, refused.json()["code"])
                assert answer == (401, "unauthenticated"), name
                assert refused.headers["content-type"] == "application/problem+json"
