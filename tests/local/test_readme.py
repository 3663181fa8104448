"""The README's session does what the README says."""

import json
import re
import subprocess

from local.template import ROOT
from tests.support.running import Client


def test_the_session_of_the_readme(api: Client) -> None:
    session = re.search(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert session
    script = session[1].replace("URL=http://127.0.0.1:3000", f"URL={api.url}")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    made, credited, charged, refused, balance = map(json.loads, done.stdout.splitlines())
    assert made["name"] == "Acme"
    assert credited["balance_after_usd"] == "25.50"
    assert charged["balance_after_usd"] == "25.4877"
    assert (refused["status"], refused["deficit_usd"]) == (402, "74.5123")
    assert balance["available_usd"] == "25.4877"
