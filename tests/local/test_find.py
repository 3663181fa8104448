"""`make find`: what a support person needs of a call, whichever organization it was of."""

import pytest

from local import find
from tests.support.running import Client

CALL = {"provider": "openai", "model": "gpt-4o", "end_user": "anna", "team_id": "team-7"}


@pytest.fixture
def organization(api: Client) -> str:
    path = api.new_organization("10", name="Acme")
    api.new_organization("10", name="Other")
    return path


def found(api: Client, organization: str | None = None, **asked: str) -> list[str]:
    return list(find.find(api.http, asked, organization and organization.rpartition("/")[2]))


def test_a_call_is_found_by_its_request_id_with_who_paid(api: Client, organization: str) -> None:
    request_id = f"req {organization}"
    held = {"amount_usd": "2", "request_id": request_id, **CALL}
    hold = api.post(f"{organization}/holds", held, f"h {organization}").raise_for_status().json()
    open_holds = found(api, organization)
    assert f"hold {hold['id']}  held, 2.00 USD, 0:00:" in open_holds[1]
    paid = {"amount_usd": "1.5", "description": "chat"}
    capture = f"{organization}/holds/{hold['id']}/capture"
    charge = api.post(capture, paid, f"c {organization}").raise_for_status().json()
    refund = {"transaction_id": charge["id"], "amount_usd": "0.5"}
    api.post(f"{organization}/refunds", refund, f"r {organization}").raise_for_status()
    head, *lines = found(api, request_id=request_id)
    assert head.startswith(f"Acme  {organization.rpartition('/')[2]}  active, available 9.00 USD")
    told = "\n".join(lines)
    assert f"hold {hold['id']}  captured, 2.00 USD" in told
    assert f"charge {charge['id']}  -1.50 USD" in told
    assert "provider openai, model gpt-4o, request_id" in told
    assert "paid by paid grant" in told
    assert "refunded by" in told
    assert found(api, organization) == []


@pytest.mark.parametrize("name", ["reference_id", "end_user", "virtual_key_id"])
def test_what_was_only_logged_is_found_by_other_names(
    name: str, api: Client, organization: str
) -> None:
    log = {"amount_usd": "3", "model": "m", name: organization}
    api.post(f"{organization}/spend-logs", log).raise_for_status()
    [_, line] = found(api, **{name: organization})
    assert line.startswith("  spend log")
    assert "3.00 USD" in line
    assert f"{name} {organization}" in line
    assert found(api, **{name: "nobody's"}) == []
