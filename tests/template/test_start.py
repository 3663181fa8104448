"""What a function does before its first request: nothing that a snapshot would make stale."""

import json
import os
import subprocess
import sys

import pytest

from local.template import ROOT, read

# Loads each function in a process of its own, which begins with the libraries that all have, and
# prints the errors by the functions' names. It is an error to connect, to look a name up, or to ask
# for randomness. Python's own modules may seed themselves.
_WATCH = """
import json, os, random, secrets, sys, traceback, uuid
sys.path[:0] = {path!r}
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        raise AssertionError(event)
sys.addaudithook(watch)
def made(*_):
    raise AssertionError("an id was made")
uuid.uuid4 = secrets.token_bytes = made
import aws_lambda_powertools.metrics, psycopg, pydantic
from local.template import read
def load(name, function):
    function.load()
    assert "boto3" not in sys.modules
    # A charge needs no cache.
    assert name != "ChargeFunction" or "redis" not in sys.modules
    from synaxis_billing.edge import database
    assert database._connection is None
errors = {{}}
for name, function in read({{}}).functions.items():
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            load(name, function)
            error = ""
        except BaseException:
            error = traceback.format_exc()
        os.write(writing, error.encode()[-2000:])
        os._exit(bool(error))
    os.close(writing)
    errors[name] = os.fdopen(reading).read()
    assert bool(os.wait()[1]) == bool(errors[name])
print(json.dumps(errors))
"""


@pytest.fixture(scope="module")
def errors() -> dict[str, str]:
    """What went wrong while each function was loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _WATCH.format(path=[str(ROOT / "shared"), str(ROOT)])],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "POWERTOOLS_METRICS_NAMESPACE": "test"},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", sorted(read({}).functions))
def test_nothing_is_connected_to_and_nothing_is_made_up(name: str, errors: dict[str, str]) -> None:
    assert errors[name] == ""


def test_the_charge_function_loads_nothing_of_payments() -> None:
    """So that its import costs what it did before there were payments."""
    folders = [str(ROOT / "functions/charge"), str(ROOT / "shared")]
    code = f"import sys; sys.path[:0] = {folders!r}; import app; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "POWERTOOLS_METRICS_NAMESPACE": "test"},
    )
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "synaxis_billing.ledger.transactions" in loaded
    assert [name for name in loaded if "payments" in name] == []
