"""Redis slow, dead, refusing, full, behind TLS or a cluster: requests go on, from the source."""

import contextlib
import os
import re
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis

from local import servers
from local.relay import relaying
from local.template import ROOT
from synaxis_billing.cache import L2, Cache, Family, Loaded, Unreachable, connections, two_level
from synaxis_billing.cache.breaker import LONGEST_PAUSE_SECONDS
from synaxis_billing.cache.clock import Clock
from synaxis_billing.cache.counts import Counts
from synaxis_billing.cache.l1 import L1
from synaxis_billing.cache.l2 import Invalidation
from synaxis_billing.errors import NotFound
from synaxis_billing.organizations import profile
from tests.conftest import SHIPPED_DEADLINES, Database
from tests.support.certificates import certificate_of
from tests.support.containers import PRICES, Hands, Price, Source, container, price
from tests.support.running import PATIENCE_SECONDS, wait_until
from tests.support.steps import PLATFORM, new_organization

SettingTaker = Callable[..., Any]


@pytest.fixture
def own_redis(folders: Callable[[str], Path]) -> Iterator[str]:
    """A server that a test may ill-treat."""
    with servers.valkey(folders("own")) as url:
        yield url


@contextlib.contextmanager
def _frozen(process: int) -> Iterator[None]:
    """Stop the server, whose port still takes connections."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def _information(url: str) -> dict[str, Any]:
    with redis.Redis.from_url(url) as client:
        found: dict[str, Any] = client.info()
        return found


def _sleepless(seconds: float) -> None:
    raise AssertionError(f"a request would have waited for {seconds} seconds")


@pytest.fixture
def shipped_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in SHIPPED_DEADLINES.items():
        monkeypatch.setattr(connections, name, seconds)


@pytest.mark.usefixtures("shipped_deadlines")
def test_a_redis_that_hangs_costs_one_short_wait_and_then_is_left_alone(own_redis: str) -> None:
    assert sum(SHIPPED_DEADLINES.values()) < 0.5
    cache, source = container(own_redis, Hands()), Source()
    keys = [PRICES.key(uuid4(), "gpt-4o") for _ in range(20)]
    before = _information(own_redis)
    with _frozen(before["process_id"]):
        for key in keys:
            cache.get_or_load(key, source.load)
    # Redis accepts now what waited: the one connection of the cache, and that of this question.
    received = _information(own_redis)["total_connections_received"]
    assert received - before["total_connections_received"] == 2
    assert cache.failures == 1
    assert cache.breaker_open
    assert source.reads == len(keys)


def test_a_refused_connection_makes_nobody_wait() -> None:
    cache = Cache(L2(f"redis://127.0.0.1:{servers.free_port()}"), sleep=_sleepless)
    source, key = Source(), PRICES.key(uuid4(), "gpt-4o")
    assert cache.get_or_load(key, source.load) == price(1)
    assert cache.get(key) == price(1)
    assert (cache.failures, source.reads) == (1, 1)
    assert cache.counts(PRICES).unreachable == 1
    assert not cache.reachable


def test_the_breaker_tries_again_by_the_wall_clock_after_longer_and_longer_pauses() -> None:
    hands = Hands()
    cache = container(f"redis://127.0.0.1:{servers.free_port()}", hands)
    for pause in (5, 10, 20, 40, 60, 60):
        cache.get(PRICES.key(uuid4(), "a"))
        failures = cache.failures
        hands.wall += pause - 0.1
        cache.get(PRICES.key(uuid4(), "a"))
        assert cache.failures == failures
        hands.wall += 0.2
    hands.wall -= 3600
    assert not cache.breaker_open


def test_a_removal_that_does_not_reach_redis_is_not_swallowed() -> None:
    cache, source = container(f"redis://127.0.0.1:{servers.free_port()}"), Source()
    key = PRICES.key(uuid4(), "gpt-4o")
    cache.get_or_load(key, source.load)
    with pytest.raises(Unreachable):
        cache.remove(key)
    with pytest.raises(Unreachable):
        cache.flush(key.tenant)
    source.change()
    assert cache.get_or_load(key, source.load) == price(2)


def test_a_connection_that_was_dropped_is_replaced_unnoticed(own_redis: str) -> None:
    cache, key = container(own_redis), PRICES.key(uuid4(), "gpt-4o")
    cache.set(key, price(1))
    with redis.Redis.from_url(own_redis) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert cache.get(key) == price(1)
    assert cache.failures == 0


def test_a_connection_that_was_long_idle_is_not_trusted(own_redis: str) -> None:
    """A firewall forgets such a flow, and what is sent on it is answered by nobody."""
    hands, key = Hands(), PRICES.key(uuid4(), "gpt-4o")
    cache = container(own_redis, hands)
    cache.set(key, price(1))
    with redis.Redis.from_url(own_redis) as client:
        before = client.info("stats")["total_connections_received"]
        hands.wall += 61
        assert cache.get(key) == price(1)
        assert client.info("stats")["total_connections_received"] == before + 1


def test_a_redis_that_restarted_empty_is_filled_again(own_redis: str) -> None:
    cache, source, key = container(own_redis), Source(), PRICES.key(uuid4(), "gpt-4o")
    cache.get_or_load(key, source.load)
    with redis.Redis.from_url(own_redis) as client:
        client.flushall()
    other = container(own_redis)
    assert other.get(key) is None
    other.get_or_load(key, source.load)
    assert container(own_redis).get(key) == price(1)
    assert source.reads == 2


@pytest.mark.parametrize(
    ("setting", "value", "opens"),
    [
        ("maxmemory", "1", False),
        ("min-replicas-to-write", "1", True),
    ],
    ids=["out of memory", "refuses to write"],
)
def test_a_redis_that_refuses_to_store_costs_only_speed(
    own_redis: str, setting: str, value: str, opens: bool
) -> None:
    cache, source = container(own_redis), Source()
    kept, key = PRICES.key(uuid4(), "kept"), PRICES.key(uuid4(), "gpt-4o")
    cache.set(kept, price(7))
    with redis.Redis.from_url(own_redis) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set(setting, value)
    assert cache.get_or_load(key, source.load) == price(1)
    assert cache.breaker_open is opens
    if not opens:
        assert cache.get(kept) == price(7)


def test_two_containers_load_a_value_once(redis_url: str) -> None:
    key, source = PRICES.key(uuid4(), "gpt-4o"), Source()
    asking, stored = threading.Semaphore(0), threading.Event()

    def wait(_seconds: float) -> None:
        asking.release()
        stored.wait(PATIENCE_SECONDS)

    def until_the_others_ask() -> None:
        for _ in caches[1:]:
            assert asking.acquire(timeout=PATIENCE_SECONDS)

    caches = [Cache(L2(redis_url), sleep=wait) for _ in range(6)]
    source.meanwhile = until_the_others_ask
    answers: list[Price | None] = []

    def ask(cache: Cache) -> None:
        try:
            answers.append(cache.get_or_load(key, source.load))
        finally:
            # The container that loads is the first to return.
            stored.set()

    threads = [threading.Thread(target=ask, args=[cache]) for cache in caches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [price(1)] * len(caches)
    assert source.reads == 1


def test_who_waits_for_a_load_that_died_loads_for_itself(redis_url: str) -> None:
    key, source, waits = PRICES.key(uuid4(), "gpt-4o"), Source(), list[float]()
    dead, cache = L2(redis_url), Cache(L2(redis_url), sleep=waits.append)
    dead.lease([key], [key])
    assert cache.get_or_load(key, source.load) == price(1)
    assert sum(waits) == pytest.approx(two_level.WAIT_SECONDS)
    assert source.reads == 1


def test_a_load_that_failed_makes_nobody_wait(redis_url: str) -> None:
    key, source, cache = PRICES.key(uuid4(), "gpt-4o"), Source(), container(redis_url)
    source.meanwhile = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load(key, source.load)
    other = Cache(L2(redis_url), sleep=_sleepless)
    assert other.get_or_load(key, source.load) == price(1)


class SourceGone(Exception):
    pass


LASTING = Family("lasting", Price, ttl_seconds=60, stale_seconds=600, failures=(SourceGone,))


def _gone() -> Loaded[Price]:
    raise SourceGone


def test_a_stale_value_is_served_when_its_family_allows_it_and_not_past_the_ceiling(
    redis_url: str,
) -> None:
    hands, source, key = Hands(), Source(), LASTING.key(uuid4(), "a")
    cache = container(redis_url, hands)
    cache.get_or_load(key, source.load)
    hands.pass_by(61)
    assert cache.get_or_load(key, _gone) == price(1)
    assert cache.families["lasting"].stale == 1
    with redis.Redis.from_url(redis_url) as client:
        # The value is fresh for at most 60 seconds and then stale for 600.
        assert 600_000 < client.pttl(key.wire) <= 660_000
        client.delete(key.wire)
    with pytest.raises(SourceGone):
        cache.get_or_load(key, _gone)


def test_a_removed_value_is_never_served_again_even_when_the_source_fails(redis_url: str) -> None:
    hands, source, key = Hands(), Source(), LASTING.key(uuid4(), "a")
    cache = container(redis_url, hands)
    cache.get_or_load(key, source.load)
    cache.remove(key)
    with pytest.raises(SourceGone):
        cache.get_or_load(key, _gone)


def test_others_get_the_stale_value_while_one_refreshes_it(redis_url: str) -> None:
    hands, source, key = Hands(), Source(), LASTING.key(uuid4(), "a")
    one, other = container(redis_url, hands), container(redis_url, hands)
    one.get_or_load(key, source.load)
    source.change()
    hands.pass_by(61)
    seen: list[Price | None] = []
    source.meanwhile = lambda: seen.append(other.get_or_load(key, source.load))
    assert one.get_or_load(key, source.load) == price(2)
    assert seen == [price(1)]
    assert source.reads == 2


def test_that_there_is_no_value_is_remembered_for_its_own_time(redis_url: str) -> None:
    key, asked = PRICES.key(uuid4(), "none"), []
    cache = container(redis_url)

    def absent() -> None:
        asked.append(1)

    for one in (cache, cache, container(redis_url)):
        assert one.get_or_load(key, absent) is None
    assert len(asked) == 1
    with redis.Redis.from_url(redis_url) as client:
        assert 0 < client.pttl(key.wire) <= PRICES.absent_seconds * 1000


def test_another_schema_is_a_miss(redis_url: str) -> None:
    tenant, source = uuid4(), Source()
    container(redis_url).get_or_load(PRICES.key(tenant, "a"), source.load)

    class Renamed(Price):
        pass

    assert container(redis_url).get(Family("price", Renamed).key(tenant, "a")) is None


def _commands(client: redis.Redis) -> dict[str, int]:
    """The number of calls of each command since the statistics were reset."""
    found = {
        name.removeprefix("cmdstat_"): of["calls"]
        for name, of in client.info("commandstats").items()
    }
    return {name: calls for name, calls in found.items() if name != "config|resetstat"}


def test_a_batch_is_one_round_trip(own_redis: str) -> None:
    tenant = uuid4()
    keys = [PRICES.key(tenant, str(number)) for number in range(100)]
    cache = container(own_redis)
    with redis.Redis.from_url(own_redis) as client:

        def commands(work: Callable[[], object]) -> dict[str, int]:
            cache.get(PRICES.key(tenant, "warm"))
            client.config_resetstat()
            work()
            return {name: n for name, n in _commands(client).items() if name in ("mget", "eval")}

        def load(missing: Any) -> dict[Any, Loaded[Price]]:
            return {key: Loaded(price(1)) for key in missing}

        assert commands(lambda: cache.get_or_load_many(keys, load)) == {"mget": 1, "eval": 2}
        cache.l1.clear()
        assert commands(lambda: cache.get_many(keys)) == {"mget": 1}
        assert len(cache.get_many(keys)) == 100
        assert commands(lambda: cache.remove_many(keys)) == {"eval": 1}


def test_a_flush_at_200_000_keys_costs_one_write_and_no_other_tenant_anything(
    own_redis: str,
) -> None:
    tenant, neighbour = uuid4(), PRICES.key(uuid4(), "a")
    cache = container(own_redis)
    cache.set(neighbour, price(1))
    # The first flush opens a connection.
    cache.flush(tenant)
    key = PRICES.key(tenant, "a")
    cache.set(key, price(1))
    with redis.Redis.from_url(own_redis) as client:
        client.mset({f"tenant:{{{tenant}}}:v:price:{number}": "" for number in range(200_000)})
        client.config_resetstat()
        cache.flush(tenant)
        # The script's own commands count too; none of them looks at more than one key.
        assert _commands(client) == {"eval": 1, "get": 1, "set": 1}
    assert container(own_redis).get(key) is None
    assert container(own_redis).get(neighbour) == price(1)


def test_the_memory_of_a_container_is_bounded_in_entries_and_bytes() -> None:
    hands = Hands()
    l1 = L1(hands.clock, entries=10, size=1000)
    for number in range(100):
        l1.put(str(number), number, 10, l1.stamp(), Counts())
    assert len(l1) == 10
    assert l1.get("99") == 99
    l1.put("large", 0, 950, l1.stamp(), Counts())
    assert l1.bytes <= 1000
    l1.put("too large", 0, 1001, l1.stamp(), Counts())
    assert l1.get("large") == 0
    assert l1.evictions == 95


@pytest.fixture
def cluster_url(folders: Callable[[str], Path]) -> Iterator[str]:
    """A cluster whose slots lie on two nodes, as the user that the template makes."""
    first, second = folders("node"), folders("node")
    buses = servers.free_port(), servers.free_port()
    settings = "cluster-enabled yes\ncluster-config-file {}/nodes.conf\ncluster-port {}\n"
    with (
        servers.valkey(first, settings=settings.format(first, buses[0])) as one,
        servers.valkey(second, settings=settings.format(second, buses[1])) as two,
        redis.Redis.from_url(one) as a,
        redis.Redis.from_url(two) as b,
    ):
        # One password for both, as a cluster has.
        password = a.connection_pool.connection_kwargs["password"]
        b.config_set("requirepass", password)
        b.execute_command("AUTH", password)
        for node in (a, b):
            node.execute_command("ACL", "SETUSER", "functions", f">{password}", *template_access())
        a.cluster("ADDSLOTSRANGE", 0, 8191)
        b.cluster("ADDSLOTSRANGE", 8192, 16383)
        port = b.connection_pool.connection_kwargs["port"]
        a.cluster("MEET", "127.0.0.1", port, buses[1])
        wait_until(
            lambda: (
                "'cluster_state': 'ok'" in _state(a) and "'cluster_known_nodes': '2'" in _state(a)
            )
        )
        yield one.replace("//:", "//functions:")


def template_access() -> list[str]:
    found = re.search(r"AccessString: (.+)", (ROOT / "stacks" / "data.yaml").read_text())
    assert found
    return found[1].split()


def _state(client: redis.Redis) -> str:
    return str(client.cluster("INFO"))


def test_a_cluster_serves_as_one_server_does(cluster_url: str) -> None:
    cache, other = container(cluster_url, cluster=True), container(cluster_url, cluster=True)
    source = Source()
    keys = [PRICES.key(uuid4(), "gpt-4o", tags=("models",)) for _ in range(20)]
    for key in keys:
        cache.get_or_load(key, source.load)
        assert other.get(key) == price(1)
    invalidations = [Invalidation.of(key.tenant, everything=0) for key in keys]
    cache.invalidate(invalidations)
    other.l1.clear()
    assert all(other.get(key) is None for key in keys)
    assert cache.failures == other.failures == 0


def test_what_was_put_where_anothers_profile_belongs_is_not_shown(
    database: Database, own_redis: str
) -> None:
    with database.connect() as db:

        def name(of: UUID) -> str:
            cache = container(own_redis)
            return profile.get_organization(lambda: db, cache, PLATFORM, of).name

        acme, bolt = new_organization(db), new_organization(db, name="Bolt")
        assert (name(acme), name(bolt)) == ("Acme", "Bolt")
        with redis.Redis.from_url(own_redis) as client:
            theirs, ours = (profile.PROFILES.key(one).wire for one in (acme, bolt))
            assert client.copy(theirs, ours, replace=True)
            assert name(bolt) == "Bolt"
            # With all that vouches for it, too.
            for key in client.keys(f"*{acme}*"):
                client.copy(key, key.replace(str(acme).encode(), str(bolt).encode()), replace=True)
        with pytest.raises(NotFound):
            name(bolt)


@pytest.fixture
def tls_url(own_redis: str, tmp_path: Path) -> Iterator[str]:
    """The server behind TLS that a certificate of its own authority vouches for."""
    certificate, key = certificate_of(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    inner = int(own_redis.rpartition(":")[2].partition("/")[0])
    with relaying("127.0.0.1", inner, context) as port:
        secured = own_redis.replace("redis://", "rediss://").replace(f":{inner}", f":{port}")
        yield f"{secured}?ssl_ca_certs={certificate}"


class _Held:
    """A server's side of TLS whose first handshake never ends, while `released` is not set."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.released = threading.Event()

    def wrap_socket(self, sock: socket.socket, *, server_side: bool) -> ssl.SSLSocket:
        if not self.released.wait(PATIENCE_SECONDS) or self.first:
            self.first = False
            sock.close()
            raise ssl.SSLError
        return self._context.wrap_socket(sock, server_side=server_side)

    first = True


def test_a_first_handshake_that_is_slow_ends_beside_the_requests(
    own_redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key_file = certificate_of(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key_file)
    held = _Held(context)
    inner = int(own_redis.rpartition(":")[2].partition("/")[0])
    monkeypatch.setattr(connections, "PATIENT_SECONDS", PATIENCE_SECONDS)
    with relaying("127.0.0.1", inner, held) as port:  # type: ignore[arg-type]
        url = own_redis.replace("redis://", "rediss://").replace(f":{inner}", f":{port}")
        # No time passes, after which requests would try again.
        cache, source = container(f"{url}?ssl_ca_certs={certificate}", Hands()), Source()
        with monkeypatch.context() as shipped:
            for name, seconds in SHIPPED_DEADLINES.items():
                shipped.setattr(connections, name, seconds)
            key = PRICES.key(uuid4(), "gpt-4o")
            # The request is answered from the source, and goes on.
            assert cache.get_or_load(key, source.load) == price(1)
            assert cache.breaker_open
            # A request would have given up twice.
            time.sleep(4 * sum(SHIPPED_DEADLINES.values()))
            held.released.set()
        # Nobody asks for it, and it is connected all the same.
        wait_until(lambda: not cache.breaker_open)
        cache.get_or_load(PRICES.key(uuid4(), "gpt-4o"), source.load)
        assert cache.failures == 1


class _Refusing:
    """A server's side of TLS that refuses every handshake."""

    tried = 0

    def wrap_socket(self, sock: socket.socket, **_options: bool) -> ssl.SSLSocket:
        self.tried += 1
        sock.close()
        raise ssl.SSLError


def test_each_first_use_that_fails_connects_beside_the_requests(own_redis: str) -> None:
    """Also when that was in vain the last time."""
    refusing, hands = _Refusing(), Hands()
    inner = int(own_redis.rpartition(":")[2].partition("/")[0])
    with relaying("127.0.0.1", inner, refusing) as port:  # type: ignore[arg-type]
        cache = container(f"rediss://127.0.0.1:{port}", hands)
        before = set(threading.enumerate())
        tried = []
        for _ in range(2):
            assert cache.get(PRICES.key(uuid4(), "gpt-4o")) is None
            wait_until(lambda: set(threading.enumerate()) <= before)
            tried.append(refusing.tried)
            hands.pass_by(LONGEST_PAUSE_SECONDS)
    assert tried[1] == 2 * tried[0]


def test_threads_of_a_container_share_one_connection(own_redis: str) -> None:
    before = _information(own_redis)["total_connections_received"]
    client = connections.client_of(own_redis, cluster=False)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client.blpop(["nothing"], 0.1), range(4)))
    # That of the client, and that of this question.
    assert _information(own_redis)["total_connections_received"] - before == 2
    client.close()


def test_tls_is_checked_and_its_context_made_once(
    tls_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    create = ssl.create_default_context

    def counted(**options: Any) -> ssl.SSLContext:
        made.append(1)
        return create(**options)

    monkeypatch.setattr(ssl, "create_default_context", counted)
    connections._context.cache_clear()
    hands, key = Hands(), PRICES.key(uuid4(), "gpt-4o")
    cache = container(tls_url, hands)
    for _ in range(5):
        cache.set(key, price(1))
        assert cache.get(key) == price(1)
        hands.pass_by(3600)
    assert len(made) == 1
    stranger = container(tls_url.partition("?")[0])
    assert stranger.get(key) is None
    assert stranger.breaker_open


def test_nothing_waits_on_a_clock_that_stands_still() -> None:
    """A value that was never loaded is not fresh because the machine has just started."""
    key, source = PRICES.key(uuid4(), "gpt-4o"), Source()
    cache = Cache(None, Clock(lambda: 0.0, lambda: 0.0))
    assert cache.get(key) is None
    assert cache.get_or_load(key, source.load) == price(1)
    assert cache.failures == 0


def test_a_user_logs_in_with_a_fresh_token_for_each_connection(own_redis: str) -> None:
    admin: Any = redis.Redis.from_url(own_redis)
    address = admin.get_connection_kwargs()
    given: list[str] = []

    def token() -> tuple[str, str]:
        given.append(f"token-{len(given)}")
        admin.execute_command(
            "ACL", "SETUSER", "functions", "reset", f">{given[-1]}", *template_access()
        )
        return "functions", given[-1]

    l2 = L2(f"redis://{address['host']}:{address['port']}/0", token=token)
    l2.ping()
    assert len(given) == 1
    assert admin.execute_command("CLIENT", "KILL", "USER", "functions") == 1
    l2.ping()
    assert len(given) == 2
    l2.close()
    admin.close()
