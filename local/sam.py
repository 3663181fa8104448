"""The API in containers of Lambda's image: what `sam build` packed, by `sam local start-api`.

SAM has no JWT authorizer. So it is given a template derived from the built one, in which the API's
functions are behind with_claims.py; it lies apart from what `sam deploy` takes.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from local.children import end_with_parent
from local.gateway import CLAIMS
from local.relay import relaying
from local.servers import write_private
from local.template import ROOT, read

# The name of this machine in containers.
HOST = "host.docker.internal"
BUILD = ROOT / ".aws-sam" / "build"
DERIVED = ROOT / ".aws-sam" / "start-api"
WRAPPER = ROOT / "local" / "with_claims.py"
IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
SAM = ROOT / ".venv-sam" / "bin" / "sam"
_PORTS = {"http": 80, "redis": 6379}
ENVIRONMENT = {**os.environ, "SAM_CLI_TELEMETRY": "0", "PYTHONPATH": ""}


def start_api(port: int, url: str, data: dict[str, str]) -> None:
    """Serve the API of the product that runs at `url` until interrupted, on the same data."""
    with contextlib.ExitStack() as stack:
        told = {
            "CLAIMS_URL": reach_url(stack, url) + CLAIMS,
            "DATABASE_URL": reach_database(stack, data["DATABASE_URL"]),
            "REDIS_URL": reach_url(stack, data["REDIS_URL"]),
            # As `make run` has it.
            "WEBHOOKS_TO_PRIVATE": "true",
        }
        derived = _derive()
        environment = DERIVED / "environment.json"
        write_private(environment, json.dumps({"Parameters": told}))
        start = command("start-api", "-t", derived, "-n", environment, "--port", port)
        with subprocess.Popen(
            [*start, "--warm-containers", "LAZY"],
            env=ENVIRONMENT,
            start_new_session=True,  # Ctrl-C is for us; we stop it in order
            preexec_fn=end_with_parent(signal.SIGTERM),
        ) as process:
            try:
                sys.exit(process.wait())
            finally:
                process.terminate()
                process.wait()


def command(kind: str, *options: object) -> list[str]:
    """`sam local kind`, whose containers reach this machine."""
    found = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False)
    offline = [] if found.returncode else ["--skip-pull-image"]
    host = ["--add-host", f"{HOST}:host-gateway"]
    return [str(SAM), "local", kind, *map(str, options), *offline, *host]


def address() -> str:
    """Of this machine, as containers reach it; where Docker runs in a machine of its own, it leads
    to this one's loopback by itself."""
    bridge = psutil.net_if_addrs().get("docker0", [])
    found = [one.address for one in bridge if one.family == socket.AF_INET]
    return found[0] if found else "127.0.0.1"


def reach_database(stack: contextlib.ExitStack, url: str) -> str:
    """How containers connect to the database, as long as the stack lasts."""
    parts = conninfo_to_dict(url)
    host, port = _reach(stack, str(parts["host"]), int(parts.get("port") or 5432))
    return make_conninfo(url, host=host, port=port)


def reach_url(stack: contextlib.ExitStack, url: str) -> str:
    """The same for a URL of HTTP or Redis."""
    parts = httpx.URL(url)
    host, port = _reach(stack, parts.host, parts.port or _PORTS[parts.scheme])
    return str(parts.copy_with(host=host, port=port))


def _reach(stack: contextlib.ExitStack, host: str, port: int) -> tuple[str, int]:
    if host not in ("127.0.0.1", "localhost"):
        return host, port
    return HOST, stack.enter_context(relaying(address(), port))


def _derive() -> Path:
    """The built template's file, with what checks tokens in front of the API's functions."""
    document: dict[str, Any] = yaml.safe_load((BUILD / "template.yaml").read_text())
    shutil.rmtree(DERIVED, ignore_errors=True)
    for resource in document["Resources"].values():
        for uri in {"CodeUri", "ContentUri", "TemplateURL"} & set(resource["Properties"]):
            resource["Properties"][uri] = str(BUILD / resource["Properties"][uri])
    for name, function in read({}).functions.items():
        if function.routes:
            properties = document["Resources"][name]["Properties"]
            properties["CodeUri"] = str(shutil.copytree(BUILD / name, DERIVED / name))
            properties["Handler"] = f"{WRAPPER.stem}.handler"
            properties["Environment"]["Variables"]["CLAIMS_URL"] = ""
            shutil.copy(WRAPPER, DERIVED / name)
    derived = DERIVED / "template.json"
    derived.write_text(json.dumps(document))
    return derived
