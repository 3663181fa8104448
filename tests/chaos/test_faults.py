"""Money moves once or not at all while the network to PostgreSQL breaks at every moment."""

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from local import servers
from tests.chaos import load
from tests.chaos.faults import Mode, Proxy, proxying
from tests.chaos.oracle import Oracle
from tests.support.running import running, wait_until

# So many seeds are tried.
RUNS = int(os.environ.get("CHAOS", "1"))
# Of each thread.
ACTIONS, ACTIONS_WHEN_HEALED = 60, 3
LEAST_STRIKES = 5
LEAST_ACKNOWLEDGED = 200


def _seed() -> str:
    """The run's seed: chosen anew, unless CHAOS_SEED repeats one."""
    seed = os.environ.get("CHAOS_SEED") or os.urandom(4).hex()
    print(f"CHAOS_SEED={seed}")
    return seed


def _idle(admin: psycopg.Connection) -> bool:
    """Whether the statements have ended whose clients were cut off."""
    running = admin.execute(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
        " AND pid <> pg_backend_pid()"
    )
    return not running.fetchall()


def _assert_proof(oracle: Oracle, proxy: Proxy) -> None:
    """A run that was struck too seldom proves nothing."""
    acknowledged = oracle.acknowledged()
    print(
        dict(acknowledged),
        dict(oracle.statuses),
        dict(proxy.strikes),
        f"{oracle.recovered} recovered",
    )
    assert acknowledged.total() >= LEAST_ACKNOWLEDGED
    assert set(acknowledged) == {of.kind for of in oracle.operations}
    assert {mode: proxy.strikes[mode] for mode in Mode if proxy.strikes[mode] < LEAST_STRIKES} == {}
    assert any(of.refusal for of in oracle.operations)
    assert any(not of.settled for of in oracle.operations)
    assert oracle.recovered >= LEAST_STRIKES


@pytest.mark.parametrize("_run", range(RUNS))
def test_money_moves_once_or_not_at_all_while_connections_break(
    folders: Callable[[str], Path], redis_url: str, _run: int
) -> None:
    seed = _seed()
    oracle = Oracle()
    with servers.postgres(folders("chaos"), durable=False) as admin_url:
        server_port = int(conninfo_to_dict(admin_url)["port"] or 0)
        with proxying(server_port, seed) as (proxy, port):
            # The proxy reads what it passes.
            through = make_conninfo(admin_url, port=port, sslmode="disable", gssencmode="disable")
            with running(folders("product"), DATABASE_URL=through, REDIS_URL=redis_url) as url:
                paths = load.new_organizations(url)
                proxy.armed = True
                load.run(url, paths, oracle, seed, ACTIONS)
                proxy.heal()
                struck = len(oracle.operations)
                load.run(url, paths, oracle, f"{seed} healed", ACTIONS_WHEN_HEALED)
        with psycopg.connect(admin_url, autocommit=True) as admin:
            wait_until(lambda: _idle(admin))
            assert oracle.verify(admin) == []
    _assert_proof(oracle, proxy)
    # Broken connections are no failure of a function.
    assert set(oracle.statuses) <= {200, 201, 402, 503}
    # No connection that broke before, in a request or idle, costs a later request its answer.
    assert [of for of in oracle.operations[struck:] if of.lost] == []
