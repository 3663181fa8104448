"""What a cold start pays for imports, in fresh processes."""

import statistics
import subprocess
import sys
from pathlib import Path

from local.template import ROOT

ROUNDS = 7
OURS = "import app"
UNAVOIDABLE = (
    "import psycopg, psycopg.types.json, pydantic; pydantic.BaseModel;"
    " from aws_lambda_powertools import Logger, Metrics"
)
NAIVE = f"import boto3; boto3.client('s3', region_name='x'); {OURS}"


def measure(before: Path | None) -> tuple[float, list[tuple[str, float, float | None]]]:
    """Median seconds of CPU of the charge function, and what it is held against: the name, the
    seconds, and the budget for the ratio.

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
            times[name].append(_seconds(*contender))
    medians = {name: statistics.median(of) for name, of in times.items()}
    ours = medians.pop("ours")
    return ours, [(name, seconds, budgets.get(name)) for name, seconds in medians.items()]


def _seconds(program: str, root: Path, extra: Path | None) -> float:
    folders = [str(root / "functions/charge"), str(root / "shared")]
    code = (
        f"import sys, time; sys.path[:0] = {folders}; sys.path += {[str(extra)] if extra else []};"
        f" began = time.process_time(); {program}; print(time.process_time() - began)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"POWERTOOLS_METRICS_NAMESPACE": "bench", "POWERTOOLS_SERVICE_NAME": "charge"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.splitlines()[-1])
