"""What a cold start pays for imports, in fresh processes."""

import statistics
import subprocess
import sys
from pathlib import Path

from local.template import ROOT

ROUNDS = 7
OURS = "import app"
UNAVOIDABLE = (
    "import psycopg, psycopg.types.json, pydantic;"
    " from aws_lambda_powertools import Logger, Metrics;"
    " from aws_lambda_powertools.event_handler import APIGatewayHttpResolver;"
    " from aws_lambda_powertools.event_handler.middlewares import openapi_validation;"
    " APIGatewayHttpResolver(enable_validation=True)"
)
NAIVE = f"import boto3; boto3.client('s3', region_name='x'); {OURS}"


def measure() -> tuple[float, float, float | None]:
    """Median seconds of: the charge function, what it cannot do without, and the naive whole.

    The naive one needs boto3, which is only in the virtual environment of sam; None without it.
    """
    sam = next((ROOT / ".venv-sam").glob("lib/python3*/site-packages"), None)
    programs = {OURS: None, UNAVOIDABLE: None} | ({NAIVE: sam} if sam else {})
    times: dict[str, list[float]] = {program: [] for program in programs}
    for _ in range(ROUNDS):
        for program, extra in programs.items():
            times[program].append(_seconds(program, extra))
    medians = {program: statistics.median(of) for program, of in times.items()}
    return medians[OURS], medians[UNAVOIDABLE], medians.get(NAIVE)


def _seconds(program: str, extra: Path | None) -> float:
    folders = [str(ROOT / "functions/charge"), str(ROOT / "shared")]
    code = (
        f"import sys, time; sys.path[:0] = {folders}; sys.path += {[str(extra)] if extra else []};"
        f" began = time.perf_counter(); {program}; print(time.perf_counter() - began)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"POWERTOOLS_METRICS_NAMESPACE": "bench", "POWERTOOLS_SERVICE_NAME": "charge"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.splitlines()[-1])
