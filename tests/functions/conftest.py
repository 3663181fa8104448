"""Functions in this process, on a database of their own."""

from collections.abc import Iterator

import pytest

from tests.conftest import Database
from tests.support.events import Invoke, in_process


@pytest.fixture
def invoke(
    database: Database, other_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Invoke]:
    with in_process(database, other_redis_url, monkeypatch) as call:
        yield call
