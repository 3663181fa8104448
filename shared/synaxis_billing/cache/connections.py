"""Connections to Redis, with deadlines and one TLS context for all of them."""

import contextlib
import functools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import SSLConnection
from redis.credentials import CredentialProvider
from redis.retry import Retry

# What a request waits for.
CONNECT_SECONDS = 0.2
ANSWER_SECONDS = 0.1
# A first handshake and login take longer, where a container has a part of a processor.
PATIENT_SECONDS = 2
_here = threading.local()


class SharedContextConnection(SSLConnection):
    """A connection with the shared TLS context: redis-py would make one, and read all certificates,
    for each connection."""

    def connect(self) -> None:
        if not getattr(_here, "patient", False):
            super().connect()  # type: ignore[no-untyped-call]
            return
        usual = self.socket_timeout, self.socket_connect_timeout
        self.socket_timeout = self.socket_connect_timeout = PATIENT_SECONDS
        try:
            super().connect()  # type: ignore[no-untyped-call]
        finally:
            self.socket_timeout, self.socket_connect_timeout = usual
        self.update_current_socket_timeout(self.socket_timeout)

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        context = _context(self.ca_certs, self.check_hostname, self.cert_reqs)
        return context.wrap_socket(sock, server_hostname=self.host)


@contextlib.contextmanager
def patience() -> Iterator[None]:
    """Let connections that this thread makes meanwhile take longer than a request waits."""
    _here.patient = True
    try:
        yield
    finally:
        _here.patient = False


@functools.cache
def _context(
    ca_certs: str | None, check_hostname: bool, verify_mode: ssl.VerifyMode
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_certs)
    context.check_hostname = check_hostname
    context.verify_mode = verify_mode
    return context


Token = Callable[[], tuple[str, str]]


class _Tokens(CredentialProvider):
    """A user and a fresh password for each connection."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def get_credentials(self) -> tuple[str, str]:
        return self._token()


def client_of(url: str, cluster: bool, token: Token | None = None) -> Any:
    """Return a client of one connection (for a cluster: one to each node). It connects at its first
    use, as the user and with the password that `token` returns, or with those of the URL.

    A command is sent once more when its connection was reset; a timeout is final.
    """
    options: dict[str, Any] = {
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_keepalive": True,
        # Fewer round trips before the first command.
        "protocol": 2,
        "driver_info": None,
    }
    if token is not None:
        options["credential_provider"] = _Tokens(token)
    if url.startswith("rediss:"):
        options["connection_class"] = SharedContextConnection
    if cluster:
        # Not at the top: most deployments have no cluster.
        from redis.cluster import RedisCluster

        return RedisCluster.from_url(url, retry=Retry(NoBackoff(), 1), **options)
    retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    pool = redis.ConnectionPool.from_url(url, retry=retry, **options)
    return redis.Redis(connection_pool=pool, single_connection_client=True)
