"""Webhooks over HTTP, from the endpoint to what it receives."""

from typing import Any

from synaxis_billing.webhooks.events import BODIES
from tests.support.receiver import receiving
from tests.support.running import Client, wait_until

CHARGE = {"amount_usd": "6", "description": "chat", "model": "gpt-4o"}


def test_from_an_endpoint_to_what_it_is_told(api: Client) -> None:
    path = api.new_organization("10", low_balance_threshold_usd="5")
    with receiving() as receiver:
        body = {"url": receiver.url, "types": ["balance.low"]}
        made = api.post(f"{path}/webhook-endpoints", body)
        assert made.status_code == 201
        secret = made.json()["secret"]
        endpoint = f"{path}/webhook-endpoints/{made.json()['id']}"
        receiver.status = 503
        api.post(f"{path}/charges", CHARGE, "c").raise_for_status()
        api.post("/_local/invoke/WebhookDispatchFunction").raise_for_status()

        def delivery() -> dict[str, object]:
            [event] = api.get(f"{path}/webhook-events", type="balance.low").json()["items"]
            [found] = event["deliveries"]
            return dict(found)

        wait_until(lambda: delivery()["status_code"] == 503)
        assert (delivery()["status"], delivery()["error"]) == ("pending", "it answered 503")
        receiver.status = 200
        [event] = api.get(f"{path}/webhook-events", type="balance.low").json()["items"]
        asked = {"event_id": event["id"]}
        assert api.post(f"{endpoint}/replay", asked).json() == {"replayed": 1}
        api.post("/_local/invoke/WebhookDispatchFunction").raise_for_status()
        wait_until(lambda: delivery()["status"] == "delivered")
        first, second = receiver.received
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == event["id"]
        for got in (first, second):
            told = got.verified(secret)
            assert (told["type"], told["data"]["balance_usd"]) == ("balance.low", "4.00")
            assert_documented(told)
    rotated = api.post(f"{endpoint}/rotate-secret").json()
    assert rotated["secret"].startswith("whsec_")
    off = api.http.patch(endpoint, json={"enabled": False}).json()
    assert (off["enabled"], off["disabled_because"]) == (False, "asked for")
    refused = api.post(f"{endpoint}/replay", {"since": event["created_at"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_state")
    again = api.post(f"{path}/webhook-endpoints", body)
    assert (again.status_code, again.json()["code"]) == (409, "webhook_endpoint_exists")
    listed = api.get(f"{path}/webhook-endpoints").json()["items"]
    assert [one["id"] for one in listed] == [made.json()["id"]]
    assert "secret" not in listed[0]
    assert api.http.delete(endpoint).json()["id"] == made.json()["id"]
    gone = api.http.delete(endpoint)
    assert (gone.status_code, gone.json()["code"]) == (404, "webhook_endpoint_not_found")


def assert_documented(told: dict[str, Any]) -> None:
    """Check the body of a webhook, which has exactly the members that the document names."""
    BODIES[told["type"]].model_validate(told, extra="forbid")


def test_what_is_wrong_with_an_endpoint_is_named(api: Client) -> None:
    path = api.new_organization()
    for body, pointer in (
        ({}, "/url"),
        ({"url": "mailto:me@example.com"}, "/url"),
        ({"url": "https://exa mple.com"}, "/url"),
        ({"url": "https://example.com", "types": ["invoice.eaten"]}, "/types/0"),
        ({"url": "https://example.com", "secret": "mine"}, "/secret"),
    ):
        refused = api.post(f"{path}/webhook-endpoints", body)
        assert refused.status_code == 400
        assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]
    assert api.get(f"{path}/webhook-events", type="nothing").status_code == 400
