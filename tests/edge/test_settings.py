"""A function with a bad setting does not start, and the error names every bad variable."""

import os
import subprocess
import sys

import pytest

from local.template import ROOT, read
from synaxis_billing.edge.invoicing import issuer
from synaxis_billing.edge.settings import SettingsError, settings

_START = """
import sys
sys.path[:0] = {path!r}
from local.template import read
for name, function in read({{}}).functions.items():
    try:
        function.load()
    except Exception as error:
        print(f"{{type(error).__name__}}: {{error}}")
    else:
        print(f"{{name}} started")
"""


def start_all(**environment: str) -> set[str]:
    """Load every function in a process with this environment; return how each start ended."""
    done = subprocess.run(
        [sys.executable, "-c", _START.format(path=[str(ROOT / "shared"), str(ROOT)])],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "POWERTOOLS_METRICS_NAMESPACE": "test", **environment},
    )
    return set(done.stdout.splitlines())


def test_no_function_starts_with_bad_settings_and_each_is_named_with_its_rule() -> None:
    assert start_all(WEBHOOKS_TO_PRIVATE="perhaps", REDIS_URL="http://cache", DATABASE_URL="") == {
        "SettingsError: REDIS_URL must be a URL such as rediss://host:6379; "
        "WEBHOOKS_TO_PRIVATE must be true or false"
    }


def test_a_function_that_issues_invoices_does_not_start_without_a_valid_seller() -> None:
    ends = start_all(INVOICE_SELLER='{"nme": "Example GmbH"}')
    issuing = {"InvoiceFunction", "MonthEndWorkFunction", "TopupInvoicesFunction"}
    issuing |= {"PaymentsFunction", "PaymentSweepFunction"}
    assert ends == {
        "SettingsError: INVOICE_SELLER/name is required; INVOICE_SELLER/nme is not a known field",
        *(f"{name} started" for name in read({}).functions if name not in issuing),
    }


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("DATABASE_URL", "mysql://db/billing", "must be postgresql://user@host/name, or host="),
        ("ADMIN_DATABASE_URL", "db.example.com", "must be postgresql://user@host/name, or host="),
        ("DATABASE_URL_SECRET", "billing-db", "must be an ARN"),
        ("REDIS_URL", "cache:6379", "must be a URL such as rediss://host:6379"),
        ("REDIS_CLUSTER", "ja", "must be true or false"),
        ("KAFKA_BROKERS", "broker", "must be host:port, or several with commas"),
        ("INVALIDATION_TOPIC_ARNS", "arn:aws:sqs:x:1:q", "/0 must be an ARN, arn:aws:sns:"),
        ("INVALIDATION_TOPIC_ARNS", "arn:aws:sns:x-1:1:t", "must name a topic in the function's"),
        ("REGION_ENDPOINTS", "sa-east-1=https://x", "must be JSON"),
        ("REGION_ENDPOINTS", '{"sa-east-1": 1}', "/sa-east-1 must be a"),
        ("INVOICE_SERIES", "inv-", "must be 1 to 10 of A-Z and 0-9"),
        ("REFUND_GRACE_DAYS", "0", "must be greater than or equal to 1"),
        ("REFUND_GRACE_DAYS", "a month", "must be a valid integer"),
        ("FX_SOURCES", "ecb,bank", "/1 must be 'exchangerate-api', 'ecb' or 'simulated'"),
        ("FX_ECB_URL", "ecb.europa.eu", "must be a URL such as https://example.com"),
        ("WEBHOOK_QUEUE_URL", "WebhookQueue", "must be a URL such as https://example.com"),
        ("INVOICE_SELLER", "{", "must be JSON"),
    ],
)
def test_a_bad_value_is_refused_by_its_rule_and_never_shown(
    variable: str, value: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=rf"^{variable}[ /]") as refused:
        issuer()
    assert rule in str(refused.value)
    assert value not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "postgresql://app:secret@db:5432/billing?sslmode=require"),
        ("DATABASE_URL", "host=127.0.0.1 dbname=billing user=app"),
        ("REDIS_URL", "rediss://:secret@cache:6379/0"),
        ("KAFKA_BROKERS", "b-1.example.com:9098,b-2.example.com:9098"),
        ("REGION_ENDPOINTS", '{"sa-east-1": "https://api.example.com"}'),
        # Empty is unset.
        ("REDIS_CLUSTER", ""),
    ],
)
def test_a_good_value_is_taken(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    assert settings()


def test_the_defaults_are_the_template_s() -> None:
    functions = read({}).functions
    given = functions["InvoiceFunction"].environment
    assert given["INVOICE_SELLER"] == settings().invoice_seller
    # Both functions that give credit of an ended grant back.
    for name in ("TopupFunction", "InvoiceFunction"):
        assert int(functions[name].environment["REFUND_GRACE_DAYS"]) == settings().refund_grace_days
