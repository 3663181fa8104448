"""What a cold start pays for imports, in fresh processes."""

import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from local.template import ROOT

ROUNDS = 7
OURS = "import app"
UNAVOIDABLE = (
    "import psycopg, psycopg.types.json, pydantic; pydantic.BaseModel;"
    " from aws_lambda_powertools import Logger, Metrics"
)
NAIVE = f"import boto3; boto3.client('s3', region_name='x'); {OURS}"
# The handlers of payments, by folder and module. Each has its own package.
PAYMENTS = (
    ("payments", "app"),
    ("payment_events", "app"),
    ("payment_settlement", "settle"),
    ("payment_settlement", "sweep"),
    ("payments", "call"),
)
LIBRARIES = "import stripe, paypalserversdk.paypal_serversdk_client"


class Import(NamedTuple):
    """Median seconds of CPU of an import, what it is held against, and the budget of the ratio."""

    name: str
    seconds: float
    against: str
    other: float
    budget: float | None


def measure(before: Path | None) -> list[Import]:
    """Measure the charge function beside others.

    These are: what it cannot do without, the function of another checkout, and all with boto3,
    which is only in the virtual environment of sam.
    """
    sam = next((ROOT / ".venv-sam").glob("lib/python3*/site-packages"), None)
    contenders: dict[str, tuple[str, Path, Path | None]] = {
        "ours": (OURS, ROOT, None),
        "what it cannot avoid": (UNAVOIDABLE, ROOT, None),
    }
    budgets = {"the first release": 0.75, "the same with boto3": 0.6}
    if before is not None:
        contenders["the first release"] = (OURS, before, None)
    if sam is not None:
        contenders["the same with boto3"] = (NAIVE, ROOT, sam)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            times[name].append(_seconds("charge", *contender))
    medians = {name: statistics.median(of) for name, of in times.items()}
    ours = medians.pop("ours")
    return [
        Import("the charge function", ours, name, seconds, budgets.get(name))
        for name, seconds in medians.items()
    ]


def measure_payments() -> list[Import]:
    """Measure each handler of payments beside what it cannot do without; the one that calls the
    providers, beside the same with their own libraries."""
    names = [f"{folder}.{module}" for folder, module in PAYMENTS]
    times: dict[str, list[float]] = {name: [] for name in ["", *names, "libraries"]}
    for _ in range(ROUNDS):
        times[""].append(_seconds("payments", UNAVOIDABLE, ROOT))
        times["libraries"].append(_seconds("payments", f"{LIBRARIES}; import call", ROOT))
        for name, (folder, module) in zip(names, PAYMENTS, strict=True):
            times[name].append(_seconds(folder, f"import {module}", ROOT))
    medians = {name: statistics.median(of) for name, of in times.items()}
    *others, calls = names
    libraries = (calls, medians[calls], "the same with the providers' libraries")
    return [
        *(
            Import(name, medians[name], "what it cannot avoid", medians[""], None)
            for name in others
        ),
        Import(*libraries, medians["libraries"], 0.75),
    ]


def _seconds(function: str, program: str, root: Path, extra: Path | None = None) -> float:
    folders = [str(root / "functions" / function), str(root / "shared")]
    code = (
        f"import sys, time; sys.path[:0] = {folders}; sys.path += {[str(extra)] if extra else []};"
        f" began = time.process_time(); {program}; print(time.process_time() - began)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"POWERTOOLS_METRICS_NAMESPACE": "bench", "POWERTOOLS_SERVICE_NAME": function},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.splitlines()[-1])
