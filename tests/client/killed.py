"""A gateway whose process is killed before a line of the client: `python -m tests.client.killed`
`<url> <token> <organization> <folder> <lease or ""> <line>...`.

For each line, a process makes calls and is killed before the client runs so many lines. It notes
in `<folder>/<line>/said` which call it is about to charge, and which it has charged as far as a
gateway can tell. A process that was not killed prints how many lines it ran.
"""

import asyncio
import itertools
import os
import signal
import sys
from decimal import Decimal
from pathlib import Path
from types import CodeType
from typing import Any

import synaxis_billing_client
from synaxis_billing_client import AsyncBilling, Retries, gateway
from tests.client.test_gateway import COST, Switched, call
from tests.support.running import PATIENCE_SECONDS

CLIENT = str(Path(synaxis_billing_client.__file__).parent)
TOOL = sys.monitoring.DEBUGGER_ID


async def bill(url: str, token: str, organization: str, folder: Path, lease_usd: str) -> None:
    """Charge calls while the product is there, goes away, is away, and comes back."""
    folder.mkdir()
    said = os.open(folder / "said", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    switched = Switched()
    billing = AsyncBilling(
        url,
        token,
        timeout=PATIENCE_SECONDS,
        retries=Retries(attempts=2, first_wait_seconds=0),
        transport=switched,
    )
    lease = Decimal(lease_usd) if lease_usd else None
    calls = gateway.Gateway(billing, lease_usd=lease, journal=folder / "journal")
    calls.start()

    async def charge(call_id: str) -> None:
        os.write(said, f"begins {call_id}\n".encode())
        await calls.charge(call_id, COST)
        os.write(said, f"charged {call_id}\n".encode())

    await charge(await calls.begin(call(organization)))
    calls.release(await calls.begin(call(organization)))
    before = await calls.begin(call(organization))
    switched.away = True
    await charge(before)
    await charge(await calls.begin(call(organization)))
    switched.away = False
    while calls._journal.owed():
        await asyncio.sleep(0.01)
    await charge(await calls.begin(call(organization)))
    await calls.close()


def kill_before(line: int) -> "itertools.count[int]":
    """Have this process killed before it runs so many lines of the client; return the count."""
    count = itertools.count(1)

    def run(code: CodeType, _: int) -> Any:
        if not code.co_filename.startswith(CLIENT):
            return sys.monitoring.DISABLE
        if next(count) == line:
            os.kill(os.getpid(), signal.SIGKILL)
        return None

    sys.monitoring.use_tool_id(TOOL, "killed")
    sys.monitoring.register_callback(TOOL, sys.monitoring.events.LINE, run)
    sys.monitoring.set_events(TOOL, sys.monitoring.events.LINE)
    return count


def main() -> None:
    url, token, organization, folder, lease_usd, *lines = sys.argv[1:]
    gateway.RETRY_SECONDS = 0.05
    for line in lines:
        child = os.fork()
        if child == 0:
            count = kill_before(int(line))
            asyncio.run(bill(url, token, organization, Path(folder) / line, lease_usd))
            print(next(count), flush=True)  # noqa: T201
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
