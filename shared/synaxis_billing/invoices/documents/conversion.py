"""Conversion of an invoice, or of a credit note and its invoice, to the model of their
documents."""

from synaxis_billing.invoices.credit_notes import CreditNote
from synaxis_billing.invoices.documents.model import InvoiceDocument
from synaxis_billing.invoices.invoices import Invoice, LineItem


def of_invoice(invoice: Invoice) -> InvoiceDocument:
    kind: str = "invoice" if invoice.kind == "usage" else "topup"
    if invoice.kind == "usage" and not invoice.amount_due_usd:
        kind = "statement"
    return _document(
        invoice,
        kind=kind,
        number=invoice.invoice_number,
        status=invoice.status,
        issued_at=invoice.issued_at,
        issue_date=invoice.issue_date,
        due_date=invoice.due_date,
        line_items=invoice.line_items,
    )


def of_credit_note(note: CreditNote, invoice: Invoice) -> InvoiceDocument:
    """Return a document with one line, which states the reason."""
    line = LineItem(
        description=note.reason,
        model=None,
        provider=None,
        requests=0,
        tokens=0,
        amount_usd=note.subtotal_usd,
        amount_billing_currency=note.subtotal_billing_currency,
    )
    amounts = {name: of for name, of in note if name.endswith(("_usd", "_currency"))}
    return _document(
        invoice,
        **amounts,
        amount_due_usd=note.total_amount_usd,
        amount_due_billing_currency=note.total_amount_billing_currency,
        settled=(),
        credit=None,
        paid_at=None,
        id=note.id,
        kind="credit_note",
        number=note.credit_note_number,
        corrects_number=invoice.invoice_number,
        status="issued",
        issued_at=note.created_at,
        issue_date=note.issue_date,
        due_date=None,
        line_items=(line,),
        further_lines=None,
    )


def _document(invoice: Invoice, **more: object) -> InvoiceDocument:
    same = {name: of for name, of in invoice if name in InvoiceDocument.model_fields}
    tax = invoice.tax
    return InvoiceDocument.model_validate(
        {
            **same,
            "tax_label": None if tax is None else tax.label,
            "tax_rate_percent": None if tax is None else tax.rate_percent,
            "tax_category": "standard" if tax is None else tax.category,
            **more,
        }
    )
