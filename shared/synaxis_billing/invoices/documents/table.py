"""An invoice as a table, for a spreadsheet or an accounting program."""

from csv import writer
from datetime import datetime
from io import StringIO

from synaxis_billing.invoices.documents.model import InvoiceDocument
from synaxis_billing.money import format_money

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
)
# The first characters of a formula in a spreadsheet (OWASP, CSV Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv(invoice: InvoiceDocument) -> str:
    """Return a header, and one row per line item (RFC 4180). Numbers are plain, with a decimal
    point; times are UTC; text that a spreadsheet would run as a formula begins with an
    apostrophe."""
    text = StringIO(newline="")
    rows = writer(text, lineterminator="\r\n")
    rows.writerow(HEAD)
    for line in invoice.line_items:
        rows.writerow(
            (
                _text(line.description),
                _text(line.model),
                _text(line.provider),
                line.requests,
                line.tokens,
                format_money(line.amount_usd),
                f"{line.amount_billing_currency:.{invoice.minor_units}f}",
                _text(invoice.billing_currency),
                format_money(invoice.exchange_rate),
                _text(invoice.number),
                _time(invoice.period_start),
                _time(invoice.period_end),
            )
        )
    return text.getvalue()


def _text(value: str | None) -> str:
    text = value or ""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _time(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
