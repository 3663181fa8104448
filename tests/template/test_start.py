"""What a function does before its first request: nothing that a snapshot would make stale."""

import os
import subprocess
import sys

import pytest

from local.template import ROOT, read

# Raises when the module connects, looks a name up, or asks for randomness of its own. Python's own
# modules may seed themselves.
_WATCH = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
import random, secrets, uuid
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        raise AssertionError(event)
sys.addaudithook(watch)
def made(*_):
    raise AssertionError("an id was made")
uuid.uuid4 = secrets.token_bytes = made
from local.template import read
read({{}}).functions[{name!r}].load()
assert "boto3" not in sys.modules
# A charge needs no cache.
assert {name!r} != "ChargeFunction" or "redis" not in sys.modules
from synaxis_billing.edge import database
assert database._connection is None
"""


@pytest.mark.parametrize("name", sorted(read({}).functions))
def test_nothing_is_connected_to_and_nothing_is_made_up(name: str) -> None:
    script = _WATCH.format(path=[str(ROOT / "shared"), str(ROOT)], name=name)
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "POWERTOOLS_METRICS_NAMESPACE": "test"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
