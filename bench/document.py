"""`python -m bench.document 40`: the PDF of an invoice of so many lines, in a process of its own.

Prints as JSON the seconds of the first and of a warm rendering, bytes, and the peak memory in MB.
"""

import json
import statistics
import sys
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from bench.billing import peak_mb
from synaxis_billing.invoices.documents.model import InvoiceDocument
from synaxis_billing.invoices.documents.pdf import pdf
from synaxis_billing.invoices.invoices import LineItem
from synaxis_billing.invoices.parties import Customer, Seller

ROUNDS = 5
END = datetime(2026, 3, 1, tzinfo=UTC)


def invoice(lines: int) -> InvoiceDocument:
    line = LineItem(
        description="gpt-4o, openai",
        model="gpt-4o",
        provider="openai",
        requests=18_234,
        tokens=9_123_456,
        amount_usd=Decimal("1.5"),
        amount_billing_currency=Decimal("1.38"),
    )
    net_usd, net = lines * line.amount_usd, lines * line.amount_billing_currency
    return InvoiceDocument(
        id=UUID(int=1),
        number="INV-2026-000001",
        status="issued",
        period_start=datetime(2026, 2, 1, tzinfo=UTC),
        period_end=END,
        first_day=date(2026, 2, 1),
        last_day=date(2026, 2, 28),
        billing_currency="EUR",
        minor_units=2,
        exchange_rate=Decimal("0.92"),
        rate_source="ecb",
        rate_as_of=END,
        line_items=(line,) * lines,
        subtotal_usd=net_usd,
        tax_usd=Decimal(0),
        total_amount_usd=net_usd,
        subtotal_billing_currency=net,
        tax_billing_currency=Decimal(0),
        total_amount_billing_currency=net,
        amount_due_usd=net_usd,
        amount_due_billing_currency=net,
        tax_label=None,
        tax_rate_percent=None,
        seller=Seller(name="Seller"),
        customer=Customer(name="Customer"),
        locale="de-DE",
        payment_terms_days=14,
        issued_at=END,
        issue_date=date(2026, 3, 1),
        due_date=date(2026, 3, 15),
    )


def main() -> None:
    one = invoice(int(sys.argv[1]))
    times = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        size = len(pdf(one))
        times.append(time.perf_counter() - began)
    warm = statistics.median(times[1:])
    print(json.dumps({"first": times[0], "warm": warm, "bytes": size, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
