"""Charges by pgbench, by psycopg and through the whole handler, beside transfers of pgledger."""

import contextlib
import hashlib
import io
import itertools
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from bench.turns import Contender, Turns, postmaster, take_turns, timed
from local.database import ship_prices
from local.servers import postgres_binaries
from local.template import ROOT, read
from synaxis_billing import procedures
from synaxis_billing.budgets import budgets
from synaxis_billing.caller import Caller
from synaxis_billing.ledger import credit
from synaxis_billing.organizations import profile

CALLER = Caller(tenant="*", subject="bench")
ORGANIZATIONS = 1000
CLIENTS = 8
# pgbench writes the last six digits of an organization's id.
FIRST = 100_000
SLICE_SECONDS = 1
USAGE: dict[str, Any] = {
    "amount_usd": "0.00012345",
    "description": "chat completion",
    "model": "gpt-4o",
    "provider": "openai",
    "tokens": 418,
    "team_id": "0190b8a2-7c11-7d3e-9a51-3f2b6c8d9e04",
    "virtual_key_id": "0190b8a2-7c11-7d3e-9a51-3f2b6c8d9e05",
}
# A charge as billing.usage_request has it; its key and request are still to be named.
CHARGE: dict[str, Any] = {**USAGE, "fingerprint": "\\x" + "ab" * 32, "initiated_by": "bench"}
# The same call by its tokens, which the shipped price list prices.
TOKENS = {
    **{name: of for name, of in USAGE.items() if name not in ("amount_usd", "tokens")},
    "usage": {"input": 374, "output": 44},
}
HERE = Path(__file__).parent
MANY = f"\\set o random({FIRST}, {FIRST + ORGANIZATIONS - 1})\n"
HOT = f"\\set o {FIRST}\n"
PAIRS = (
    f"\\set a random(1, {ORGANIZATIONS})\n"
    f"\\set b 1 + (:a + random(0, {ORGANIZATIONS - 2})) % {ORGANIZATIONS}\n"
)
INTO_ONE = f"\\set a random(1, {ORGANIZATIONS})\n\\set b {ORGANIZATIONS + 1}\n"
TRANSFER = (
    "SELECT pgledger_create_transfer((SELECT id FROM peer WHERE n = :a),"
    " (SELECT id FROM peer WHERE n = :b), 0.01);\n"
)


class Stand:
    """A migrated database with organizations that have plenty of credit, and pgledger if its SQL
    files are given."""

    def __init__(self, app_url: str, admin_url: str, rounds: int, peer: list[Path]) -> None:
        self.app_url, self.admin_url, self.rounds = app_url, admin_url, rounds
        self._numbers = itertools.count()
        self._server = postmaster(admin_url)
        with self._connect() as db:
            db.execute("SET synchronous_commit = off")
            self.ids = [self._organization(db, FIRST + n) for n in range(ORGANIZATIONS)]
        self.has_peer = bool(peer)
        if peer:
            self._install(peer)

    def one_client(self) -> Turns:
        """One client's charges by pgbench and by psycopg, and as a client's five statements."""
        statements = (HERE / "five_statements.sql").read_text().split(";")[:5]
        with (
            self._connect() as db,
            psycopg.connect(self.admin_url, prepare_threshold=None) as admin,
        ):
            of_five = self._organization(admin, FIRST + ORGANIZATIONS)
            admin.commit()
            return self._take_turns(
                {
                    "pgbench": self._pgbench(HOT + charges(), 1),
                    "psycopg": lambda: timed(lambda: self._charge(db), SLICE_SECONDS),
                    "five statements": lambda: timed(
                        lambda: self._five(admin, statements, of_five), SLICE_SECONDS
                    ),
                }
            )

    def many(self) -> Turns:
        """Charges of all organizations, and transfers between random pairs of as many accounts."""
        ours, theirs = MANY + charges(), PAIRS + TRANSFER
        return self._take_turns(
            {
                "charges": self._pgbench(ours),
                "charges, unprepared": self._pgbench(MANY + charges(as_text=True), text=True),
            }
            | self._peers(
                {
                    "pgledger": self._pgbench(theirs, admin=True),
                    "pgledger, unprepared": self._pgbench(theirs, admin=True, text=True),
                }
            )
        )

    def hot(self) -> Turns:
        """Charges of one organization, and transfers into one account."""
        single = self._pgbench(HOT + charges())
        return self._take_turns(
            {
                f"charges, {clients} clients": self._pgbench(HOT + charges(), clients)
                for clients in (1, 4)
            }
            | {"charges": single}
            | {
                f"batches of {size}": self._pgbench(HOT + batches(size), items=size)
                for size in (100, 1000)
            }
            | self._peers({"pgledger": self._pgbench(INTO_ONE + TRANSFER, admin=True)})
        )

    def hot_with_slow_commits(self) -> Turns:
        """The same where a commit takes 1.5 ms longer, as one in two zones does."""
        with self.slow_commits():
            return self._take_turns(
                {"charges": self._pgbench(HOT + charges())}
                | self._peers({"pgledger": self._pgbench(INTO_ONE + TRANSFER, admin=True)})
            )

    def wal_bytes(self) -> tuple[float, float | None]:
        """The bytes of WAL of a charge, and of a transfer, long after a checkpoint."""

        def settled(script: str, admin: bool) -> float:
            # The first writes each page whole.
            return [self.wal_of(script, 3000, admin=admin) for _ in range(2)][1]

        theirs = settled(PAIRS + TRANSFER, True) if self.has_peer else None
        return settled(MANY + charges(), False), theirs

    def wal_of(self, script: str, count: int, *, admin: bool = False) -> float:
        """The bytes of WAL of a transaction of one client."""
        position = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float"
        with psycopg.connect(self.admin_url, autocommit=True) as db:
            before = db.execute(position).fetchone()
            self._run(script, admin, [f"--transactions={count}", "--client=1"])
            after = db.execute(position).fetchone()
        assert before
        assert after
        return float(after[0] - before[0]) / count

    def kinds(self) -> tuple[float, float, float, float]:
        """The median seconds of a charge by its amount, of one by its tokens, and of both with
        three budgets, in turns."""
        ship_prices(self.app_url)
        free, budgeted = self.ids[1], self.ids[3]
        kinds = ((USAGE, free), (TOKENS, free), (USAGE, budgeted), (TOKENS, budgeted))
        times: tuple[list[float], ...] = ([], [], [], [])
        ends = time.monotonic() + 4 * self.rounds * SLICE_SECONDS
        with self._connect() as db:
            self._budgets(db, budgeted)
            while time.monotonic() < ends:
                for kind, taken in zip(kinds, times, strict=True):
                    taken.append(_timed(self._charge, db, *kind))
        amount, tokens, budgets, both = map(statistics.median, times)
        return amount, tokens, budgets, both

    def handler(self) -> tuple[float, float]:
        """The median seconds of a bare call and of the whole handler, taken in turns."""
        serve = self._handler()
        bare, whole = [], []
        ends = time.monotonic() + 2 * self.rounds * SLICE_SECONDS
        with self._connect() as db:
            while time.monotonic() < ends:
                bare.append(_timed(self._charge, db))
                event = self._event()
                with contextlib.redirect_stdout(io.StringIO()):
                    whole.append(_timed(serve, event))
        return statistics.median(bare), statistics.median(whole)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self.app_url, autocommit=True, prepare_threshold=None)

    def _organization(self, db: psycopg.Connection, number: int) -> UUID:
        organization_id = UUID(f"00000000-0000-4000-8000-000000{number}")
        request = profile.NewOrganization(id=organization_id, name="Bench", billing_currency="USD")
        profile.create_organization(db, CALLER, request)
        topup = credit.TopUpRequest.model_validate({"amount_usd": "1000000"})
        credit.top_up(db, CALLER, organization_id, "first", topup)
        return organization_id

    def _budgets(self, db: psycopg.Connection, organization_id: UUID) -> None:
        for subject, subject_id, window in (
            ("organization", None, "month"),
            ("team", USAGE["team_id"], "week"),
            ("virtual_key", USAGE["virtual_key_id"], "day"),
        ):
            budget = {"subject": subject, "subject_id": subject_id, "window": window}
            request = budgets.NewBudget.model_validate({**budget, "limit_usd": "1000000"})
            budgets.create_budget(db, CALLER, organization_id, request)

    def _charge(
        self,
        db: psycopg.Connection,
        usage: dict[str, Any] = USAGE,
        organization_id: UUID | None = None,
    ) -> None:
        number = next(self._numbers)
        arguments = {
            **usage,
            "idempotency_key": f"call {number}",
            "request_id": f"call {number}",
            "fingerprint": "\\x" + "ab" * 32,
            "initiated_by": "bench",
        }
        outcome = procedures.call_procedure(
            db,
            "spend",
            operation="charge",
            tenant="*",
            organization_id=organization_id or self.ids[1],
            request=Jsonb(arguments),
        )
        assert outcome["outcome"] == "created"

    def _five(self, db: psycopg.Connection, statements: list[str], organization_id: UUID) -> None:
        number = next(self._numbers)
        values: dict[str, Any] = {
            "organization": organization_id,
            "key": f"five {number}",
            "print": hashlib.sha256(b"").digest(),
            "id": UUID(int=number),
            "now": datetime.now(UTC),
            "amount": Decimal("0.00012345"),
        }
        row = db.execute(statements[0].encode(), values).fetchone()
        assert row
        values |= {"balance": row[0], "version": row[1] + 1}
        for statement in statements[1:]:
            db.execute(statement.encode(), values)
        db.commit()

    def _handler(self) -> Callable[[Any], Any]:
        os.environ |= {
            "DATABASE_URL": self.app_url,
            "POWERTOOLS_METRICS_NAMESPACE": "bench",
            "POWERTOOLS_SERVICE_NAME": "charge",
        }
        module = read({}).functions["ChargeFunction"].load()
        context = SimpleNamespace(
            function_name="charge",
            memory_limit_in_mb=512,
            invoked_function_arn="arn",
            aws_request_id="request",
        )

        def serve(event: Any) -> None:
            assert module.handler(event, context)["statusCode"] == 201

        return serve

    def _event(self) -> Any:
        number = next(self._numbers)
        event = json.loads((ROOT / "events" / "charge.json").read_text())
        path = f"/v1/organizations/{self.ids[2]}/charges"
        event["rawPath"] = event["requestContext"]["http"]["path"] = path
        event["pathParameters"] = {"organization_id": str(self.ids[2])}
        event["headers"]["idempotency-key"] = f"event {number}"
        event["body"] = json.dumps({**USAGE, "request_id": f"event {number}"})
        return event

    def _take_turns(self, contenders: dict[str, Contender]) -> Turns:
        return take_turns(self._server, contenders, self.rounds)

    def _peers(self, contenders: dict[str, Contender]) -> dict[str, Contender]:
        return contenders if self.has_peer else {}

    def _install(self, files: list[Path]) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as db:
            for file in files:
                db.execute(file.read_bytes())
            db.execute(
                "CREATE TABLE peer AS SELECT row_number() OVER () AS n, id"
                " FROM generate_series(1, %s) AS i, pgledger_create_account('a' || i, 'USD')",
                [ORGANIZATIONS + 1],
            )
            db.execute("CREATE UNIQUE INDEX ON peer (n)")

    @contextlib.contextmanager
    def slow_commits(self) -> Iterator[None]:
        def configure(statement: str) -> None:
            with psycopg.connect(self.admin_url, autocommit=True) as db:
                for name, value in (("commit_delay", 1500), ("commit_siblings", 0)):
                    db.execute(statement.format(name=name, value=value).encode())
                db.execute("SELECT pg_reload_conf()")
                time.sleep(0.2)

        configure("ALTER SYSTEM SET {name} = {value}")
        try:
            yield
        finally:
            configure("ALTER SYSTEM RESET {name}")

    def _pgbench(
        self,
        script: str,
        clients: int = CLIENTS,
        *,
        items: int = 1,
        admin: bool = False,
        text: bool = False,
    ) -> Contender:
        """Return what runs a script for a slice; `text`: every statement is parsed and planned
        anew, with its values in it."""

        def run() -> tuple[int, float]:
            options = [f"--client={clients}", "--jobs=2", f"--time={SLICE_SECONDS}"]
            said = self._run(script, admin, options, "simple" if text else "prepared")
            count = re.search(r"actually processed: (\d+)", said)
            rate = re.search(r"tps = ([\d.]+)", said)
            assert count
            assert rate
            return int(count[1]) * items, float(rate[1]) * items

        return run

    def _run(self, script: str, admin: bool, options: list[str], protocol: str = "prepared") -> str:
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(script)
            file.flush()
            command = [str(postgres_binaries() / "pgbench"), "--no-vacuum", *options]
            # Keys begin with the time, as clients are told to make them.
            command += [f"--define=start={time.time_ns()}", "--define=n=100000"]
            command += [f"--protocol={protocol}", f"--file={file.name}"]
            command.append(self.admin_url if admin else self.app_url)
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout


def charges(key: str = ":start-:client_id-:n", *, as_text: bool = False) -> str:
    """The script of a charge of organization :o. Its JSON is text, as a client sends it: prepared,
    the key is put into it by the server, since pgbench has no variables of text."""
    organization = "('00000000-0000-4000-8000-000000' || :o)::uuid"
    return (
        f"{_NEXT}CALL billing.spend(NULL, 'charge', '*', {organization},"
        f" {_text(_json({}, ''), key, as_text)});\n"
    )


def batches(size: int) -> str:
    """The script of a batch of charges of organization :o, which is the first."""
    of_one = {"organization_id": f"00000000-0000-4000-8000-000000{FIRST}"}
    items = ", ".join(_json(of_one, f"-{number}") for number in range(size))
    text = _text(f"[{items}]", ":start-:client_id-:n", False)
    return f"{_NEXT}CALL billing.spend_batch(NULL, '*', {text});\n"


_NEXT = "\\set n :n + 1\n\\set r random(1, 9000000000000000)\n"


def _json(more: dict[str, str], suffix: str) -> str:
    return json.dumps(
        {
            **CHARGE,
            **more,
            "idempotency_key": f"@{suffix}",
            "request_id": f"@{suffix}",
        }
    )


def _text(content: str, key: str, as_text: bool) -> str:
    if as_text:
        return f"'{content.replace('@', key)}'"
    parts = " || '-' || ".join(key.split("-"))
    return f"replace('{content}', '@', {parts})::jsonb"


def _timed(action: Callable[..., None], *arguments: Any) -> float:
    began = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - began
