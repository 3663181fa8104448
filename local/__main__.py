"""`python -m local run | migrate | audit | ...`: the product on this machine, for developers."""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import redis
import uvicorn
from pydantic import ValidationError
from rich.console import Console
from rich.table import Column, Table

from local import children, month_end, sam, servers, streams, template
from local.connections import Complaints, Listener, Protocol
from local.database import prepare, ship_prices
from local.gateway import QUEUES, Gateway, Regions
from local.tokens import TENANTS, Issuer
from synaxis_billing.invoices.parties import Seller
from synaxis_billing.ledger.audit import audit
from synaxis_billing.money import format_money
from synaxis_billing.schema.migrate import MigrationError, migrate
from synaxis_billing.schema.online import migrate_online

STATE = Path(os.environ.get("STATE", template.ROOT / ".local")).resolve()
RUNNING = STATE / "run.json"


class CommandError(Exception):
    """Why a command ends; one sentence for the person at the terminal."""


def run() -> None:
    """Serve the API until interrupted."""
    streams.never_fail()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # A closed terminal ends it like a request to stop does.
    signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    with contextlib.ExitStack() as stack:
        stack.enter_context(_only_one())
        first, regions = _number("PORT", 3000, 0, 65535), _number("REGIONS", 1, 1, 9)
        seller, given_redis = _seller(), _given_redis()
        providers, missing = servers.payment_providers()
        listeners = [
            stack.enter_context(_listen(first + number if first else 0))
            for number in range(regions)
        ]
        ports = [listener.getsockname()[1] for listener in listeners]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        database = os.environ.get("DATABASE_URL") or stack.enter_context(servers.postgres(STATE))
        brokers = stack.enter_context(servers.kafka(STATE)) if regions > 1 else str
        environment = {
            "DATABASE_URL": prepare(database),
            "ADMIN_DATABASE_URL": database,
            "FX_API_KEY": os.environ.get("FX_API_KEY", ""),
            **providers,
            **stack.enter_context(servers.payments(STATE, f"{urls[0]}/v1/payment-events", missing)),
        }
        ship_prices(environment["DATABASE_URL"])
        redis_urls = _redis_urls(stack, given_redis, regions)

        def gateways() -> dict[int, Gateway]:
            return {
                port: _gateway(
                    number, urls, brokers(), seller, environment | {"REDIS_URL": redis_url}
                )
                for number, (port, redis_url) in enumerate(zip(ports, redis_urls, strict=True))
            }

        application = Regions(gateways())
        used = brokers()

        async def restarted() -> None:
            nonlocal used
            # What read the old Kafka, and what its lost records would have removed from memory.
            if brokers() != used:
                used = brokers()
                await application.replace(gateways())

        stack.enter_context(_announced(urls, database, redis_urls[0]))
        print(_welcome(urls, environment), flush=True)
        asyncio.run(_serve(application, listeners, restarted))


def _welcome(urls: list[str], environment: dict[str, str]) -> str:
    payments = " and ".join(dict.fromkeys(environment[name] for name in _PAYMENT_URLS))
    places = {"urls": " and ".join(urls), "url": urls[0], "logs": STATE / "logs"}
    return _WELCOME.format(**places, payments=payments)


def _redis_urls(stack: contextlib.ExitStack, given: str | None, regions: int) -> list[str]:
    """Return the cache of each region: the one that is given for the first, else a Valkey."""
    started = range(1 if given else 0, regions)
    own = [stack.enter_context(servers.valkey(_folder(number))) for number in started]
    return [given, *own] if given else own


def _folder(region: int) -> Path:
    return STATE / f"local-{region + 1}" if region else STATE


def _gateway(
    region: int, urls: list[str], brokers: str, seller: str, environment: dict[str, str]
) -> Gateway:
    parameters = {
        "JwtIssuer": f"{urls[0]}/_local",
        "KafkaBrokers": brokers,
        "InvoiceSeller": seller,
        "FontsFolder": str(template.ROOT / "layers" / "documents" / "fonts"),
        "FxSources": os.environ.get("FX_SOURCES", "simulated"),
        # Who tries webhooks out receives them on this machine.
        "WebhooksToPrivate": "true",
    }
    environment = environment | {
        "USER_POOL_ENDPOINT": f"{urls[region]}/_local/token",
        "TENANTS_CLIENT_ID": TENANTS,
    }
    declared = template.read(parameters, f"{urls[region]}{QUEUES}", environment)
    issuer = Issuer(parameters["JwtIssuer"], declared.jwt_audience, STATE / "issuer.pem")
    name = f"local-{region + 1}" if region else "local"
    return Gateway(declared, issuer, _folder(region) / "logs", name)


async def _serve(
    application: Regions,
    listeners: list[socket.socket],
    restarted: Callable[[], Awaitable[None]],
) -> None:
    """Serve, and watch the servers, until interrupted. Raises ServerError."""
    asyncio.get_running_loop().set_exception_handler(Complaints())
    config = uvicorn.Config(
        application,
        http=Protocol,
        log_level="warning",
        timeout_graceful_shutdown=5,
        # Longer than clients keep an idle connection: none sends while it is closed here.
        timeout_keep_alive=75,
        server_header=False,
    )
    server = uvicorn.Server(config)

    def end(_watching: "asyncio.Task[None]") -> None:
        server.should_exit = True

    watching = asyncio.create_task(children.watch(restarted))
    watching.add_done_callback(end)
    try:
        await server.serve(sockets=listeners)
    finally:
        watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


def migrate_command() -> None:
    """Bring the database at DATABASE_URL up to date; DISTRIBUTED=1 distributes it with Citus."""
    distributed = _number("DISTRIBUTED", 0, 0, 1) == 1
    with psycopg.connect(_database_url(), autocommit=True) as connection:
        done = migrate(connection, distributed=distributed)
        for name in migrate_online(connection):
            print(f"done {name}", flush=True)
    print("\n".join(f"applied {name}" for name in done) or "The database is up to date.")


def audit_command() -> None:
    """Check every promise of the ledger, and fail when one is broken."""
    with psycopg.connect(_database_url(), autocommit=True) as connection:
        found = audit(connection)
    console = Console()
    table = Table(Column("organization", no_wrap=True), *_AUDIT_COLUMNS)
    for one in found.organizations:
        table.add_row(
            str(one.organization_id),
            str(one.transactions),
            format_money(one.balance_usd),
            format_money(one.drift_usd),
            "broken" if one.broken else "whole",
            one.head_hash[:8],
        )
    console.print(table)
    for one in found.organizations:
        for line in one.broken:
            console.print(f"[red]{one.organization_id}: {line}")
    for line in found.broken:
        console.print(f"[red]{line}")
    if not found.whole:
        raise CommandError("The ledger breaks its promises: see above.")
    console.print(f"Every promise holds for {len(found.organizations)} organizations.")


_PAYMENT_URLS = ("STRIPE_API_URL", "PAYPAL_API_URL")
_EXAMPLE_SELLER = {
    "name": "Example Gateway GmbH",
    "address": "Musterstraße 12\n10115 Berlin\nGermany",
    "tax_id": "DE999999999",
    "email": "billing@example.com",
    "payment_details": "IBAN DE02 1203 0000 0000 2020 51",
}
_AUDIT_COLUMNS = ("changes", "balance", "drift", "chain", "head")
_WELCOME = """
Synaxis Billing is ready: {url}/console/
API on {urls}, its docs on {url}/docs, logs in {logs}. Ctrl-C stops everything; the data is kept.
Payments go to {payments}; no money moves.

An organization of your own, to paste:

  TOKEN=$(curl -s {url}/_local/token \\
    -d '{{"scope": "billing:platform billing:admin billing:topup billing:charge billing:read"}}' \\
    | sed 's/.*"access_token": "\\([^"]*\\)".*/\\1/')
  curl {url}/v1/organizations -H "Authorization: Bearer $TOKEN" \\
    -H 'Content-Type: application/json' -d '{{"name": "Acme", "billing_currency": "EUR"}}'
"""


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    STATE.mkdir(exist_ok=True)
    # The lock ends with the process that holds it: a file left behind locks nobody out.
    with (STATE / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise CommandError(_held(lock.read())) from error
        # A run that was killed left it; until this one is ready, nothing answers there.
        RUNNING.unlink(missing_ok=True)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _held(process: str) -> str:
    try:
        where = f"answers on {running_url()}"
    except CommandError:
        where = "is starting"
    return f"Another run holds this folder, and {where}: process {process or 'unknown'}, {STATE}."


@contextlib.contextmanager
def _listen(port: int) -> Iterator[socket.socket]:
    # Named TCP, or asyncio would leave answers waiting for the client's delayed acknowledgement.
    with Listener(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(
                f"Port {port} is in use: stop what uses it, or choose another with PORT=3001."
            ) from error
        yield listener


def _given_redis() -> str | None:
    """Return REDIS_URL, and say if it does not answer: the product runs without a cache, and
    slower. Raises CommandError."""
    redis_url = os.environ.get("REDIS_URL")
    if not redis_url:
        return None
    try:
        with redis.Redis.from_url(redis_url, socket_timeout=5, socket_connect_timeout=5) as client:
            client.ping()
    except ValueError as error:
        raise CommandError(f"REDIS_URL is not the URL of a Redis: {error}.") from error
    except redis.RedisError as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        print(
            f"The Redis at REDIS_URL does not answer, so there is no cache: {reason}.",
            file=sys.stderr,
            flush=True,
        )
    return redis_url


def _seller() -> str:
    """The seller on invoices: INVOICE_SELLER, or an example. Raises CommandError."""
    seller = os.environ.get("INVOICE_SELLER") or json.dumps(_EXAMPLE_SELLER)
    try:
        Seller.model_validate_json(seller)
    except ValidationError as error:
        [first, *_] = error.errors()
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise CommandError(
            'INVOICE_SELLER must be JSON such as {"name": "Acme GmbH",'
            f' "address": "Street 1\\nCity", "tax_id": "DE1"}}; {where}: {first["msg"]}.'
        ) from error
    return seller


def _number(name: str, default: int, least: int, most: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise CommandError(f"{name} must be a number from {least} to {most}, and is {text!r}.")
    return int(text)


@contextlib.contextmanager
def _announced(urls: list[str], database_url: str, redis_url: str) -> Iterator[None]:
    announced = {
        "url": urls[0],
        "urls": urls,
        "database_url": database_url,
        "redis_url": redis_url,
    }
    servers.write_private(RUNNING, json.dumps(announced))
    try:
        yield
    finally:
        RUNNING.unlink(missing_ok=True)


def running_url() -> str:
    """Where the API of this folder answers. Raises CommandError."""
    return str(_running()["url"])


def _database_url() -> str:
    return os.environ.get("DATABASE_URL") or str(_running()["database_url"])


def _running() -> dict[str, Any]:
    try:
        running: dict[str, Any] = json.loads(RUNNING.read_text())
    except (FileNotFoundError, ValueError) as error:
        raise CommandError(
            "Nothing runs from this folder: start it with `make run`, or set DATABASE_URL."
        ) from error
    return running


def month_end_command() -> None:
    """Bill a month for every organization, and watch it."""
    month_end.run(running_url(), sys.argv[2] if len(sys.argv) == 3 else "", datetime.now(UTC))


def start_api_command() -> None:
    """Serve the running product's API from containers, until interrupted."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    running = _running()
    data = {
        "DATABASE_URL": prepare(running["database_url"]),
        "REDIS_URL": running["redis_url"],
    }
    sam.start_api(_number("PORT", 3001, 1, 65535), running["url"], data)


COMMANDS = {
    "run": run,
    "migrate": migrate_command,
    "audit": audit_command,
    "month-end": month_end_command,
    "start-api": start_api_command,
}


def main(arguments: list[str]) -> int:
    logging.basicConfig(format="%(levelname)s %(message)s")
    if not arguments or len(arguments) > 2 or arguments[0] not in COMMANDS:
        print(f"usage: python -m local {' | '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        COMMANDS[arguments[0]]()
    except (CommandError, month_end.MonthError, children.ServerError, MigrationError) as error:
        print(error, file=sys.stderr)
        return 1
    except psycopg.Error as error:
        reason = str(error).strip().partition("\n")[0]
        print(f"The database at DATABASE_URL cannot be used: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
