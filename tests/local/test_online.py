"""`make migrate ENV=...` has the MigrateFunction of a stack do the online migrations, in as many
invocations as they take."""

import functools
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from moto import mock_aws

from local import online as command
from local.template import read
from synaxis_billing.schema import online
from synaxis_billing.schema.migrate import MigrationError
from tests.conftest import Database
from tests.support import steps
from tests.support.events import CONTEXT
from tests.support.online import BACKFILL, INDEX, Clock

REGION = "eu-central-1"
BROKEN = "CREATE INDEX broken ON billing.holds (id);"


class Function:
    """Lambda's API, which runs MigrateFunction in this process; it has time for some steps of a
    backfill in each invocation."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._function = read({}).functions["MigrateFunction"].load()
        work = functools.partial(online.work, folder=folder)
        monkeypatch.setattr(self._function, "work", work)
        self.asked: list[dict[str, str]] = []

    def invoke(self, *, FunctionName: str, Qualifier: str, Payload: str) -> dict[str, Any]:
        assert (FunctionName, Qualifier) == ("billing-migrate", "live")
        self.asked.append(json.loads(Payload))
        try:
            answer = self._function.handler(self.asked[-1], CONTEXT)
        except (MigrationError, psycopg.Error) as error:
            answer = {"errorMessage": str(error), "errorType": type(error).__name__}
            return {
                "FunctionError": "Unhandled",
                "Payload": io.BytesIO(json.dumps(answer).encode()),
            }
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


@pytest.fixture
def function(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Function]:
    monkeypatch.setenv("ADMIN_DATABASE_URL", database.admin_url)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "test")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with mock_aws():
        yield Function(tmp_path, monkeypatch)


def test_they_are_done_by_as_many_invocations_as_they_take(
    function: Function, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0001_index.sql").write_text(INDEX)
    (tmp_path / "0002_remark.sql").write_text(BACKFILL)
    with database.connect() as db:
        for _ in range(5):
            steps.new_organization(db)
    monkeypatch.setattr(online, "time", Clock())
    # An invocation is over after each step.
    monkeypatch.setattr(online, "PAUSE_SECONDS", 60)
    assert list(command.migrate(function, "billing-migrate")) == [
        "done 0001_index.sql",
        "0002_remark.sql: 3 rows changed",
        "0002_remark.sql: 2 rows changed",
        "done 0002_remark.sql",
    ]
    assert [one["online"] for one in function.asked] == ["start", "continue", "continue"]
    assert list(command.migrate(function, "billing-migrate")) == []
    with database.admin() as admin:
        assert online.pending(admin, tmp_path) == []


def test_the_reason_of_a_failure_is_one_sentence(function: Function, tmp_path: Path) -> None:
    (tmp_path / "0001_broken.sql").write_text(BROKEN)
    with pytest.raises(SystemExit, match=r"MigrateFunction: 0001_broken\.sql must make"):
        list(command.migrate(function, "billing-migrate"))


def _configure(folder: Path) -> Path:
    config = folder / "samconfig.toml"
    config.write_text(
        f'version = 0.1\n[prod.global.parameters]\nstack_name = "billing"\nregion = "{REGION}"\n'
    )
    return config


@pytest.mark.usefixtures("function")
def test_a_stack_that_does_not_administer_its_database_says_what_to_do(tmp_path: Path) -> None:
    queue = {"Type": "AWS::SQS::Queue"}
    boto3.client("cloudformation", region_name=REGION).create_stack(
        StackName="billing", TemplateBody=json.dumps({"Resources": {"Queue": queue}})
    )
    with pytest.raises(SystemExit, match=r"DATABASE_URL=postgresql://\.\.\. make migrate"):
        command.main("prod", _configure(tmp_path))


@pytest.mark.usefixtures("function")
def test_a_stack_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"Cannot migrate billing: .*does not exist"):
        command.main("prod", _configure(tmp_path))


def test_make_migrate_takes_an_environment_or_a_database() -> None:
    def told(*given: str) -> str:
        ran = subprocess.run(
            ["make", "-n", "migrate", *given], capture_output=True, text=True, check=True
        )
        return ran.stdout

    assert ".venv-sam/bin/python -m local.online prod samconfig.toml" in told("ENV=prod")
    assert "-m local migrate" in told()


def test_an_invocation_ends_before_its_function_and_before_who_asked() -> None:
    function = read({}).functions["MigrateFunction"]
    seconds: int = function.load().ONLINE_SECONDS
    assert 2 * seconds < command._PATIENCE.read_timeout < function.timeout_seconds
