"""An answer that the client has is not sent again, and a long one is sent compressed."""

import gzip
import json

import httpx
import pytest

from synaxis_billing.edge.http.negotiation import accepts_gzip
from synaxis_billing.edge.http.transfer import SMALLEST_COMPRESSED
from tests.support.running import Client


def raw(api: Client, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """The answer, and its body as it was on the wire."""
    with api.http.stream("GET", path, headers={"accept-encoding": "identity", **headers}) as got:
        return got, b"".join(got.iter_raw())


def test_a_balance_that_is_known_is_not_sent_again(api: Client) -> None:
    path = api.new_organization("5")
    first = api.get(f"{path}/balance")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again, body = raw(api, f"{path}/balance", **{"if-none-match": known})
        assert (again.status_code, body) == (304, b""), known
        assert again.headers["etag"] == tag
    other, body = raw(api, f"{path}/balance", **{"if-none-match": 'W/"other"'})
    assert (other.status_code, json.loads(body)) == (200, first.json())
    api.post(f"{path}/charges", {"amount_usd": "1", "description": "x"}, path).raise_for_status()
    changed, body = raw(api, f"{path}/balance", **{"if-none-match": tag})
    assert changed.status_code == 200
    assert json.loads(body)["balance_usd"] == "4.00"
    assert changed.headers["etag"] != tag


def test_a_known_tag_opens_nothing(api: Client) -> None:
    own, others = api.new_organization("5"), api.new_organization("5")
    tenant = api.other("billing:read", own.rpartition("/")[2])
    tag = api.get(f"{others}/balance").headers["etag"]
    for known in (tag, "*"):
        refused, _ = raw(tenant, f"{others}/balance", **{"if-none-match": known})
        assert refused.status_code == 404


def test_a_long_answer_is_compressed_for_those_who_take_it(api: Client) -> None:
    path = api.new_organization("5")
    for number in range(10):
        charge = {"amount_usd": "0.01", "description": f"call {number}"}
        api.post(f"{path}/charges", charge, f"{path} {number}").raise_for_status()
    for form in ("application/json", "text/csv"):
        plain, body = raw(api, f"{path}/transactions", accept=form)
        packed, bytes_ = raw(
            api, f"{path}/transactions", **{"accept-encoding": "br, gzip", "accept": form}
        )
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(bytes_) == body
        assert len(bytes_) < len(body) / 2
        for answer in (plain, packed):
            assert answer.headers["vary"] == "Accept, Accept-Encoding"
            assert answer.headers["etag"] == plain.headers["etag"]
    short, body = raw(api, f"{path}/budgets", **{"accept-encoding": "gzip"})
    assert len(body) < SMALLEST_COMPRESSED
    assert "content-encoding" not in short.headers


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("gzip", True),
        ("GZIP;q=0.5, br", True),
        ("*", True),
        ("deflate, *;q=0.1", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("gzip;q=x", False),
    ],
)
def test_who_takes_gzip(header: str, taken: bool) -> None:
    assert accepts_gzip(header) is taken
