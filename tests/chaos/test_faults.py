"""Money moves once or not at all while the network to PostgreSQL breaks at every moment."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from local import servers
from tests.chaos import load
from tests.chaos.faults import POSTGRES, Mode, Proxy, proxying
from tests.chaos.oracle import Oracle
from tests.chaos.outages import is_idle
from tests.chaos.seeds import EVERYTHING, RUNS, new_seed
from tests.support.running import running, wait_until

# Of each thread.
ACTIONS, ACTIONS_WHEN_HEALED = 60 if EVERYTHING else 48, 3
LEAST_STRIKES, LEAST_SILENCES = 5, 1
LEAST_ACKNOWLEDGED = 200


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
    few = {mode for mode in Mode if proxy.strikes[mode] < LEAST_STRIKES}
    assert few <= {Mode.silence}
    assert proxy.strikes[Mode.silence] >= LEAST_SILENCES
    assert any(of.refusal for of in oracle.operations)
    assert any(not of.settled for of in oracle.operations)
    assert oracle.recovered >= LEAST_STRIKES


@pytest.mark.parametrize("_run", range(RUNS))
def test_money_moves_once_or_not_at_all_while_connections_break(
    folders: Callable[[str], Path], new_home: Callable[[], Path], redis_url: str, _run: int
) -> None:
    seed = new_seed()
    oracle = Oracle()
    with servers.postgres(new_home(), durable=False) as admin_url:
        server_port = int(conninfo_to_dict(admin_url)["port"] or 0)
        with proxying(server_port, POSTGRES, seed) as (proxy, port):
            # The proxy reads what it passes.
            through = make_conninfo(admin_url, port=port, sslmode="disable", gssencmode="disable")
            with running(folders("product"), DATABASE_URL=through, REDIS_URL=redis_url) as url:
                paths = load.new_organizations(url)
                proxy.armed = True
                load.Load(url, paths, oracle, seed).run(ACTIONS)
                proxy.heal()
                struck = len(oracle.operations)
                load.Load(url, paths, oracle, f"{seed} healed").run(ACTIONS_WHEN_HEALED)
        with psycopg.connect(admin_url, autocommit=True) as admin:
            wait_until(lambda: is_idle(admin))
            assert oracle.verify(admin) == []
    _assert_proof(oracle, proxy)
    # Broken connections are no failure of a function.
    assert set(oracle.statuses) <= {200, 201, 402, 409, 429, 503}
    # No connection that broke before, in a request or idle, costs a later request its answer.
    assert [of for of in oracle.operations[struck:] if of.lost] == []
