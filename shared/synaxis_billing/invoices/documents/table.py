"""An invoice as a table, for a spreadsheet or an accounting program."""

from collections.abc import Iterator
from decimal import Decimal

from synaxis_billing.invoices.documents.model import InvoiceDocument
from synaxis_billing.tables import Number, table

HEAD = (
    "description",
    "model",
    "provider",
    "requests",
    "tokens",
    "amount_usd",
    "amount_billing_currency",
    "currency",
    "exchange_rate",
    "invoice_number",
    "period_start",
    "period_end",
    "kind",
)


def csv(invoice: InvoiceDocument) -> str:
    """Return a row per line item, one for the tax if there is one, and one for the total. `kind` is
    line, further_lines, tax or total: the total is the sum of the rows above it."""
    return table(HEAD, _rows(invoice))


def _rows(invoice: InvoiceDocument) -> Iterator[list[object]]:
    def row(kind: str, usd: Decimal, billed: Decimal, *usage: object) -> list[object]:
        return [
            *usage,
            usd,
            Number(f"{billed:.{invoice.minor_units}f}"),
            invoice.billing_currency,
            invoice.exchange_rate,
            invoice.number,
            invoice.period_start,
            invoice.period_end,
            kind,
        ]

    for line in invoice.line_items:
        usage = (line.description, line.model, line.provider, line.requests, line.tokens)
        yield row("line", line.amount_usd, line.amount_billing_currency, *usage)
    if (rest := invoice.further_lines) is not None:
        usage = (f"{rest.lines} further lines", None, None, rest.requests, rest.tokens)
        yield row("further_lines", rest.amount_usd, rest.amount_billing_currency, *usage)
    empty = (None,) * 4
    if invoice.shows_tax:
        tax = (invoice.tax_usd, invoice.tax_billing_currency)
        yield row("tax", *tax, invoice.tax_label or "Tax", *empty)
    total = (invoice.total_amount_usd, invoice.total_amount_billing_currency)
    yield row("total", *total, "Total", *empty)
