"""The API does what its OpenAPI document says, whatever it is asked: no crash, no surprise."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.template import ROOT
from tests.running import EVERYTHING, Client

# Times that each route is asked in each way; `make fuzz` asks more often.
EXAMPLES = int(os.environ.get("FUZZ", "3"))
# Rules that a schema cannot hold refuse what it allows (an empty period, a reused key), and API
# Gateway answers 404 for a method that a path has not.
LEFT_OUT = "positive_data_acceptance,unsupported_method"


@pytest.mark.parametrize("who", ["platform", "tenant"])
def test_every_answer_is_as_documented(who: str, api: Client, tmp_path: Path) -> None:
    asking = api
    if who == "tenant":
        own = api.new_organization("1000", low_balance_threshold_usd="10").rpartition("/")[2]
        asking = api.other(EVERYTHING.replace("billing:platform ", ""), own)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/openapi.json"),
        *("--header", f"Authorization: {asking.http.headers['authorization']}"),
        *("--max-examples", str(EXAMPLES), "--seed", "7", "--workers", "2"),
        *("--exclude-checks", LEFT_OUT, "--continue-on-failure", "--warnings", "off"),
        *("--generation-database", "none", "--no-color"),
    ]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    asked = re.search(r"(\d+) generated", run.stdout)
    assert asked, run.stdout + run.stderr
    sys.stdout.write(f"\n{who}: {asked[1]} requests\n")
    assert run.returncode == 0, run.stdout[-8000:]
    assert int(asked[1]) > 1000
    assert api.get("/health").json()["database"] == "ok"
