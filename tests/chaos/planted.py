"""Plant one mistake after the other in a copy of the product, run the test that must notice it, and
print what noticed it: `python -m tests.chaos.planted [words of a name]`. Fails if a mistake is not
noticed, or cannot be planted any more."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from local.template import ROOT

PRODUCT = Path("shared/synaxis_billing")
# A test failed, as pytest says it by its exit status.
NOTICED = 1
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?)(?:\[| - |$)", re.MULTILINE)
_REASON = re.compile(r"^E\s+(\S.*)$", re.MULTILINE)
LONGEST_REASON = 90


class Bug(NamedTuple):
    """A text of a file, what stands there instead, and the test that must fail then."""

    name: str
    file: str
    text: str
    instead: str
    test: str


BUGS = [
    Bug(
        "a charge does not look at the balance",
        "ledger/charges.sql",
        "o.balance_usd + o.credit_limit_usd - o.held_usd >= u.amount_usd",
        "true",
        "tests/ledger/test_races.py::test_the_last_dollar_is_spent_once",
    ),
    Bug(
        "a charge does not store its key",
        "ledger/charges.sql",
        "    VALUES (p_organization_id, u.idempotency_key, u.request_id, u.fingerprint,"
        " 'transaction', v_id, t.changed_at);",
        "    SELECT p_organization_id, u.idempotency_key, u.request_id, u.fingerprint,"
        " 'transaction', v_id, t.changed_at WHERE false;",
        "tests/ledger/test_races.py::test_one_key_charges_once_however_many_send_it",
    ),
    Bug(
        "the organization's row is read without its lock",
        "organizations/organizations.sql",
        "FROM billing.organizations WHERE id = p_organization_id FOR NO KEY UPDATE;\n    IF FOUND",
        "FROM billing.organizations WHERE id = p_organization_id;\n    IF FOUND",
        "tests/ledger/test_races.py::"
        "test_holds_and_charges_at_once_never_promise_the_same_credit_twice",
    ),
    Bug(
        "the retry after a lost reply charges again",
        "ledger/charges.py",
        'usage_arguments("charge", caller, request, idempotency_key=key)',
        'usage_arguments("charge", caller, request,'
        " idempotency_key=f\"{key} {__import__('uuid').uuid4()}\")",
        "tests/chaos/test_faults.py",
    ),
    Bug(
        "two grants pay for one part of a charge",
        "grants/burn_down.sql",
        "SELECT ordinality::int, id, ends_usd - usable_usd, least(ends_usd, p_to_usd)",
        "SELECT ordinality::int, id, p_from_usd, least(ends_usd, p_to_usd)",
        "tests/grants/test_worked_example.py",
    ),
    Bug(
        "a charge is not counted in its budgets",
        "budgets/counting.sql",
        "billing.level(ROW(b.*)::billing.budgets, p_at) + u.amount_usd",
        "billing.level(ROW(b.*)::billing.budgets, p_at)",
        "tests/budgets/test_budgets.py::test_each_subject_counts_its_own_calls",
    ),
    Bug(
        "a hold does not expire",
        "ledger/holds.sql",
        "AND status = 'held' AND expires_at <= v_now",
        "AND status = 'held' AND expires_at = 'infinity'",
        "tests/ledger/test_holds.py::"
        "test_an_expired_hold_reserves_nothing_though_nothing_has_swept_it",
    ),
    Bug(
        "an invoice rounds down",
        "invoices/amounts.sql",
        "SELECT round(p_usd * p_exchange_rate, p_minor_units)",
        "SELECT trunc(p_usd * p_exchange_rate, p_minor_units)",
        "tests/invoices/test_rounding.py::test_an_amount_is_rounded_half_up",
    ),
    Bug(
        "the numbers of invoices have gaps",
        "invoices/invoices.sql",
        "DO UPDATE SET last = c.last + 1 RETURNING",
        "DO UPDATE SET last = c.last + 2 RETURNING",
        "tests/invoices/test_invoices.py::"
        "test_numbers_have_no_gap_though_many_are_issued_at_once_and_some_are_rolled_back",
    ),
    Bug(
        "a payment that is settled again is credited again",
        "payments/settlement.sql",
        "IF p.captured > 0 AND p.grant_id IS NULL THEN",
        "IF p.captured > 0 THEN",
        "tests/payments/test_settlement.py::test_the_same_answer_again_books_nothing",
    ),
    Bug(
        "a load that began before a flush of the cache stores its old value",
        "cache/lua/fill.lua",
        "        fenced = true",
        "        fenced = false",
        "tests/cache/test_cache_races.py::test_a_slow_reader_does_not_put_an_old_value_back",
    ),
]


def main(words: str) -> int:
    """Return the exit status: 0 when each planted bug was noticed."""
    table = Table("planted", "noticed by", "as", "seconds")
    missed = 0
    for bug in BUGS:
        if words in bug.name:
            started = time.monotonic()
            noticed_by, reason = _try(bug)
            missed += not noticed_by
            seconds = f"{time.monotonic() - started:.0f}"
            table.add_row(bug.name, noticed_by or "[red]nothing", reason, seconds)
            print(f"{bug.name}: {noticed_by or 'NOT NOTICED'}", flush=True)
    Console(width=200).print(table)
    return min(1, missed)


def _try(bug: Bug) -> tuple[str, str]:
    """The test that failed with the bug, empty if none did, and the first reason it gave."""
    with tempfile.TemporaryDirectory(prefix="synaxis-planted-") as folder:
        copy = Path(folder)
        _copy(copy)
        _plant(copy, bug)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n0", "-x", "--no-header", bug.test],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": "shared:."},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode not in (0, NOTICED):
        raise SystemExit(f"{bug.name}: the test did not run:\n{done.stdout}{done.stderr}")
    if done.returncode == 0:
        return "", ""
    [name, *_] = _FAILED.findall(done.stdout) or [bug.test]
    [reason, *_] = _REASON.findall(done.stdout) or [""]
    return name.removeprefix("tests/"), reason[:LONGEST_REASON]


def _copy(target: Path) -> None:
    """Copy what git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    target.chmod(0o755)


def _plant(copy: Path, bug: Bug) -> None:
    path = copy / PRODUCT / bug.file
    text = path.read_text()
    if text.count(bug.text) != 1:
        raise SystemExit(
            f"{bug.name}: {bug.file} has this {text.count(bug.text)} times, not once: {bug.text}"
        )
    path.write_text(text.replace(bug.text, bug.instead))


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
