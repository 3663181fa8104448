"""Exchange rates from providers: believed when whole and possible, else refused by name."""

import csv
import http.server
import itertools
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from synaxis_billing.currencies import CURRENCIES
from synaxis_billing.edge.settings import FxSource
from synaxis_billing.rates import sources
from synaxis_billing.rates.rates import LARGEST_JUMP
from synaxis_billing.rates.sources import NoRates, Refused, Source, fetch, simulated

NOW = datetime(2026, 2, 27, 15, tzinfo=UTC)
ECB = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"
 xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<gesmes:subject>Reference rates</gesmes:subject>
<Cube><Cube time='{day}'>{rates}</Cube></Cube></gesmes:Envelope>"""
BOMB = """<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;">]>
<lolz>&lol2;</lolz>"""
# Units per euro, published by the European Central Bank.
HISTORY = list(
    csv.DictReader((Path(__file__).parents[1] / "data/ecb_rates.csv").read_text().splitlines())
)
# Of the currencies that no test names.
OTHERS = {
    name: str(of.fallback_rate)
    for name, of in CURRENCIES.items()
    if name not in ("USD", "EUR", "BRL", "GBP")
}


def ecb_xml(day: str = "2026-02-27", **per_euro: str) -> str:
    rates = OTHERS | {"USD": "1.1", "GBP": "0.85", "BRL": "6.05"} | per_euro
    cubes = (f"<Cube currency='{name}' rate='{rate}'/>" for name, rate in rates.items() if rate)
    return ECB.format(day=day, rates="".join(cubes))


def api_json(**more: Any) -> str:
    rates: dict[str, Any] = {"USD": 1, "EUR": 0.92, "BRL": 5.75, "GBP": 0.79, **OTHERS}
    rates |= more.pop("rates", {})
    time = int(NOW.timestamp())
    answer = {"result": "success", "base_code": "USD", "time_last_update_unix": time}
    return json.dumps(answer | {"conversion_rates": rates} | more)


class Provider(http.server.ThreadingHTTPServer):
    """Answers what it is told to, however wrong."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = b""
        self.status = 200
        self.promised: int | None = None
        self.hangs_up = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/latest"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        if self.server.hangs_up:
            return
        self.send_response(self.server.status)
        length = len(self.server.body) if self.server.promised is None else self.server.promised
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


KINDS = {"exchangerate-api": sources.exchangerate_api, "ecb": sources.ecb}
WRONG = {
    "empty": ("exchangerate-api", "", "it is empty"),
    "cut off": ("exchangerate-api", api_json()[:-20], "it is not JSON, or was cut off"),
    "a page": ("exchangerate-api", "<html>Welcome</html>", "it is not JSON"),
    "deep": ("exchangerate-api", "[" * 100_000, "it is not JSON"),
    "an error": ("exchangerate-api", '{"result": "error"}', "it is an error answer"),
    "a list": ("exchangerate-api", "[1]", "it is an error answer"),
    "another base": ("exchangerate-api", api_json(base_code="EUR"), "its base is not USD"),
    "no rates": ("exchangerate-api", api_json(conversion_rates=None), "it has no rates"),
    "negative": ("exchangerate-api", api_json(rates={"EUR": -0.92}), "its EUR is -0.92"),
    "zero": ("exchangerate-api", api_json(rates={"BRL": 0}), "its BRL is 0"),
    "absurd": ("exchangerate-api", api_json(rates={"GBP": 1e12}), "its GBP is 1"),
    "tiny": ("exchangerate-api", api_json(rates={"GBP": 1e-9}), "its GBP is 1"),
    "not a number": ("exchangerate-api", api_json(rates={"EUR": "NaN"}), "its EUR is NaN"),
    "a word": ("exchangerate-api", api_json(rates={"EUR": "high"}), "its EUR is not a number"),
    "true": ("exchangerate-api", api_json(rates={"EUR": True}), "its EUR is not a number"),
    "null": ("exchangerate-api", api_json(rates={"EUR": None}), "its EUR is not a number"),
    "old": (
        "exchangerate-api",
        api_json(time_last_update_unix=1_500_000_000),
        "its rates are of 2017",
    ),
    "from the future": (
        "exchangerate-api",
        api_json(time_last_update_unix=4_000_000_000),
        "its rates are of 2096",
    ),
    "timeless": (
        "exchangerate-api",
        api_json(time_last_update_unix=None),
        "it has no valid date",
    ),
    "beyond time": (
        "exchangerate-api",
        api_json(time_last_update_unix=10**30),
        "it has no valid date",
    ),
    "a missing currency": ("ecb", ecb_xml(BRL=""), "it has no BRL"),
    "no dollar": ("ecb", ecb_xml(USD=""), "its USD is None"),
    "a dollar of nothing": ("ecb", ecb_xml(USD="0"), "its USD is 0"),
    "a negative dollar": ("ecb", ecb_xml(USD="-1.1"), "its USD is -1.1"),
    "XML cut off": ("ecb", ecb_xml()[:-40], "it is not the daily XML, or was cut off"),
    "an XML bomb": ("ecb", BOMB, "it is not the daily XML"),
    "no day": ("ecb", "<Envelope/>", "it has no day's rates"),
    "no such day": ("ecb", ecb_xml(day="2026-02-30"), "it is not the daily XML"),
    "last month's": ("ecb", ecb_xml(day="2026-01-27"), "its rates are of 2026-01-27"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_is_refused_with_its_reason_and_the_next_source_is_asked(
    case: str, provider: Provider
) -> None:
    kind, body, reason = WRONG[case]
    provider.body = body.encode()
    fetched = fetch([KINDS[kind](provider.url), simulated()], NOW)
    assert fetched.source == "simulated"
    assert len(fetched.refused) == 1
    assert fetched.refused[0].startswith(f"{kind}: {reason}"), fetched.refused


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({"status": 500}, "it answered 500"),
        ({"status": 403}, "it answered 403"),
        ({"promised": 10_000}, "its response was cut off, or is not valid HTTP"),
        ({"body": b" " * (1024 * 1024 + 1)}, "its response is larger than 1048576 bytes"),
        ({"hangs_up": True}, "its response was cut off, or is not valid HTTP"),
    ],
)
def test_a_provider_that_misbehaves_is_passed_over(
    behaviour: dict[str, Any], reason: str, provider: Provider
) -> None:
    vars(provider).update({"body": api_json().encode()} | behaviour)
    with pytest.raises(NoRates, match=f"exchangerate-api: {reason}"):
        fetch([sources.exchangerate_api(provider.url)], NOW)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/secret-key", "file:///etc/passwd", "no address", "http://[secret"]
)
def test_an_address_where_nothing_is_is_passed_over_and_never_told(url: str) -> None:
    with pytest.raises(NoRates) as refused:
        fetch([sources.ecb(url)], NOW)
    assert "secret" not in str(refused.value)
    assert "passwd" not in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        api_json(),
        json.dumps(
            {
                "base": "USD",
                "date": "2026-02-27",
                "rates": {"EUR": 0.92, "BRL": "5.75", "GBP": 0.79, "XAU": 1, **OTHERS},
            }
        ),
    ],
)
def test_rates_of_an_api_are_taken_exactly(body: str, provider: Provider) -> None:
    provider.body = body.encode()
    fetched = fetch([sources.exchangerate_api(provider.url), simulated()], NOW)
    assert fetched.source == "exchangerate-api"
    taken = {"EUR": "0.92", "BRL": "5.75", "GBP": "0.79", **OTHERS}
    assert fetched.rates == {name: Decimal(rate) for name, rate in taken.items()}
    assert fetched.refused == ()


def test_the_european_central_banks_history_is_read_as_units_per_dollar(
    provider: Provider,
) -> None:
    last: dict[str, Decimal] = {}
    for day in reversed(HISTORY):
        per_euro = {name: day[name] for name in CURRENCIES if name != "EUR"}
        provider.body = ecb_xml(day["Date"], **per_euro).encode()
        now = datetime.fromisoformat(day["Date"]).replace(tzinfo=UTC) + timedelta(hours=16)
        rates = fetch([sources.ecb(provider.url)], now).rates
        # Back in euros, each is what the bank published.
        assert abs(1 / rates["EUR"] - Decimal(day["USD"])) < Decimal("1e-11")
        for name in per_euro.keys() - {"USD"}:
            assert abs(rates[name] / rates["EUR"] - Decimal(day[name])) < Decimal("1e-9")
        # What is held back as a jump has not happened in these years.
        assert all(abs(rates[name] / last[name] - 1) < LARGEST_JUMP for name in last)
        last = rates


def test_a_weekend_old_rate_is_believed(provider: Provider) -> None:
    provider.body = ecb_xml("2026-02-27").encode()
    monday = datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert fetch([sources.ecb(provider.url)], monday).as_of.day == 27


def test_simulated_rates_are_the_same_for_the_same_seed_and_hour_and_near_the_base_rates() -> None:
    for hour in range(500):
        now = NOW + timedelta(hours=hour)
        fetched = fetch([simulated("a")], now)
        assert fetched.source == "simulated"
        assert fetched.rates == fetch([simulated("a")], now + timedelta(minutes=59)).rates
        for name, rate in fetched.rates.items():
            assert abs(rate / CURRENCIES[name].fallback_rate - 1) <= Decimal("0.02")
    assert fetch([simulated("a")], NOW).rates != fetch([simulated("b")], NOW).rates


def test_the_first_source_that_can_be_believed_is_the_last_that_is_asked() -> None:
    def refuse(_now: datetime) -> sources.Quote:
        raise Refused("it is closed")

    asked = itertools.count()

    def unasked(_now: datetime) -> sources.Quote:
        next(asked)
        raise Refused("not needed")

    chain = [Source("first", refuse), simulated(), Source("third", unasked)]
    assert fetch(chain, NOW).refused == ("first: it is closed",)
    assert next(asked) == 0
    with pytest.raises(NoRates, match="first: it is closed; first: it is closed"):
        fetch([chain[0], chain[0]], NOW)
    with pytest.raises(NoRates, match="no source is configured"):
        fetch([], NOW)


def test_sources_are_chosen_by_name_and_in_order() -> None:
    # Every name that the setting FX_SOURCES takes.
    for names in itertools.permutations(get_args(FxSource)):
        chosen = sources.chain(names, api_url="a", ecb_url="b", seed="")
        assert tuple(source.name for source in chosen) == names
