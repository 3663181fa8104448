"""A stranger who follows the page from nothing gets calls that are charged."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.template import ROOT
from tests.client.conftest import free_port
from tests.client.proxy.conftest import SCRIPTS
from tests.local.test_readme import END, START, matches, steps_of
from tests.support.running import start, stop, wait_until_ready

INSTALL = """python3 -m venv .venv-proxy && . .venv-proxy/bin/activate
pip install ./clients/python 'litellm[proxy]'
"""
# What the page promises to a stranger whose environments are installed.
MINUTES = 5

pytestmark = pytest.mark.litellm


def test_the_page_leads_from_nothing_to_charged_calls(
    folders: Callable[[str], Path], tmp_path: Path, upstream: str
) -> None:
    began = time.monotonic()
    state = folders("stranger")
    process = start(state)
    try:
        url, port = wait_until_ready(process, state), free_port()
        page = (ROOT / "docs/gateway.md").read_text().replace("http://127.0.0.1:3000", url)
        steps = [
            step
            for step in steps_of(page.replace("127.0.0.1:4000", f"127.0.0.1:{port}"))
            if step.commands not in (START, INSTALL)
        ]
        script = "\n".join(f"{step.commands}\necho '{END}'" for step in steps)
        done = subprocess.run(
            ["bash", "-euc", script.replace("--port 4000", f"--port {port}")],
            cwd=tmp_path,
            env={
                **os.environ,
                "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT / "clients/python/src"),
                "SYNAXIS_BILLING_URL": url,
                "OPENAI_BASE_URL": f"{upstream}/v1",
                "OPENAI_API_KEY": "sk-up",
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        stop(process)
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = done.stdout.split(f"{END}\n")
    for step, output in zip(steps, outputs, strict=False):
        assert step.shown is None or matches(step.shown, output), f"{step.commands}\n{output}"
    seconds = time.monotonic() - began
    print(f"the page took {seconds:.0f} seconds", file=sys.stderr)  # noqa: T201
    assert seconds < MINUTES * 60
