"""Export and erasure over HTTP."""

from typing import Any

from tests.support.running import Client

JANE = "jane@example.com"


def test_what_is_held_of_a_person_is_shown_and_erased(api: Client) -> None:
    path = api.new_organization(
        "10", address={"line1": "Main Street 1", "city": "Dublin", "country": "IE"}
    )
    topup = {"amount_usd": "1", "description": "for Jane", "initiated_by": JANE}
    api.post(f"{path}/topups", topup, "jane").raise_for_status()

    def held(**query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = api.get(f"{path}/personal-data", limit=1, **query, **cursor).json()
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = {"cursor": page["next_cursor"]}

    kinds = [item["kind"] for item in held()]
    assert kinds == ["organization", "transaction", "transaction", "credit_grant", "credit_grant"]
    [of_jane] = held(initiated_by=JANE)
    assert of_jane["data"]["description"] == "for Jane"
    body = {"initiated_by": JANE, "reason": "request 7"}
    erased = api.post(f"{path}/erasures", body)
    assert (erased.status_code, erased.json()["transactions"]) == (201, 1)
    assert held(initiated_by=JANE) == []
    api.post(f"{path}/erasures", {"reason": "closed", "profile": True}).raise_for_status()
    assert (api.get(path).json()["name"], api.get(path).json()["address"]) == ("erased", None)
    for wrong, pointer in (
        ({}, "/reason"),
        ({"reason": "x", "initiated_by": JANE, "profile": True}, "/profile"),
        ({"reason": "x", "everything": True}, "/everything"),
    ):
        refused = api.post(f"{path}/erasures", wrong)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, pointer)
    assert api.get(f"{path}/personal-data", cursor="nothing.x").status_code == 400
    refused = api.post(f"{path}/erasures?cursor=x", body)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/cursor")
