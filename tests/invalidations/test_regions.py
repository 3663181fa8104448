"""What one region changes, every other forgets: told at least once, over Kafka or SNS."""

import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import boto3
import psycopg
import pytest
from confluent_kafka import Consumer
from moto import mock_aws

from local import kafka, servers
from local.template import ROOT
from synaxis_billing.cache import L2, Cache, Unreachable
from synaxis_billing.cache.breaker import FIRST_PAUSE_SECONDS, Breaker
from synaxis_billing.edge.aws import bus, msk
from synaxis_billing.invalidations import outbox
from synaxis_billing.invalidations.outbox import Message, Undelivered
from synaxis_billing.organizations import profile
from tests.conftest import Database
from tests.support.steps import PLATFORM, new_organization

KEY = "organization"


class Region:
    """A name, a Redis of its own, and containers that share it."""

    def __init__(self, name: str, redis_url: str) -> None:
        self.name, self.redis_url = name, redis_url
        self.cache = Cache(L2(redis_url))

    def name_of(self, db: psycopg.Connection, organization_id: UUID) -> str:
        """An organization's name, as a container that has just started gets it."""
        container = Cache(L2(self.redis_url))
        return profile.get_organization(lambda: db, container, PLATFORM, organization_id).name

    def rename(self, db: psycopg.Connection, organization_id: UUID, name: str) -> None:
        """Change it, and be killed before anybody is told."""
        change = profile.OrganizationChange(name=name)
        profile.update_organization(db, PLATFORM, organization_id, change)

    def drain(self, db: psycopg.Connection, publish: outbox.Publish) -> int:
        """The number of rows, all of which are delivered."""
        drained = outbox.drain(db, self.cache, self.name, publish)
        assert not drained.delayed
        return drained.rows

    def fail(self, db: psycopg.Connection, publish: outbox.Publish) -> set[str]:
        """The reasons of what is delayed."""
        return set(outbox.drain(db, self.cache, self.name, publish).delayed.values())

    def consume(self, messages: Sequence[Message]) -> list[float]:
        return outbox.consume(self.cache, self.name, messages)


def make_due(database: Database) -> None:
    """Let the delay of each row pass."""
    with database.admin() as admin:
        admin.execute("UPDATE billing.invalidations SET next_attempt_at = billing.now()")


@pytest.fixture
def here(redis_url: str) -> Region:
    return Region("here", redis_url)


@pytest.fixture(scope="module")
def _other_redis(folders: Callable[[str], Path]) -> Iterator[str]:
    with servers.valkey(folders("there")) as url:
        yield url


@pytest.fixture
def there(_other_redis: str) -> Region:
    return Region("there", _other_redis)


@pytest.fixture
def db(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


@pytest.fixture
def no_bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in ("KAFKA_BROKERS", "MSK_CLUSTER_ARN", "KAFKA_SECRET", "INVALIDATION_TOPIC_ARNS"):
        monkeypatch.setenv(name, "")
    # Kafka needs time on a busy machine. A test without Kafka sets less.
    monkeypatch.setattr(bus, "DELIVERY_SECONDS", 60)
    bus._producer.cache_clear()
    bus._sns.cache_clear()
    monkeypatch.setattr(bus, "_breaker", Breaker(time.time))
    yield monkeypatch
    bus._producer.cache_clear()
    bus._sns.cache_clear()


class Broker:
    """Kafka in a process of its own, which can be killed."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local.kafka"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        # From the first record on, as a mapping that was there before it.
        self._consumer = Consumer(
            {
                "bootstrap.servers": self.url,
                "group.id": "there",
                "auto.offset.reset": "earliest",
                "topic.metadata.refresh.interval.ms": 200,
                "log_level": 0,
            }
        )
        self._consumer.subscribe([bus.TOPIC])

    def event(self, count: int) -> dict[str, Any]:
        """The next records, as Lambda hands them to a function."""
        records: list[Any] = []
        while len(records) < count:
            polled = self._consumer.consume(count, 0.1)
            records += [record for record in polled if record.error() is None]
        return kafka._event(self.url, records)

    def end(self) -> None:
        self._consumer.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def broker(no_bus: pytest.MonkeyPatch) -> Iterator[Broker]:
    started = Broker()
    no_bus.setenv("KAFKA_BROKERS", started.url)
    yield started
    started.end()


def test_a_change_here_is_forgotten_there(
    db: psycopg.Connection, here: Region, there: Region, broker: Broker
) -> None:
    began = datetime.now(UTC)
    acme = new_organization(db)
    here.drain(db, bus.publisher())
    assert {region.name_of(db, acme) for region in (here, there)} == {"Acme"}
    here.rename(db, acme, "Acme Ltd")
    here.rename(db, acme, "Acme Inc")
    assert here.drain(db, bus.publisher()) == 2
    assert here.name_of(db, acme) == "Acme Inc"
    assert there.name_of(db, acme) == "Acme"
    batch = bus.read_batch(broker.event(2))
    # Two renamings are one message, and the creation another.
    assert len(batch.messages) == 2
    assert [message.tenant for message in batch.messages] == [acme, acme]
    delays = there.consume(batch.messages)
    assert there.name_of(db, acme) == "Acme Inc"
    since = (datetime.now(UTC) - began).total_seconds()
    assert all(0 <= seconds <= since for seconds in delays)
    assert here.drain(db, bus.publisher()) == 0


def test_records_of_a_tenant_keep_their_order_and_carry_no_value(
    db: psycopg.Connection, here: Region, broker: Broker
) -> None:
    acme, globex = new_organization(db), new_organization(db, name="Globex")
    here.drain(db, bus.publisher())
    here.rename(db, acme, "Secret Name")
    here.drain(db, bus.publisher())
    records = [record for of in broker.event(3)["records"].values() for record in of]
    assert {base64.b64decode(record["key"]).decode() for record in records} == {
        str(acme),
        str(globex),
    }
    partitions = {(record["key"], record["partition"]) for record in records}
    assert len(partitions) == 2
    assert all(b"Secret" not in base64.b64decode(record["value"]) for record in records)
    assert set(json.loads(base64.b64decode(records[0]["value"]))) == {
        *("id", "origin", "tenant", "keys", "tags", "families", "everything", "committed_at")
    }


def test_what_a_killed_container_left_is_told_by_the_next(
    db: psycopg.Connection, here: Region, there: Region
) -> None:
    acme = new_organization(db)
    there.name_of(db, acme)
    here.name_of(db, acme)
    there.rename(db, acme, "Acme Ltd")
    told: list[Message] = []
    # A schedule of another region does it too: then the change's own region is told by the bus.
    assert here.drain(db, told.extend) == 2
    there.consume(told)
    assert {region.name_of(db, acme) for region in (here, there)} == {"Acme Ltd"}


def test_when_kafka_is_gone_this_region_knows_and_the_others_are_told_later(
    db: psycopg.Connection,
    here: Region,
    there: Region,
    broker: Broker,
    no_bus: pytest.MonkeyPatch,
    database: Database,
) -> None:
    acme = new_organization(db)
    here.drain(db, bus.publisher())
    assert {region.name_of(db, acme) for region in (here, there)} == {"Acme"}
    broker.process.kill()
    here.rename(db, acme, "Acme Ltd")
    with no_bus.context() as patch:
        patch.setattr(bus, "DELIVERY_SECONDS", 0.5)
        # Kafka's own library would give up after 60 seconds.
        assert here.fail(db, bus.publisher()) == {"Kafka did not confirm in time"}
    assert here.name_of(db, acme) == "Acme Ltd"
    back = Broker()
    no_bus.setenv("KAFKA_BROKERS", back.url)
    make_due(database)
    assert here.drain(db, bus.publisher()) == 1
    there.consume(bus.read_batch(back.event(1)).messages)
    assert there.name_of(db, acme) == "Acme Ltd"
    back.end()


def test_when_this_regions_redis_is_gone_the_others_are_told_and_it_is_told_later(
    db: psycopg.Connection, here: Region, there: Region, database: Database
) -> None:
    acme = new_organization(db)
    assert {region.name_of(db, acme) for region in (here, there)} == {"Acme"}
    here.rename(db, acme, "Acme Ltd")
    told: list[Message] = []
    dead = Region("here", "redis://127.0.0.1:1")
    assert len(dead.fail(db, told.extend)) == 1
    there.consume(told)
    assert there.name_of(db, acme) == "Acme Ltd"
    make_due(database)
    assert here.drain(db, told.extend) == 2
    assert here.name_of(db, acme) == "Acme Ltd"


def test_when_redis_is_gone_there_the_batch_is_to_be_done_again(
    db: psycopg.Connection, here: Region
) -> None:
    new_organization(db)
    told: list[Message] = []
    here.drain(db, told.extend)
    with pytest.raises(Unreachable):
        Region("there", "redis://127.0.0.1:1").consume(told)


def test_a_region_skips_its_own_and_counts_a_message_once(
    db: psycopg.Connection, here: Region, there: Region
) -> None:
    acme = new_organization(db)
    told: list[Message] = []
    here.drain(db, told.extend)
    assert here.consume(told) == []
    assert len(there.consume([*told, *told])) == 1
    # Told again, late: what was cached since is only loaded once more.
    there.name_of(db, acme)
    there.consume(told)
    assert there.name_of(db, acme) == "Acme"


def test_what_cannot_be_read_is_named_and_stops_nothing() -> None:
    message = Message(
        id=uuid4(), origin="here", tenant=uuid4(), keys={KEY: 7}, committed_at=datetime.now(UTC)
    )
    good = message.model_dump_json()
    bad = ["", "{", "[]", '{"tenant": "x"}', good.replace(KEY, '"'), good[:-2]]
    values = [good, *bad]
    records = [
        {"offset": offset, "value": base64.b64encode(of.encode()).decode()}
        for offset, of in enumerate(values)
    ]
    batch = bus.read_batch({"records": {"cache-invalidation-3": [*records, {"offset": 9}]}})
    assert batch.messages == [message]
    assert batch.unreadable == [
        f"cache-invalidation-3:{offset}" for offset in (1, 2, 3, 4, 5, 6, 9)
    ]
    queued = bus.read_batch(
        {"Records": [{"messageId": str(number), "body": of} for number, of in enumerate(values)]}
    )
    assert queued.messages == [message]
    assert queued.unreadable == ["1", "2", "3", "4", "5", "6"]


def test_a_message_that_names_too_much_names_all_of_the_tenant() -> None:
    tenant, now = uuid4(), datetime.now(UTC).isoformat()
    row = {"tenant": str(tenant), "created_at": now, "version": 5, "everything": False}
    names = [f"spending:{'x' * 200}{number}" for number in range(outbox.MOST_NAMES + 1)]
    few, many = (
        outbox.coalesced([row | {"keys": names[:count], "tags": [], "families": []}], "here")[0]
        for count in (outbox.MOST_NAMES, outbox.MOST_NAMES + 1)
    )
    assert (len(few.keys), few.everything) == (outbox.MOST_NAMES, None)
    assert (many.keys, many.everything) == ({}, 0)
    assert len(few.model_dump_json()) < 256 * 1024
    # As many of the longest names as are allowed are too long for the bus.
    longest = [f"{number:03}{'x' * 509}" for number in range(outbox.MOST_NAMES)]
    [long] = outbox.coalesced([row | {"keys": longest, "tags": [], "families": []}], "here")
    assert (long.keys, long.everything) == ({}, 0)


def test_a_dead_bus_delays_one_request_and_is_tried_again(
    no_bus: pytest.MonkeyPatch,
) -> None:
    asked = []

    def dead(messages: Sequence[Message]) -> None:
        asked.append(messages)
        raise Undelivered({message.tenant: "no answer" for message in messages})

    guarded = bus.unless_broken(dead)
    for _ in range(3):
        with pytest.raises(Undelivered) as failed:
            guarded(told())
    assert "a moment ago" in str(failed.value)
    assert len(asked) == 1
    # What the bus refuses for what it is says nothing about the bus.
    message = told()
    now = time.time()
    no_bus.setattr(bus, "_breaker", Breaker(lambda: now))

    def picky(messages: Sequence[Message]) -> None:
        asked.append(messages)
        tenants = [one.tenant for one in messages]
        raise Undelivered(dict.fromkeys(tenants, "too large"), refused=tenants)

    for _ in range(2):
        with pytest.raises(Undelivered, match="too large"):
            bus.unless_broken(picky)(message)
    # After its pause, it is asked again, and one success ends the trouble.
    bus._breaker.fail()
    now += FIRST_PAUSE_SECONDS
    bus.unless_broken(lambda _messages: None)(message)
    assert not bus._breaker.open


def subscribed_queue(region: str, topics: list[str]) -> str:
    """The URL of a queue that all topics are sent to."""
    sqs = boto3.client("sqs", region_name=region)
    url: str = sqs.create_queue(QueueName="invalidation")["QueueUrl"]
    named = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    for topic in topics:
        boto3.client("sns", region_name=topic.split(":")[3]).subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=named["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
        )
    return url


def received(region: str, queue: str) -> list[Message]:
    """The messages of a queue, which are then gone."""
    sqs = boto3.client("sqs", region_name=region)
    found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    for one in found:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
    records = [{"messageId": one["MessageId"], "body": one["Body"]} for one in found]
    return bus.read_batch({"Records": records}).messages


@mock_aws
def test_without_kafka_the_same_message_goes_over_sns_to_each_regions_queue(
    db: psycopg.Connection,
    here: Region,
    there: Region,
    no_bus: pytest.MonkeyPatch,
    database: Database,
) -> None:
    no_bus.setenv("AWS_ACCESS_KEY_ID", "x")
    no_bus.setenv("AWS_SECRET_ACCESS_KEY", "x")
    regions = ("eu-central-1", "sa-east-1")
    topics = [
        boto3.client("sns", region_name=region).create_topic(Name="invalidation")["TopicArn"]
        for region in regions
    ]
    queues = {region: subscribed_queue(region, topics) for region in regions}
    no_bus.setenv("INVALIDATION_TOPIC_ARNS", ",".join(topics))
    # A function publishes in its own region, and every region hears of it.
    for region, name in zip(regions, ("Acme Ltd", "Acme AG"), strict=True):
        no_bus.setenv("AWS_REGION", region)
        bus._sns.cache_clear()
        acme = new_organization(db)
        there.name_of(db, acme)
        here.rename(db, acme, name)
        here.drain(db, bus.publisher())
        assert bus._sns().meta.region_name == region
        heard = [received(of, queue) for of, queue in queues.items()]
        assert [message.tenant for messages in heard for message in messages] == [acme, acme]
        there.consume(heard[1])
        assert there.name_of(db, acme) == name
    no_bus.setenv("INVALIDATION_TOPIC_ARNS", topics[1].replace("invalidation", "gone"))
    here.rename(db, acme, "Acme Inc")
    assert here.fail(db, bus.publisher()) == {"NotFound"}
    make_due(database)
    assert here.drain(db, lambda _messages: None) == 1


@pytest.fixture
def kafka_secret(no_bus: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Stores a secret, which Kafka's user and password are read from."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        no_bus.setenv(name, "x")
    no_bus.setenv("AWS_REGION", "eu-central-1")
    with mock_aws():
        manager = boto3.client("secretsmanager", region_name="eu-central-1")
        arn = manager.create_secret(Name="kafka", SecretString="{}")["ARN"]
        no_bus.setenv("KAFKA_SECRET", arn)
        yield lambda text: manager.put_secret_value(SecretId=arn, SecretString=text)


LOGIN = '{"username": "billing", "password": "secret"}'


def told() -> list[Message]:
    return [Message(id=uuid4(), origin="here", tenant=uuid4(), committed_at=datetime.now(UTC))]


def test_a_kafka_with_a_password_is_told_nothing_in_plain_text(
    no_bus: pytest.MonkeyPatch, kafka_secret: Callable[[str], None]
) -> None:
    kafka_secret(LOGIN)
    no_bus.setattr(bus, "DELIVERY_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        no_bus.setenv("KAFKA_BROKERS", f"127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(outbox.Undelivered):
            bus.publisher()(told())
        connection, _ = listener.accept()
        with connection:
            # https://www.rfc-editor.org/rfc/rfc8446#section-5.1: a handshake, of TLS.
            assert connection.recv(2) == b"\x16\x03"
    assert bus._authentication()["sasl.mechanisms"] == "SCRAM-SHA-512"


def test_a_password_that_kafka_refuses_is_read_anew(
    no_bus: pytest.MonkeyPatch, kafka_secret: Callable[[str], None]
) -> None:
    no_bus.setattr(bus, "DELIVERY_SECONDS", 0.5)
    no_bus.setenv("KAFKA_BROKERS", "127.0.0.1:1")
    kafka_secret(LOGIN)
    before = bus._producer()
    with pytest.raises(outbox.Undelivered):
        bus.publisher()(told())
    assert bus._producer() is not before


@pytest.mark.parametrize("text", ["secret", '["billing", "secret"]', '{"username": "billing"}'])
def test_a_secret_that_is_no_login_leaves_what_changed_to_be_told_later(
    text: str, no_bus: pytest.MonkeyPatch, kafka_secret: Callable[[str], None]
) -> None:
    no_bus.setenv("KAFKA_BROKERS", "127.0.0.1:1")
    kafka_secret(text)
    with pytest.raises(outbox.Undelivered, match="no username and password"):
        bus.publisher()(told())


def test_amazon_msk_is_given_a_signed_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    settings = msk.authentication("eu-central-1")
    began = datetime.now(UTC).timestamp()
    token, ends = settings["oauth_cb"]("")
    url = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    query = parse_qs(url.query)
    assert (url.scheme, url.netloc) == ("https", "kafka.eu-central-1.amazonaws.com")
    assert query["Action"] == ["kafka-cluster:Connect"]
    assert query["X-Amz-Security-Token"] == ["session"]
    assert query["X-Amz-Credential"][0].endswith("/eu-central-1/kafka-cluster/aws4_request")
    assert query["User-Agent"] == ["synaxis-billing"]
    assert {"X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders"} <= set(query)
    assert query["X-Amz-Expires"] == ["900"]
    assert began <= ends - 900 <= datetime.now(UTC).timestamp()
