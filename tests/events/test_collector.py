"""The Collector of the manual sends spans where they are taken, samples none, and loses none.

No Collector runs here: its configuration is held against the settings that its components declare.
"""

from collections.abc import Iterator
from typing import Any

import yaml

from local.template import ROOT
from synaxis_billing.ledger.charges import LARGEST_BATCH
from tests.support.events import FUNCTIONS

COLLECTOR = yaml.safe_load((ROOT / "docs/collector.yaml").read_text())
EXPORTER = COLLECTOR["exporters"]["otlphttp/billing"]
# Settings that the components have in all releases of the Collector since 0.130. It does not start
# with one that it does not know.
KNOWN = {
    "extensions": {
        "oauth2client": {"client_id", "client_secret", "token_url", "scopes"},
        "file_storage": {"directory", "create_directory"},
    },
    "receivers": {"otlp": {"protocols", "protocols.grpc", "protocols.http"}},
    "processors": {
        "filter": {"error_mode", "traces", "traces.span", "traces.spanevent"},
        "transform": {"error_mode", "trace_statements"},
    },
    "exporters": {
        "otlphttp": {
            *("endpoint", "encoding", "compression", "auth", "auth.authenticator"),
            *("retry_on_failure", "retry_on_failure.enabled", "retry_on_failure.max_elapsed_time"),
            "sending_queue",
            *(
                f"sending_queue.{name}"
                for name in ("enabled", "storage", "sizer", "queue_size", "block_on_overflow")
            ),
            "sending_queue.batch",
            *(
                f"sending_queue.batch.{name}"
                for name in ("sizer", "flush_timeout", "min_size", "max_size")
            ),
        }
    },
}


def test_it_sends_json_to_the_route() -> None:
    path = EXPORTER["endpoint"].removeprefix("${env:BILLING_URL}")
    assert f"POST {path}/v1/traces" in FUNCTIONS
    # Bodies that are compressed are refused.
    assert (EXPORTER["encoding"], EXPORTER["compression"]) == ("json", "none")


def test_it_uses_what_it_configures_and_samples_nothing() -> None:
    [pipeline] = COLLECTOR["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == COLLECTOR[kind].keys()
    assert set(COLLECTOR["service"]["extensions"]) == COLLECTOR["extensions"].keys()
    assert not [name for name in pipeline["processors"] if "sampl" in name]


def test_it_has_only_settings_that_the_collector_knows() -> None:
    for kind, components in KNOWN.items():
        for name, settings in COLLECTOR[kind].items():
            assert set(_settings(settings)) <= components[name.partition("/")[0]], name


def test_spans_wait_on_the_disk_until_they_are_taken() -> None:
    queue = EXPORTER["sending_queue"]
    assert EXPORTER["retry_on_failure"] == {"enabled": True, "max_elapsed_time": 0}
    assert (queue["enabled"], queue["block_on_overflow"]) == (True, True)
    assert queue["storage"] in COLLECTOR["extensions"]
    # The processor `batch` has spans in memory only.
    assert "batch" not in COLLECTOR["processors"]
    # So many are charged in one transaction.
    assert queue["batch"]["sizer"] == queue["sizer"] == "items"
    assert queue["batch"]["max_size"] <= LARGEST_BATCH


def test_no_text_of_a_prompt_leaves_it() -> None:
    assert COLLECTOR["processors"]["filter/calls"]["traces"]["spanevent"] == ["true"]
    [spans] = COLLECTOR["processors"]["transform/billing"]["trace_statements"]
    assert [of for of in spans["statements"] if of.startswith("keep_matching_keys(attributes, ")]


def _settings(of: Any, above: str = "") -> Iterator[str]:
    for name, value in of.items() if isinstance(of, dict) else ():
        yield f"{above}{name}"
        yield from _settings(value, f"{above}{name}.")
