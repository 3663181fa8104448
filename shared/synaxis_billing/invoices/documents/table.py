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
    """Return a row per line item, one for each kind of credit that settled a part, one for the tax
    if there is one, and one for the amount due, or the total where nothing was settled: the sum of
    the rows above it. `kind` is line, further_lines, settled, tax, amount_due or total."""
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
    for part in invoice.settled:
        less = (-part.amount_usd, -part.amount_billing_currency)
        yield row("settled", *less, f"Settled by {part.kind} credit", *empty)
    if invoice.shows_tax:
        tax = (invoice.tax_usd, invoice.tax_billing_currency)
        yield row("tax", *tax, invoice.tax_label or "Tax", *empty)
    due = (invoice.amount_due_usd, invoice.amount_due_billing_currency)
    kind, title = ("amount_due", "Amount due") if invoice.settled else ("total", "Total")
    yield row(kind, *due, title, *empty)
