"""The Collector of the manual sends spans where they are taken, and samples none."""

import yaml

from local.template import ROOT
from tests.support.events import FUNCTIONS

COLLECTOR = yaml.safe_load((ROOT / "docs/collector.yaml").read_text())


def test_it_sends_json_to_the_route() -> None:
    exporter = COLLECTOR["exporters"]["otlphttp/billing"]
    path = exporter["endpoint"].removeprefix("${env:BILLING_URL}")
    assert f"POST {path}/v1/traces" in FUNCTIONS
    # Bodies that are compressed are refused.
    assert (exporter["encoding"], exporter["compression"]) == ("json", "none")
    assert exporter["retry_on_failure"]["max_elapsed_time"] == 0


def test_it_uses_what_it_configures_and_samples_nothing() -> None:
    [pipeline] = COLLECTOR["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == COLLECTOR[kind].keys()
    assert set(COLLECTOR["service"]["extensions"]) == COLLECTOR["extensions"].keys()
    assert not [name for name in pipeline["processors"] if "sampl" in name]
