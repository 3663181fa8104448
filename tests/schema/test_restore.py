"""What docs/restore.md does on AWS, rehearsed here: the state of an instant is restored in a new
server, migrated and audited, and clients that retry by the guide lose nothing."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from local import servers
from local.database import prepare
from tests.conftest import Database
from tests.support import steps

KEYS = [f"call-{number}" for number in range(60)]


@pytest.fixture
def new_server(folders: Callable[[str], Path]) -> Iterator[str]:
    """The administrator's URL of a server that has none of our roles."""
    with servers.postgres(folders("restored"), durable=False) as url:
        yield url


def _snapshot(url: str) -> bytes:
    command = [str(servers.postgres_binaries() / "pg_dump"), "--format=custom", f"--dbname={url}"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def _restore(snapshot: bytes, url: str) -> None:
    command = [str(servers.postgres_binaries() / "pg_restore"), "--no-owner", f"--dbname={url}"]
    # Its roles are not there yet: it says so, and goes on.
    done = subprocess.run(command, input=snapshot, capture_output=True, check=False)
    assert b"could not" not in done.stderr.replace(b"could not execute query", b""), done.stderr


def test_a_restored_instant_is_whole_and_retries_bring_back_what_came_later(
    database: Database, new_server: str
) -> None:
    with database.connect() as db:
        acme = steps.new_organization(db, "100")
    begun, taken, ended = (threading.Event() for _ in range(3))

    def charge_on() -> None:
        with database.connect() as db:
            for key in KEYS[:-1]:
                if key == KEYS[len(KEYS) // 2]:
                    begun.set()
                steps.charge(db, acme, "1", key)
            # The last one comes after the instant.
            taken.wait(60)
            steps.charge(db, acme, "1", KEYS[-1])
        ended.set()

    # The instant is in the midst of the load.
    load = threading.Thread(target=charge_on)
    load.start()
    assert begun.wait(60)
    snapshot = _snapshot(database.admin_url)
    taken.set()
    assert ended.wait(60)
    load.join()

    _restore(snapshot, new_server)
    restored = Database(prepare(new_server), new_server)
    assert restored.audit().whole
    kept = _charged(restored)
    # What was acknowledged until then, and nothing else.
    assert kept == KEYS[: len(kept)]
    assert len(KEYS) // 2 <= len(kept) < len(KEYS)
    with restored.connect() as db:
        retried = [steps.charge(db, acme, "1", key) for key in KEYS]
        assert len({one.id for one in retried}) == len(KEYS)
        assert _charged(restored) == KEYS
        assert retried[-1].balance_after_usd == Decimal(100 - len(KEYS))
    assert restored.audit().whole


def _charged(database: Database) -> list[str]:
    with database.admin() as admin:
        rows = admin.execute("SELECT key FROM billing.idempotency WHERE key LIKE 'call-%'")
        found = {key for (key,) in rows}
    return [key for key in KEYS if key in found]
