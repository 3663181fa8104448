"""Whatever is sent: a clear answer that names the field and the rule, and nothing half done."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.template import ROOT
from tests.support.running import Client

GOOD = {"amount_usd": "1", "description": "chat"}
TOO_LONG = "x" * 256


@pytest.fixture(scope="module")
def organization(api: Client) -> Iterator[str]:
    """An organization that nothing refused in this module has changed."""
    path = api.new_organization("10")
    yield path
    listed = api.get(f"{path}/transactions", limit=100).json()["items"]
    assert [(one["transaction_type"], one["amount_usd"]) for one in listed] == [("topup", "10.00")]


def _refused(
    answer: httpx.Response, pointer: str, rule: str, code: str = "invalid_request"
) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    said = {error["pointer"]: error["detail"] for error in problem["errors"]}
    assert pointer in said, problem
    assert rule in said[pointer]
    assert "pydantic" not in answer.text.lower()


BAD_FIELDS: list[tuple[str, dict[str, Any], str, str]] = [
    ("charges", {"amount_usd": 1.5}, "/amount_usd", "a number is refused"),
    ("charges", {"amount_usd": 2}, "/amount_usd", "a number is refused"),
    ("charges", {"amount_usd": "1e400"}, "/amount_usd", "must hold a decimal"),
    ("charges", {"amount_usd": "1e-9"}, "/amount_usd", "at most 8 decimals"),
    ("charges", {"amount_usd": "1e10"}, "/amount_usd", "at most 9999999999.99999999"),
    ("charges", {"amount_usd": "NaN"}, "/amount_usd", "must hold a decimal"),
    ("charges", {"amount_usd": "-1"}, "/amount_usd", "must not be negative"),
    ("holds", {"amount_usd": "0"}, "/amount_usd", "greater than zero"),
    ("topups", {"amount_usd": "0e-3"}, "/amount_usd", "greater than zero"),
    ("charges", {"amount_usd": "0.000000001"}, "/amount_usd", "at most 8 decimals"),
    ("charges", {"amount_usd": "99999999999"}, "/amount_usd", "at most 9999999999.99999999"),
    ("charges", {"model": "x" * 256}, "/model", "must have at most 255 characters"),
    ("charges", {"amount_usd": None}, "/amount_usd", "is required"),
    ("charges", {"description": None}, "/description", "must be a string"),
    ("charges", {"description": ""}, "/description", "at least 1 character"),
    ("charges", {"description": "a\0b"}, "/description", "not allowed"),
    ("charges", {"colour": "red"}, "/colour", "is not a known field"),
    ("charges", {"team_id": "x" * 129}, "/team_id", "at most 128"),
    ("charges", {"end_user": "a\0b"}, "/end_user", "not allowed"),
    ("charges", {"metadata": {"n": 1}}, "/metadata/n", "must be a string"),
    (
        "charges",
        {"metadata": dict.fromkeys("abcdefghijklmnopqrstu", "x")},
        "/metadata",
        "at most 20",
    ),
    ("charges", {"metadata": {"a": "é" * 1024}}, "/metadata", "at most 2048 bytes"),
    ("charges", {"metadata": {"a": "b\0"}}, "/metadata/a", "not allowed"),
    ("charges", {"tokens": -1}, "/tokens", "greater than or equal to 0"),
    ("charges", {"tokens": "7"}, "/tokens", "whole number"),
    ("charges", {"tokens": 1.0}, "/tokens", "whole number"),
    ("charges", {"model": TOO_LONG}, "/model", "at most 255"),
    ("charges", {"request_id": {}}, "/request_id", "must be a string"),
    ("holds", {"expires_in_seconds": 0}, "/expires_in_seconds", "greater than or equal to 1"),
    ("holds", {"expires_in_seconds": 86401}, "/expires_in_seconds", "less than or equal to 86400"),
    ("topups", {"tokens": 5}, "/tokens", "is not a known field"),
    ("refunds", {}, "/transaction_id", "is required"),
    ("adjustments", {"amount_usd": "0"}, "/amount_usd", "must not be zero"),
    ("adjustments", {"allow_negative_balance": "yes"}, "/allow_negative_balance", "true or false"),
    ("spend-logs", {"amount_usd": "x"}, "/amount_usd", "must hold a decimal"),
]


@pytest.mark.parametrize(("route", "fields", "pointer", "rule"), BAD_FIELDS)
def test_a_bad_field_is_named_with_its_rule(
    api: Client, organization: str, route: str, fields: dict[str, Any], pointer: str, rule: str
) -> None:
    base = {"amount_usd": "1"} if route in ("spend-logs", "topups") else GOOD
    _refused(api.post(f"{organization}/{route}", {**base, **fields}, "bad"), pointer, rule)


BAD_BODIES = [
    (b"", "is required"),
    (b"{", "must be JSON"),
    (b"nonsense", "must be JSON"),
    (b"[1]", "must be a JSON object"),
    (b'[{"amount_usd": "1", "description": "x"}]', "must be a JSON object"),
    (b'"text"', "must be a JSON object"),
    (b'{"amount_usd": "1", "description": "\\ud800"}', "must be JSON"),
    (b'{"amount_usd": "1", "description": "\xff"}', "must be UTF-8"),
    (b'{"amount_usd": NaN, "description": "x"}', "must be JSON"),
    (b'{"description": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "must be JSON"),
]


@pytest.mark.parametrize(("body", "rule"), BAD_BODIES)
def test_a_body_that_is_no_json_object_is_refused(
    api: Client, organization: str, body: bytes, rule: str
) -> None:
    headers = {"content-type": "application/json", "idempotency-key": "bad"}
    answer = api.http.post(f"{organization}/charges", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert rule in json.dumps(answer.json()["errors"])


def test_a_member_that_is_named_twice_is_refused(api: Client, organization: str) -> None:
    for body in (
        b'{"amount_usd": "1", "description": "x", "amount_usd": "2"}',
        b'{"amount_usd": "1", "description": "x", "metadata": {"a": "1", "a": "2"}}',
    ):
        headers = {"content-type": "application/json", "idempotency-key": "bad"}
        answer = api.http.post(f"{organization}/charges", content=body, headers=headers)
        _refused(answer, "", "must name each member once")


def test_a_compressed_body_is_refused(api: Client, organization: str) -> None:
    headers = {"content-encoding": "gzip", "idempotency-key": "bad"}
    answer = api.http.post(f"{organization}/charges", json=GOOD, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_many_mistakes_are_answered_by_the_first_hundred(api: Client) -> None:
    body = {f"field {number}": 1 for number in range(500)}
    errors = api.post("/v1/organizations", body).json()["errors"]
    assert len(errors) == 100


def test_the_pointer_to_a_name_with_slashes_is_escaped(api: Client, organization: str) -> None:
    answer = api.post(f"{organization}/charges", {**GOOD, "a/b~c": 1}, "bad")
    _refused(answer, "/a~1b~0c", "is not a known field")


@pytest.mark.parametrize("place", ["charge", "metadata", "batch", "twice"])
def test_a_name_of_many_megabytes_is_refused_in_few_words(
    api: Client, organization: str, place: str
) -> None:
    name = "😀" * 1_400_000
    batch = {"charges": [{**GOOD, name: 1}]}
    path = "/v1/charges/batch" if place == "batch" else f"{organization}/charges"
    body = {
        "charge": {**GOOD, name: 1},
        "metadata": {**GOOD, "metadata": {name: 1}},
        "batch": batch,
    }.get(place)
    half = json.dumps(name[:700_000], ensure_ascii=False)
    text = f"{{{half}: 1, {half}: 1}}" if body is None else json.dumps(body, ensure_ascii=False)
    headers = {"content-type": "application/json", "idempotency-key": "bad"}
    answer = api.http.post(path, content=text.encode(), headers=headers)
    assert answer.status_code == (200 if place == "batch" else 400), answer.text[:300]
    assert len(answer.content) < 10_000


def test_no_text_of_a_request_is_without_a_bound() -> None:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    unbound = []
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                unbound += _unbound(document, parameter["schema"], parameter["name"])
            for content in operation.get("requestBody", {}).get("content", {}).values():
                unbound += _unbound(document, content["schema"], operation["operationId"])
    assert unbound == []


def _unbound(document: dict[str, Any], schema: dict[str, Any], path: str) -> list[str]:
    """The paths of the texts of a schema that may have any length and any character."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found = []
    if schema.get("type") == "string" and not {"maxLength", "pattern", "enum", "const"} & set(
        schema
    ):
        found = [] if schema.get("format") in ("uuid", "date-time", "date") else [path]
    for name, field in schema.get("properties", {}).items():
        found += _unbound(document, field, f"{path}/{name}")
    for of in [*schema.get("anyOf", []), schema.get("items"), schema.get("additionalProperties")]:
        if isinstance(of, dict):
            found += _unbound(document, of, f"{path}[]")
    return found


def test_another_media_type_is_refused_by_name(api: Client, organization: str) -> None:
    for kind in (
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
    ):
        answer = api.http.post(
            f"{organization}/charges",
            content=json.dumps(GOOD),
            headers={"content-type": kind, "idempotency-key": "bad"},
        )
        _refused(answer, "", "Content-Type: application/json")
    # A route that needs no body refuses it too.
    released = api.http.post(
        f"{organization}/holds/{uuid.uuid4()}/release",
        content="text",
        headers={"content-type": "text/plain", "idempotency-key": "bad"},
    )
    _refused(released, "", "Content-Type: application/json")
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        answer = api.http.post(
            f"{organization}/spend-logs",
            content='{"amount_usd": "1"}',
            headers={"content-type": kind},
        )
        assert answer.status_code == 201


@pytest.mark.parametrize("key", [None, "", "x" * 256, "tab\there", "ü"])
def test_a_change_of_a_balance_needs_a_printable_key(
    api: Client, organization: str, key: str | None
) -> None:
    hold = f"holds/{uuid.uuid4()}"
    routes = [
        "charges",
        "holds",
        f"{hold}/capture",
        f"{hold}/release",
        "topups",
        "refunds",
        "adjustments",
    ]
    for route in routes:
        headers: list[tuple[bytes, bytes]] = (
            [] if key is None else [(b"idempotency-key", key.encode())]
        )
        answer = api.http.post(f"{organization}/{route}", json=GOOD, headers=headers)
        expected = "idempotency_key_required" if key is None else "invalid_request"
        assert (answer.status_code, answer.json()["code"]) == (400, expected)


BAD_QUERIES = [
    ("transactions", {"limit": "0"}, "/limit", "greater than or equal to 1"),
    ("transactions", {"limit": "101"}, "/limit", "less than or equal to 100"),
    ("transactions", {"limit": "1_0"}, "/limit", "must be a whole number"),
    ("transactions", {"limit": "ten"}, "/limit", "must be a whole number"),
    ("transactions", {"type": "gift"}, "/type", "'grant', 'expiry', 'void' or 'payout'"),
    ("grants", {"status": "gone"}, "/status", "'depleted', 'expired' or 'voided'"),
    ("transactions", {"from": "yesterday"}, "/from", "must be a time"),
    ("transactions", {"from": "2026-11-01T00:00:00"}, "/from", "must have an offset"),
    ("transactions", {"from": "1760000000"}, "/from", "must be a time"),
    ("transactions", {"from": "1.5E-7"}, "/from", "must be a time"),
    ("transactions", {"from": "2026-11-31"}, "/from", "is not a valid date"),
    ("transactions", {"from": "2026-11-01 00:00:00Z"}, "/from", "must be a time"),
    ("transactions", {"from": "20261101T000000-01"}, "/from", "must be a time"),
    ("transactions", {"from": "2026-11-31T00:00:00Z"}, "/from", "is not a valid date and time"),
    ("transactions", {"from": "0001-01-01T00:00:00+01:00"}, "/from", "years 2 to 9998"),
    ("transactions", {"from": "9999-12-31T00:00:00-11:00"}, "/from", "years 2 to 9998"),
    ("transactions", {"cursor": "elsewhere"}, "/cursor", "cursor of this list"),
    ("transactions", {"cursor": "ü"}, "/cursor", "cursor of this list"),
    ("transactions", {"form": "2026-11-01T00:00:00Z"}, "/form", "not a parameter"),
    ("spend-logs", {"type": "charge"}, "/type", "not a parameter"),
    ("spending", {"group_by": "model,colour"}, "/group_by", "must be any of model"),
    ("spending", {"from": "2026-11-02T00:00:00Z", "to": "2026-11-01T00:00:00Z"}, "/from", "before"),
]


@pytest.mark.parametrize(("route", "query", "pointer", "rule"), BAD_QUERIES)
def test_a_bad_query_is_named_with_its_rule(
    api: Client, organization: str, route: str, query: dict[str, str], pointer: str, rule: str
) -> None:
    _refused(api.get(f"{organization}/{route}", **query), pointer, rule)


def test_a_cursor_of_another_list_or_organization_is_refused(api: Client) -> None:
    organization = api.new_organization("10")
    for i in range(2):
        api.post(f"{organization}/charges", {**GOOD, "amount_usd": "0.01"}, f"cursor {i}")
    cursor = api.get(f"{organization}/transactions", limit=1).json()["next_cursor"]
    _refused(api.get(f"{organization}/spend-logs", cursor=cursor), "/cursor", "of this list")
    other = api.new_organization()
    _refused(api.get(f"{other}/transactions", cursor=cursor), "/cursor", "of this list")


BAD_PROFILES: list[tuple[dict[str, Any], str, str]] = [
    ({"billing_currency": "XYZ"}, "/billing_currency", "must be one of USD, EUR, BRL, GBP"),
    ({"billing_currency": "EURO"}, "/billing_currency", "must be one of"),
    # Its long s is an S in capitals.
    ({"billing_currency": "u\u017fd"}, "/billing_currency", "must be one of"),
    ({"timezone": "Mars/Olympus"}, "/timezone", "IANA time zone"),
    ({"timezone": "EST5EDT4"}, "/timezone", "IANA time zone"),
    ({"locale": "english"}, "/locale", "must be a locale such as pt-BR"),
    ({"id": "1"}, "/id", "must be a UUID"),
    ({"low_balance_threshold_usd": "-1"}, "/low_balance_threshold_usd", "must not be negative"),
    ({"low_balance_threshold_usd": "-0"}, "/low_balance_threshold_usd", "must not be negative"),
    ({"tax": {"label": "VAT", "rate_percent": "-0"}}, "/tax/rate_percent", "from 0 to 100"),
    ({"tax": {"label": "VAT", "rate_percent": "101"}}, "/tax/rate_percent", "from 0 to 100"),
    ({"tax": {"rate_percent": "20"}}, "/tax/label", "is required"),
    ({"name": ""}, "/name", "at least 1 character"),
]


@pytest.mark.parametrize(("fields", "pointer", "rule"), BAD_PROFILES)
def test_a_bad_profile_is_refused(
    api: Client, organization: str, fields: dict[str, Any], pointer: str, rule: str
) -> None:
    base = {"name": "Acme", "billing_currency": "USD"}
    _refused(api.post("/v1/organizations", {**base, **fields}), pointer, rule)
    if "id" not in fields:
        _refused(api.http.patch(organization, json=fields), pointer, rule)


def test_what_must_be_there_cannot_be_cleared(api: Client, organization: str) -> None:
    for name in ("name", "billing_currency", "timezone"):
        _refused(api.http.patch(organization, json={name: None}), f"/{name}", "must be a string")


@pytest.mark.parametrize("path", ["not-a-uuid", "1", "%00", "11111111-1111-1111-1111-11111111111"])
def test_a_malformed_id_in_the_path_is_refused(api: Client, path: str) -> None:
    answer = api.get(f"/v1/organizations/{path}")
    _refused(answer, "/organization_id", "must be a UUID")


@pytest.mark.parametrize("code", ["XAU", "u\u017fd", "EURO", "%"])
def test_a_currency_that_is_not_billed_in_has_no_rate(api: Client, code: str) -> None:
    answer = api.get(f"/v1/exchange-rates/{code}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unsupported_currency")


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "0000-01", "२०२६-01", "now"])
def test_what_is_no_month_is_refused(api: Client, month: str) -> None:
    _refused(api.get(f"/v1/month-end/{month}"), "/month", "must be a month such as 2026-02")


@pytest.mark.parametrize(("megabytes", "status"), [(5, 400), (7, 413), (11, 413)])
def test_a_body_of_many_megabytes_is_refused(
    api: Client, organization: str, megabytes: int, status: int
) -> None:
    body = json.dumps({**GOOD, "description": "x" * megabytes * 1024 * 1024})
    answer = api.http.post(
        f"{organization}/charges",
        content=body,
        headers={"content-type": "application/json", "idempotency-key": "big"},
    )
    assert answer.status_code == status
    assert answer.json()["code"] == ("payload_too_large" if status == 413 else "invalid_request")


def test_a_balance_beyond_the_column_is_refused(api: Client) -> None:
    organization = api.new_organization("9999999999.99999999")
    answer = api.post(f"{organization}/topups", {"amount_usd": "0.00000001"}, "over")
    _refused(answer, "/amount_usd", "too much")
    assert api.get(f"{organization}/balance").json()["balance_usd"] == "9999999999.99999999"


@pytest.mark.parametrize(
    "path", ["/v1", "/v2/organizations", "/v1/organizations/a/b/c", "/_local/x"]
)
def test_what_is_no_route_is_not_found(api: Client, path: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
