"""The demo charges what it says, and says what it charged."""

import os
import subprocess
import sys
from pathlib import Path

from pypdf import PdfReader

from local.template import ROOT


def test_the_demo_ends_without_drift_with_a_forecast_a_receipt_and_a_statement(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.demo", "--requests", "200"],
        cwd=ROOT,
        env={
            **{name: of for name, of in os.environ.items() if not name.endswith("_URL")},
            "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}",
            "STATE": str(home),
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Drift 0.00 USD; every promise of the ledger holds." in done.stdout
    assert "refused for want of credit" in done.stdout
    assert "gpt-next-preview, which had no price, was kept; its price came" in done.stdout
    assert "A call of 0.00525 USD was refused, 402 budget_exceeded" in done.stdout
    assert "The limit was raised to 0.01 USD, and the call was charged." in done.stdout
    assert "Spend of Aurora Labs, and its forecast" in done.stdout
    assert "The credit of Aurora Labs" in done.stdout
    assert "Receipt of a call of gpt-next-preview" in done.stdout
    assert "0.00525 USD of paid credit" in done.stdout
    assert " settled by credit, 0.00 EUR to be paid:" in done.stdout
    [*_, path] = done.stdout.strip().splitlines()
    assert Path(path).parent == home / "invoices"
    page = PdfReader(path).pages[0].extract_text()
    for text in ("Example Gateway GmbH", "DE999999999", "Benteler Chat", Path(path).stem):
        assert text in page
