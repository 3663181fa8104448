"""A deployment brings the database up to date before its functions change, and says how it went."""

import contextlib
import http.server
import json
import re
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from cryptography import x509
from moto import mock_aws
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from local.template import read
from synaxis_billing.edge.aws import credentials
from synaxis_billing.edge.aws.secrets import secret
from synaxis_billing.schema.migrate import KEPT, migrate
from tests.conftest import Database
from tests.support.certificates import certificate_of
from tests.support.events import CONTEXT
from tests.support.steps import new_organization

REGION = "eu-central-1"


class Waiting(http.server.HTTPServer):
    """CloudFormation, waiting for what a custom resource answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[dict[str, Any]] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Waiting

    def do_PUT(self) -> None:
        assert self.headers["content-type"] == ""
        self.server.answers.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def cloudformation() -> Iterator[Waiting]:
    with Waiting() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def _in_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "test")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    with mock_aws():
        yield


def request(server: Waiting, kind: str) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "ResponseURL": f"http://127.0.0.1:{server.server_port}/signed?by=s3",
        "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/synaxis/1",
        "RequestId": "r1",
        "LogicalResourceId": "Migration",
        "ResourceProperties": {"CoreLayer": "arn:...:2"},
    }


def test_a_deployment_migrates_and_one_that_cannot_is_stopped(
    database: Database, cloudformation: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.admin() as admin:
        admin.execute("DROP SCHEMA billing CASCADE")
    migrate_function = read({}).functions["MigrateFunction"].load()
    monkeypatch.setenv("ADMIN_DATABASE_URL", database.admin_url)
    made = migrate_function.handler(request(cloudformation, "Create"), CONTEXT)
    assert "0001_baseline.sql" in made["applied"]
    again = {**request(cloudformation, "Update"), "PhysicalResourceId": "Migration"}
    assert migrate_function.handler(again, CONTEXT) == {"applied": [], "online": []}
    monkeypatch.setenv("ADMIN_DATABASE_URL", "postgresql://127.0.0.1:1/billing")
    migrate_function.handler(again, CONTEXT)
    # Nothing is undone when the stack goes.
    migrate_function.handler({**again, "RequestType": "Delete"}, CONTEXT)
    assert [(one["Status"], one["RequestId"]) for one in cloudformation.answers] == [
        *(("SUCCESS", "r1"), ("SUCCESS", "r1"), ("FAILED", "r1"), ("SUCCESS", "r1"))
    ]
    assert {one["PhysicalResourceId"] for one in cloudformation.answers} == {"Migration"}
    assert "OperationalError" in cloudformation.answers[2]["Reason"]


def test_on_rds_the_application_logs_in_by_token(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIN_DATABASE_URL", database.admin_url)
    with database.admin() as admin:
        admin.execute("DROP ROLE IF EXISTS rds_iam")
        admin.execute("CREATE ROLE rds_iam")
        try:
            read({}).functions["MigrateFunction"].load().handler({}, CONTEXT)
            member = admin.execute("SELECT pg_has_role('synaxis_app', 'rds_iam', 'member')")
            assert member.fetchone() == (True,)
        finally:
            admin.execute("DROP ROLE rds_iam")


def test_what_the_release_before_calls_stays_until_the_next_one(database: Database) -> None:
    with database.admin() as admin, database.connect() as db:
        # A release that had a function more, which its API called.
        admin.execute(
            "CREATE FUNCTION billing.gone(p_tenant text) RETURNS int LANGUAGE sql SECURITY DEFINER"
            " SET search_path = billing, pg_temp AS 'SELECT 7'"
        )
        for kept in (True, False):
            admin.execute("UPDATE billing.migrations SET checksum = '' WHERE name = 'functions'")
            assert migrate(admin) == ["functions"]
            if kept:
                assert db.execute("SELECT billing.gone('*')").fetchone() == (7,)
        with pytest.raises(psycopg.errors.UndefinedFunction):
            db.execute("SELECT billing.gone('*')")
        left = admin.execute(
            "SELECT count(*) FROM pg_description WHERE description = %s", [KEPT]
        ).fetchone()
        assert left == (0,)
    assert database.audit().whole


def test_the_nightly_audit_names_what_is_broken(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADMIN_DATABASE_URL", database.admin_url)
    function = read({}).functions["AuditFunction"].load()
    assert function.handler({}, CONTEXT) == {"organizations": 0, "broken": []}
    with database.admin() as admin:
        admin.execute("GRANT DELETE ON billing.credit_transactions TO synaxis_app")
    [broken] = function.handler({}, CONTEXT)["broken"]
    assert "synaxis_app may DELETE credit_transactions" in broken
    with database.admin() as admin, database.connect() as db:
        organization_id = new_organization(db, "10")
        admin.execute("REVOKE DELETE ON billing.credit_transactions FROM synaxis_app")
        admin.execute("UPDATE billing.organizations SET balance_usd = 11")
    for line in function.handler({}, CONTEXT)["broken"]:
        assert line.startswith(f"organization {organization_id}: ")
    assert '"BrokenPromises":[1.0]' in capsys.readouterr().out.replace(" ", "")


def test_a_database_of_ones_own_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "ADMIN_DATABASE_URL"):
        monkeypatch.setenv(name, "")
    url = "postgresql://synaxis_app:secret@db.example.com/billing?sslmode=verify-full"
    for name in ("DATABASE_URL_SECRET", "ADMIN_DATABASE_SECRET"):
        monkeypatch.setenv(name, _stored(name, url))
    assert credentials.database() == credentials.administrator() == url
    monkeypatch.setenv("DATABASE_URL_SECRET", "arn:aws:secretsmanager:x:1:secret:missing")
    with pytest.raises(LookupError, match="secret:missing cannot be read"):
        credentials.database()


@pytest.mark.parametrize("mode", ["", "?sslmode=prefer", "?sslmode=require", "?sslmode=verify-ca"])
def test_a_database_of_ones_own_must_show_its_certificate(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = _stored("own", f"postgresql://synaxis_app:password@db.example.com/billing{mode}")
    for name, of in (
        ("DATABASE_URL", credentials.database),
        ("ADMIN_DATABASE_URL", credentials.administrator),
    ):
        monkeypatch.setenv(name, "")
        monkeypatch.setenv(f"{name.removesuffix('_URL')}_SECRET", stored)
        monkeypatch.setenv(f"{name}_SECRET", stored)
        with pytest.raises(LookupError, match=r"must end in \?sslmode=verify-full") as refused:
            of()
        assert "password" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("rediss://:password@cache.example.com:6379", True),
        ("redis://:password@cache.example.com:6379", False),
        ("rediss://:password@cache.example.com:6379?ssl_cert_reqs=none", False),
        ("rediss://:password@cache.example.com:6379?ssl_check_hostname=false", False),
    ],
)
def test_a_redis_of_ones_own_must_show_its_certificate(
    url: str, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setenv("REDIS_URL_SECRET", _stored("own", url))
    if taken:
        assert credentials.redis() == credentials.Redis(url, False)
        return
    with pytest.raises(LookupError, match="must begin with rediss://") as refused:
        credentials.redis()
    assert "password" not in str(refused.value)


def test_the_password_that_rds_keeps_is_the_administrators(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = conninfo_to_dict(database.admin_url)
    login = {"username": parts["user"], "password": parts["password"]}
    monkeypatch.setenv("ADMIN_DATABASE_URL", "")
    monkeypatch.setenv("ADMIN_DATABASE_SECRET", _stored("rds", json.dumps(login)))
    monkeypatch.setenv("ADMIN_DATABASE_HOST", "db.example.com")
    monkeypatch.setenv("DATABASE_NAME", "billing")
    assert conninfo_to_dict(credentials.administrator()) == {
        "host": "db.example.com",
        "dbname": "billing",
        "user": parts["user"],
        "password": parts["password"],
        "sslmode": "verify-full",
        "sslrootcert": str(credentials.RDS_AUTHORITIES),
    }


def test_the_authorities_of_rds_are_of_every_region_once_and_good_for_years() -> None:
    authorities = x509.load_pem_x509_certificates(credentials.RDS_AUTHORITIES.read_bytes())
    names = [one.subject.rfc4514_string() for one in authorities]
    regions = re.findall(r"CN=Amazon RDS ([a-z0-9-]+) Root CA RSA2048 G1", str(names))
    assert len(regions) == len(authorities) == len(set(regions))
    assert {"us-east-1", "eu-central-1", "sa-east-1"} <= set(regions)
    for one in authorities:
        one.verify_directly_issued_by(one)
        assert one.not_valid_after_utc.year >= 2060


@contextlib.contextmanager
def claiming_to_be_postgres(folder: Path) -> Iterator[tuple[int, Path]]:
    """The port of a server that offers TLS as PostgreSQL does and then refuses whoever trusts its
    certificate, which is the other thing."""
    certificate, key = certificate_of(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    fields = b"SFATAL\0C28000\0Mtrusted by mistake\0\0"

    class Server(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(8)
            self.request.sendall(b"S")
            with (
                contextlib.suppress(ssl.SSLError),
                context.wrap_socket(self.request, server_side=True) as trusted,
            ):
                trusted.recv(1000)
                trusted.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)

    with socketserver.TCPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1], certificate
        server.shutdown()


def test_the_administrators_password_goes_to_a_database_of_rds_alone(tmp_path: Path) -> None:
    with claiming_to_be_postgres(tmp_path) as (port, certificate):
        address = make_conninfo(host="127.0.0.1", port=port, sslmode="verify-full")
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            psycopg.connect(address, sslrootcert=str(credentials.RDS_AUTHORITIES))
        with pytest.raises(psycopg.OperationalError, match="trusted by mistake"):
            psycopg.connect(address, sslrootcert=str(certificate))


def test_without_an_administrator_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ADMIN_DATABASE_URL", "ADMIN_DATABASE_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(LookupError, match="no administrator"):
        credentials.administrator()


def test_a_token_names_host_user_and_region_and_checks_the_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DATABASE_URL", "DATABASE_URL_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_HOST", "proxy.example.com")
    monkeypatch.setenv("DATABASE_NAME", "billing")
    login = conninfo_to_dict(credentials.database())
    assert (login["host"], login["user"]) == ("proxy.example.com", "synaxis_app")
    assert login["sslmode"] == "verify-full"
    ours = str(login["password"]).split("&")
    theirs = boto3.client("rds", region_name=REGION).generate_db_auth_token(
        "proxy.example.com", 5432, "synaxis_app"
    )
    # All but the instant and what follows from it.
    varies = ("X-Amz-Date", "X-Amz-Signature")
    assert [one for one in ours if not one.startswith(varies)] == [
        one for one in theirs.split("&") if not one.startswith(varies)
    ]


def test_a_caches_token_names_it_and_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "REDIS_URL_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REDIS_ENDPOINT", "cache.example.com:6379")
    monkeypatch.setenv("REDIS_NAME", "synaxis-cache")
    monkeypatch.setenv("REDIS_USER", "synaxis-functions")
    redis = credentials.redis()
    assert redis
    assert (redis.url, redis.cluster) == ("rediss://cache.example.com:6379", True)
    user, token = redis.token()
    assert user == "synaxis-functions"
    assert token.startswith("synaxis-cache/?Action=connect&ResourceType=ServerlessCache&User=")
    assert "elasticache%2Faws4_request" in token
    monkeypatch.setenv("REDIS_ENDPOINT", "")
    assert credentials.redis() is None


def _stored(name: str, text: str) -> str:
    client = boto3.client("secretsmanager", region_name=REGION)
    arn = str(client.create_secret(Name=name, SecretString=text)["ARN"])
    assert secret(arn) == text
    return arn
