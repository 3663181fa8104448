"""The demo charges what it says, and says what it charged."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from local.template import ROOT


def test_the_demo_ends_without_drift(folders: Callable[[str], Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.demo", "--requests", "200"],
        cwd=ROOT,
        env={
            **{name: of for name, of in os.environ.items() if not name.endswith("_URL")},
            "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}",
            "STATE": str(folders("demo")),
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Drift 0.00 USD; every promise of the ledger holds." in done.stdout
    assert "refused for want of credit" in done.stdout
