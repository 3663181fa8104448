"""The running product under load, whose processes are killed, frozen and started again."""

import contextlib
import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import psycopg
import redis

from local import servers
from tests.chaos.seeds import EVERYTHING
from tests.support import clock, running
from tests.support.running import wait_until

POSTGRES, VALKEY, WORKER = "bin/postgres", "valkey-server", "local.worker"
PAUSE_SECONDS = 0.1
# How often connections are ended.
ENDS = 20 if EVERYTHING else 12


class Product:
    """`make run` with servers of its own, which it starts again when they die."""

    def __init__(self, home: Path) -> None:
        self._home, self._port = home, str(servers.free_port())
        self._seen: set[psutil.Process] = set()
        self.start()

    def start(self) -> None:
        self._process = running.start(self._home, PORT=self._port)
        self.url = running.wait_until_ready(self._process, self._home)

    def close(self) -> None:
        """Stop it, and see that no process is left."""
        self.processes()
        running.stop(self._process)
        wait_until(lambda: not self._left())

    def kill(self) -> None:
        """Kill the gateway alone; its servers and its workers end with it."""
        self.processes()
        self._process.kill()
        self._process.communicate()
        wait_until(lambda: not self._left())

    def gateway(self) -> psutil.Process:
        return psutil.Process(self._process.pid)

    def processes(self, name: str = "") -> list[psutil.Process]:
        """The descendants whose command line contains a name."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._seen.update(children)
        return [child for child in children if name in _command(child)]

    def connect(self) -> psycopg.Connection:
        """An administrator's connection, as soon as the server takes one."""
        found: list[psycopg.Connection] = []

        def connects() -> bool:
            with contextlib.suppress(psycopg.OperationalError):
                found.append(psycopg.connect(self._known("database_url"), autocommit=True))
            return bool(found)

        wait_until(connects)
        return found[0]

    def connect_redis(self) -> redis.Redis:
        return redis.Redis.from_url(self._known("redis_url"))

    def _left(self) -> list[psutil.Process]:
        return [process for process in self._seen if _command(process)]

    def _known(self, name: str) -> str:
        known: dict[str, str] = json.loads((self._home / "run.json").read_text())
        return known[name]


def _command(process: psutil.Process) -> str:
    """Its command line; empty when it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return " ".join(process.cmdline())
    return ""


# What it did how often. It ends when everything runs again.
Fault = Callable[[Product, random.Random], int]


def end_backends(product: Product, rng: random.Random) -> int:
    """End connections of the application, one after the other, those that do something first."""
    struck = 0
    with product.connect() as admin:
        for _ in range(ENDS):
            found = admin.execute(
                "SELECT pid FROM pg_stat_activity WHERE usename = 'synaxis_app'"
                " ORDER BY state = 'active' DESC, pid"
            ).fetchall()
            for (pid,) in rng.sample(found[:4], min(2, len(found))):
                admin.execute("SELECT pg_terminate_backend(%s)", [pid])
                struck += 1
            time.sleep(PAUSE_SECONDS)
    return struck


def kill_postgres(product: Product, _: random.Random) -> int:
    """Kill the server, which is started again and recovers."""
    _kill(product.processes(POSTGRES))
    product.connect().close()
    return 1


def freeze_postgres(seconds: float) -> Fault:
    def freeze(product: Product, _: random.Random) -> int:
        [server] = product.processes(POSTGRES)
        with _frozen(server):
            time.sleep(seconds)
        return 1

    return freeze


def kill_redis(product: Product, _: random.Random) -> int:
    _kill(product.processes(VALKEY))
    with product.connect_redis() as client:
        wait_until(lambda: _answers(client))
    return 1


def freeze_redis(product: Product, _: random.Random) -> int:
    [server] = product.processes(VALKEY)
    with _frozen(server):
        time.sleep(3)
    return 1


def empty_redis(product: Product, _: random.Random) -> int:
    times = 20
    with product.connect_redis() as client:
        for _number in range(times):
            client.flushall()
            time.sleep(PAUSE_SECONDS)
    return times


def kill_workers(product: Product, rng: random.Random) -> int:
    """Kill containers of functions, most of them while they serve a request."""
    struck = 0
    for _ in range(20):
        struck += kill_worker(product, rng)
        time.sleep(PAUSE_SECONDS)
    return struck


def kill_worker(product: Product, rng: random.Random, name: str = WORKER) -> int:
    """Kill one container, if there is one, of the functions that a name is of."""
    found = product.processes(name)
    if found:
        rng.choice(found).kill()
    return min(1, len(found))


def move_clock(product: Product, _: random.Random) -> int:
    """Move the clock of the database days ahead and back."""
    # At last to where all that happened has passed: the audit finds what lies in the future.
    days = (3, -3, 9, -9, 10)
    with product.connect() as admin:
        for number in days:
            clock.move_clock(admin, timedelta(days=number))
            time.sleep(PAUSE_SECONDS * 5)
    return len(days)


def fill_disk(folder: Path) -> Fault:
    """Take all the space of a file system until PostgreSQL has missed it, and give it back."""

    def fill(product: Product, _: random.Random) -> int:
        filler = folder / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 20))
        log = next(folder.rglob("server.log"))
        wait_until(lambda: "No space left on device" in log.read_text(errors="replace"))
        filler.unlink()
        product.connect().close()
        return 1

    return fill


def kill_gateway(product: Product, _: random.Random) -> int:
    product.kill()
    product.start()
    return 1


def _kill(processes: list[psutil.Process]) -> None:
    assert processes
    for process in processes:
        process.kill()
    wait_until(lambda: not any(_command(process) for process in processes))


def _answers(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


@contextlib.contextmanager
def _frozen(server: psutil.Process) -> Iterator[None]:
    """Stop a server and its processes, whose port still takes connections."""
    stopped = [server, *server.children(recursive=True)]
    for process in stopped:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


def is_idle(admin: psycopg.Connection) -> bool:
    """Whether the statements have ended whose clients were cut off."""
    active = admin.execute(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
        " AND pid <> pg_backend_pid()"
    )
    return not active.fetchall()
