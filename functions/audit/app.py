"""Nightly: whether every promise of the ledger holds."""

from typing import Any

from synaxis_billing.edge import administration


@administration.metrics.log_metrics
def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    return administration.audit()
