"""The functions in Lambda-like containers, as `sam build` packs them: `make sam-test`."""

import base64
import contextlib
import json
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import boto3
import httpx
import pytest
import uvicorn
from botocore import UNSIGNED
from botocore.config import Config
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from local import sam
from local.gateway import QUEUES, Gateway, Regions
from local.servers import free_port
from local.template import ROOT, Template
from local.tokens import Issuer
from synaxis_billing.cache import L2, Cache
from synaxis_billing.invalidations import outbox
from synaxis_billing.invalidations.outbox import Message
from synaxis_billing.organizations import profile
from tests.conftest import Database, temporary
from tests.support.events import OTHERS, TEMPLATE, Invoke, answers, event, in_process
from tests.support.running import serving
from tests.support.steps import PLATFORM, new_organization

pytestmark = pytest.mark.sam


class Data(NamedTuple):
    """What functions in containers work on: a database and a Redis of their own."""

    database: Database
    redis_url: str


@pytest.fixture(scope="module")
def queues(state: Path) -> Iterator[str]:
    """Where containers find the template's queues, which nobody reads."""
    template = Template({}, TEMPLATE.queues, "", "")
    gateway = Gateway(template, Issuer("", "", state / "sam.pem"), state / "sam-logs")
    with socket.create_server((sam.address(), 0)) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(Regions({port: gateway}), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://{sam.HOST}:{port}{QUEUES}/000000000000"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def data(server_url: str, redis_url: str, template_database: Database) -> Iterator[Data]:
    with temporary(server_url, "sam", template_database.admin_url) as admin_url:
        name = str(conninfo_to_dict(admin_url)["dbname"])
        app_url = make_conninfo(template_database.app_url, dbname=name)
        yield Data(Database(app_url, admin_url), f"{redis_url.removesuffix('/0')}/2")


@pytest.fixture(scope="module")
def environment(
    queues: str, data: Data, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The file that tells functions in containers where the data is."""
    with contextlib.ExitStack() as stack:
        parameters = {
            "DATABASE_URL": sam.reach_database(stack, data.database.app_url),
            "ADMIN_DATABASE_URL": sam.reach_database(stack, data.database.admin_url),
            "REDIS_URL": sam.reach_url(stack, data.redis_url),
            "FX_SOURCES": "simulated",
            "MONTH_END_QUEUE_URL": f"{queues}/MonthEndQueue",
            "WEBHOOK_QUEUE_URL": f"{queues}/WebhookQueue",
            "WEBHOOK_RESULTS_QUEUE_URL": f"{queues}/WebhookResultsQueue",
            "PAYMENT_QUEUE_URL": f"{queues}/PaymentQueue",
            # There is no issuer of tokens here.
            "USER_POOL_ID": "",
            "USER_POOL_ENDPOINT": "",
            "TENANTS_CLIENT_ID": "",
        }
        file = tmp_path_factory.mktemp("sam") / "environment.json"
        file.write_text(json.dumps({"Parameters": parameters}))
        yield file


@contextlib.contextmanager
def sam_serving(kind: str, environment: Path, log: Path) -> Iterator[str]:
    """The URL of `sam local start-api` or `start-lambda`."""
    port = free_port()
    command = sam.command(kind, "--port", port, "-n", environment, "--warm-containers", "LAZY")
    with serving(command, port, log, **sam.ENVIRONMENT) as url:
        yield url


@pytest.fixture(scope="module")
def invoke(environment: Path, state: Path) -> Iterator[Invoke]:
    """Invokes a function in its container, as a gateway in AWS would: by boto3."""
    with sam_serving("start-lambda", environment, state / "start-lambda.log") as url:
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
        (r"[0-9a-f]{32}", "tag"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "id"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", "time"),
        (r"(whsec|cs)_[\w+/=-]+", "secret"),
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
    # The document names the stack's own issuer, whose scopes may be written in another way.
    documents = [json.loads(found.pop("api_document")["body"]) for found in (contained, expected)]
    assert documents[0]["paths"].keys() == documents[1]["paths"].keys()
    shown = [
        {name: comparable(of) for name, of in found.items()} for found in (contained, expected)
    ]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("name", ["charge_invalid", "upkeep", "cache_invalidation"])
def test_an_event_is_invoked_by_sam_itself(name: str, environment: Path) -> None:
    function = OTHERS.get(name, "ChargeFunction")
    file = ROOT / "events" / f"{name}.json"
    command = sam.command("invoke", function, "-e", file, "-n", environment)
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env=sam.ENVIRONMENT
    )
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
        [sam.SAM, "local", "generate-event", *kind],
        capture_output=True,
        text=True,
        check=True,
        env=sam.ENVIRONMENT,
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


# https://docs.aws.amazon.com/lambda/latest/dg/with-kafka.html and with-msk.html
SELF_MANAGED = {"eventSource": "SelfManagedKafka"}
MSK = {
    "eventSource": "aws:kafka",
    "eventSourceArn": "arn:aws:kafka:sa-east-1:123456789012:cluster/billing/751d2973-a626-431c-9d4e"
    "-d7975eb44dd7-2",
}


@pytest.mark.parametrize("source", [SELF_MANAGED, MSK], ids=lambda source: source["eventSource"])
def test_a_batch_of_kafka_is_forgotten_over_its_partitions_but_for_what_cannot_be_read(
    source: dict[str, str], invoke: Invoke, data: Data, other_redis_url: str
) -> None:
    """SAM makes up no event of Kafka's; this one is written as AWS documents it."""
    told: list[Message] = []
    with data.database.connect() as db:

        def cached_name(of: UUID) -> str:
            started = Cache(L2(data.redis_url))
            return profile.get_organization(lambda: db, started, PLATFORM, of).name

        acme, bolt = new_organization(db), new_organization(db)
        elsewhere = Cache(L2(other_redis_url))
        outbox.drain(db, elsewhere, "elsewhere", lambda _messages: None)
        for one in (acme, bolt):
            assert cached_name(one) == "Acme"
            change = profile.OrganizationChange(name="New")
            profile.update_organization(db, PLATFORM, one, change)
        outbox.drain(db, elsewhere, "elsewhere", told.extend)
        assert [cached_name(one) for one in (acme, bolt)] == ["Acme", "Acme"]
        first, second = (message.model_dump_json().encode() for message in told)
        batch = {
            **source,
            "bootstrapServers": "b-2.example:9092,b-1.example:9092",
            "records": {
                "cache-invalidation-0": [kafka_record(0, 15, first)],
                "cache-invalidation-2": [
                    kafka_record(2, 40, b"?"),
                    kafka_record(2, 41, second),
                ],
            },
        }
        failed = invoke("CacheInvalidationFunction", batch)["batchItemFailures"]
        assert failed == [{"itemIdentifier": "cache-invalidation-2:40"}]
        assert [cached_name(one) for one in (acme, bolt)] == ["New", "New"]


def kafka_record(partition: int, offset: int, value: bytes) -> dict[str, Any]:
    return {
        "topic": "cache-invalidation",
        "partition": partition,
        "offset": offset,
        "timestamp": 1545084650987,
        "timestampType": "CREATE_TIME",
        "key": base64.b64encode(b"tenant").decode(),
        "value": base64.b64encode(value).decode(),
        "headers": [{"headerKey": list(b"headerValue")}],
    }


def test_over_http_a_container_takes_no_request_whose_token_nobody_has_checked(
    environment: Path, state: Path
) -> None:
    """`sam local start-api` by itself, of what is deployed: it has no JWT authorizer."""
    with sam_serving("start-api", environment, state / "start-api.log") as url:
        headers = {"authorization": "Bearer x.y.z", "idempotency-key": "k"}
        with httpx.Client(base_url=url, timeout=60, headers=headers) as client:
            healthy = client.get("/health")
            assert (healthy.status_code, healthy.json()["database"]) == (200, "ok")
            for name in ("charge", "balance"):
                asked = event(name)
                method = asked["requestContext"]["http"]["method"]
                refused = client.request(method, asked["rawPath"], content=asked.get("body"))
                answer = (refused.status_code, refused.json()["code"])
                assert answer == (401, "unauthenticated"), name
                assert refused.headers["content-type"] == "application/problem+json"
