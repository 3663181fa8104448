"""How many charges a second: by pgbench, by psycopg, and through the whole handler."""

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
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

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
ROUNDS = 3
USAGE: dict[str, Any] = {
    "amount_usd": "0.00012345",
    "description": "chat completion",
    "model": "gpt-4o",
    "provider": "openai",
    "tokens": 418,
    "team_id": "0190b8a2-7c11-7d3e-9a51-3f2b6c8d9e04",
    "virtual_key_id": "0190b8a2-7c11-7d3e-9a51-3f2b6c8d9e05",
}
# The same call by its tokens, which the shipped price list prices.
TOKENS = {
    **{name: of for name, of in USAGE.items() if name not in ("amount_usd", "tokens")},
    "usage": {"input": 374, "output": 44},
}
HERE = Path(__file__).parent


class Stand:
    """A migrated database with organizations that have plenty of credit."""

    def __init__(self, app_url: str, admin_url: str, seconds: int) -> None:
        self.app_url, self.admin_url, self.seconds = app_url, admin_url, seconds
        self._numbers = itertools.count()
        with self._connect() as db:
            self.ids = [self._organization(db) for _ in range(ORGANIZATIONS)]

    def one_client(self) -> tuple[float, float]:
        """Charges a second by pgbench and by psycopg, each the median of alternating rounds."""
        by_pgbench, by_psycopg = [], []
        with self._connect() as db:
            for _ in range(ROUNDS):
                by_pgbench.append(self.hot(1, 1))
                by_psycopg.append(self._rate(self._charge, db))
        return statistics.median(by_pgbench), statistics.median(by_psycopg)

    def five_statements(self) -> float:
        """The same writes, without chain, rollup and policies, as a client's transaction."""
        statements = (HERE / "five_statements.sql").read_text().split(";")[:5]
        with psycopg.connect(self.admin_url, prepare_threshold=None) as db:
            organization_id = self._organization(db)
            db.commit()
            return self._rate(self._five, db, statements, organization_id)

    def kinds(self) -> tuple[float, float, float, float]:
        """The median seconds of a charge by its amount, of one by its tokens, and of both with
        three budgets, in turns."""
        ship_prices(self.app_url)
        free, budgeted = self.ids[1], self.ids[3]
        kinds = ((USAGE, free), (TOKENS, free), (USAGE, budgeted), (TOKENS, budgeted))
        times: tuple[list[float], ...] = ([], [], [], [])
        ends = time.monotonic() + 4 * self.seconds
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
        ends = time.monotonic() + 2 * self.seconds
        with self._connect() as db:
            while time.monotonic() < ends:
                bare.append(_timed(self._charge, db))
                event = self._event()
                with contextlib.redirect_stdout(io.StringIO()):
                    whole.append(_timed(serve, event))
        return statistics.median(bare), statistics.median(whole)

    def hot(self, clients: int, batch: int) -> float:
        """Items a second on one organization."""
        return batch * self._pgbench(clients, _script(f"'{self.ids[0]}'", batch), self.app_url)

    def spread(self, clients: int) -> float:
        """Charges a second over all organizations."""
        listed = ",".join(f'"{one}"' for one in self.ids)
        organization = f"('[{listed}]'::jsonb ->> :o::int)"
        script = f"\\set o random(0, {ORGANIZATIONS - 1})\n" + _script(organization, 1)
        return self._pgbench(clients, script, self.app_url)

    def pgledger(self, clients: int, files: list[Path]) -> tuple[float, float]:
        """Its transfers a second between random pairs, and into one account."""
        with psycopg.connect(self.admin_url, autocommit=True) as db:
            for file in files:
                db.execute(file.read_bytes())
            db.execute(
                "CREATE TABLE peer AS SELECT row_number() OVER () AS n, id"
                " FROM generate_series(1, %s) AS i, pgledger_create_account('a' || i, 'USD')",
                [ORGANIZATIONS + 1],
            )
            db.execute("CREATE UNIQUE INDEX ON peer (n)")
        transfer = (
            "SELECT pgledger_create_transfer((SELECT id FROM peer WHERE n = :a),"
            " (SELECT id FROM peer WHERE n = :b), 0.01);\n"
        )
        one = f"\\set a random(1, {ORGANIZATIONS})\n"
        other = f"\\set b 1 + (:a + random(0, {ORGANIZATIONS - 2})) % {ORGANIZATIONS}\n"
        last = f"\\set b {ORGANIZATIONS + 1}\n"
        return (
            self._pgbench(clients, one + other + transfer, self.admin_url),
            self._pgbench(clients, one + last + transfer, self.admin_url),
        )

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self.app_url, autocommit=True, prepare_threshold=None)

    def _organization(self, db: psycopg.Connection) -> UUID:
        request = profile.NewOrganization(name="Bench", billing_currency="USD")
        organization_id = profile.create_organization(db, CALLER, request).id
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

    def _rate(self, action: Callable[..., None], *arguments: Any) -> float:
        began = time.monotonic()
        for count in itertools.count(1):
            action(*arguments)
            if (passed := time.monotonic() - began) >= self.seconds:
                return count / passed
        raise AssertionError("unreachable")

    def _pgbench(self, clients: int, script: str, url: str) -> float:
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(script)
            file.flush()
            command = [str(postgres_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared"]
            command += [f"--client={clients}", "--jobs=2", f"--time={self.seconds}"]
            command += [f"--file={file.name}", url]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        assert found, done.stderr
        return float(found[1])


def _script(organization: str, batch: int) -> str:
    """A call that charges so many new items to the organization."""
    key = ":client_id || '-' || :r"
    start = "\\set r random(1, 9000000000000000)\n"
    if batch == 1:
        arguments = f"NULL, 'charge', '*', {organization}::uuid, {_item('NULL', key)}"
        return f"{start}CALL billing.spend({arguments});\n"
    item = _item(organization, f"{key} || '-' || n")
    items = f"(SELECT jsonb_agg({item}) FROM generate_series(1, {batch}) AS n)"
    return f"{start}CALL billing.spend_batch(NULL, '*', {items});\n"


def _item(organization: str, key: str) -> str:
    """The JSON of a charge, from text, as a client sends it."""
    # pgbench ends a statement of its scripts at the line's end.
    template = " ".join((HERE / "item.sql").read_text().split())
    return template.replace(":organization", organization).replace(":key", key)


def _timed(action: Callable[..., None], *arguments: Any) -> float:
    began = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - began
