"""The texts of an invoice's page, in the customer's language, ready for the layout."""

from decimal import Decimal
from typing import Any

from babel import Locale

from synaxis_billing.invoices.documents import writing
from synaxis_billing.invoices.documents.labels import ENGLISH, LABELS, RATE_SOURCES
from synaxis_billing.invoices.documents.model import InvoiceDocument
from synaxis_billing.invoices.invoices import LineItem
from synaxis_billing.invoices.parties import Customer, Seller

Labels = dict[str, str]
Note = dict[str, Any]

# The statuses that the page shows; those of nothing to book; and those of nothing to pay.
_MARKED = ("draft", "paid", "cancelled")
_VOID = ("draft", "cancelled")
_NOTHING_TO_PAY = ("paid", "cancelled")
# The labels of lines that are of no model.
_LINES = ("usage", "adjustments", "refunds", "prepaid_credit", "further_models")


def page(invoice: InvoiceDocument, any_script: bool) -> dict[str, Any]:
    """Return the page as JSON. `any_script` says whether there are fonts for more than Latin, Greek
    and Cyrillic."""
    where = writing.locale(invoice.locale, any_script)
    language = where.language if where.language in LABELS else ENGLISH
    labels = LABELS[language]
    # A document without a number is not an invoice, whatever its status.
    status = "draft" if invoice.number is None else invoice.status
    return {
        "language": language,
        "labels": labels,
        "id": str(invoice.id),
        "title": labels["invoice" if invoice.kind == "topup" else invoice.kind],
        "number": None if invoice.number is None else writing.line(invoice.number),
        # A statement is nothing to pay.
        "mark": labels[status] if status in _marked(invoice) else None,
        "void": status in _VOID,
        "seller": _seller(invoice.seller, labels),
        "customer": _customer(invoice.customer, where, labels),
        "facts": _facts(invoice, where, labels),
        "head": _head(invoice, labels),
        "lines": _lines(invoice, where, labels),
        "totals": _totals(invoice, where, labels),
        "total_label": labels["amount_due" if invoice.settled else "total"],
        "total": _money(invoice.amount_due_billing_currency, invoice, where),
        "total_usd_label": labels["amount_due_usd" if invoice.settled else "total_usd"],
        "total_usd": _total_usd(invoice, where),
        "credit": _credit(invoice, where, labels),
        "notes": [_payment(invoice, labels), _grounds(invoice, where, labels)],
    }


def _marked(invoice: InvoiceDocument) -> tuple[str, ...]:
    return _VOID if invoice.kind == "statement" else _MARKED


def _seller(seller: Seller, labels: Labels) -> dict[str, Any]:
    more = [*writing.lines(seller.address), *_labelled("tax_id", seller.tax_id, labels)]
    if seller.email:
        more.append(writing.line(seller.email))
    return {"name": writing.line(seller.name), "more": more}


def _customer(customer: Customer, where: Locale, labels: Labels) -> dict[str, Any]:
    more = [
        *(writing.address(customer.address, where) if customer.address else ()),
        *_labelled("tax_id", customer.tax_id, labels),
        *_labelled("customer_number", customer.number, labels),
        *_labelled("reference", customer.reference, labels),
    ]
    return {"name": writing.line(customer.name), "more": more}


def _labelled(label: str, text: str | None, labels: Labels) -> list[str]:
    return [f"{labels[label]} {writing.line(text)}"] if text else []


def _facts(invoice: InvoiceDocument, where: Locale, labels: Labels) -> list[list[str]]:
    facts = []
    if invoice.number is not None:
        facts.append([labels["number"], writing.line(invoice.number)])
    if invoice.corrects_number is not None:
        facts.append([labels["corrects"], writing.line(invoice.corrects_number)])
    if invoice.issue_date is not None:
        facts.append([labels["issued"], writing.day(invoice.issue_date, where)])
    if invoice.due_date is not None and invoice.kind == "invoice":
        facts.append([labels["due"], writing.day(invoice.due_date, where)])
    if invoice.paid_at is not None and invoice.kind != "statement":
        facts.append([labels["paid_on"], writing.moment(invoice.paid_at, where)])
    if invoice.kind == "topup":
        return facts
    period = writing.days(invoice.first_day, invoice.last_day, where)
    return [*facts, [labels["period"], period]]


def _in_dollars(invoice: InvoiceDocument) -> bool:
    return invoice.billing_currency == "USD"


def _head(invoice: InvoiceDocument, labels: Labels) -> list[str]:
    # Once, where both are the same.
    currencies = dict.fromkeys(("USD", invoice.billing_currency))
    return [
        labels["description"],
        *((labels["requests"], labels["tokens"]) if _counts_usage(invoice) else ()),
        *(f"{labels['amount']} ({currency})" for currency in currencies),
    ]


def _lines(invoice: InvoiceDocument, where: Locale, labels: Labels) -> list[dict[str, Any]]:
    items = [*invoice.line_items, *_further_lines(invoice, where, labels)]
    dollars = _aligned([item.amount_usd for item in items], where)
    units = invoice.minor_units
    lines = []
    for item, usd in zip(items, dollars, strict=True):
        billed = writing.number(item.amount_billing_currency, units, units, where)
        amounts = [{"text": billed, "after": ""}]
        if not _in_dollars(invoice):
            amounts.insert(0, usd)
        lines.append(
            {
                "description": writing.line(_description(invoice, item, labels)),
                "more": _more(item),
                "counts": _counts(item, where) if _counts_usage(invoice) else [],
                "amounts": amounts,
            }
        )
    return lines


def _further_lines(invoice: InvoiceDocument, where: Locale, labels: Labels) -> list[LineItem]:
    """Return one line of the sums of those that are not shown, if there are any."""
    if (rest := invoice.further_lines) is None:
        return []
    sums = {name: value for name, value in rest if name != "lines"}
    text = labels["further_lines"].format(lines=writing.number(rest.lines, 0, 0, where))
    return [LineItem.model_validate({"description": text, "model": None, "provider": None, **sums})]


def _description(invoice: InvoiceDocument, item: LineItem, labels: Labels) -> str:
    """Return the description: usage without a model in the page's language, a reason as it was
    given."""
    word, comma, provider = item.description.partition(", ")
    known = [name for name in _LINES if LABELS[ENGLISH][name] == word]
    if invoice.kind == "credit_note" or item.model is not None or not known:
        return item.description
    return f"{labels[known[0]]}{comma}{provider}"


def _counts_usage(invoice: InvoiceDocument) -> bool:
    """Return whether there are columns of requests and tokens: a credit note reverses an amount,
    not requests; nor are adjustments, refunds and credit any."""
    if invoice.kind in ("credit_note", "topup"):
        return False
    items = invoice.line_items
    return not items or any(map(_is_usage, items)) or invoice.further_lines is not None


def _is_usage(item: LineItem) -> bool:
    return bool(item.requests or item.model)


def _counts(item: LineItem, where: Locale) -> list[str]:
    if not _is_usage(item):
        return ["", ""]
    return [writing.number(count, 0, 0, where) for count in (item.requests, item.tokens)]


def _more(item: LineItem) -> str:
    """Return the model and its provider, unless the description names them."""
    names = [name for name in (item.model, item.provider) if name]
    return " · ".join(writing.line(name) for name in names if name not in item.description)


def _aligned(amounts: list[Decimal], where: Locale) -> list[dict[str, str]]:
    """Return the dollars of a column, each with as many digits after it as a longer amount has
    there: the points stand in one line."""
    most = max(map(_decimals, amounts), default=2)
    return [
        {"text": writing.usd(usd, where), "after": "0" * (most - _decimals(usd))} for usd in amounts
    ]


def _decimals(amount: Decimal) -> int:
    return max(2, len(f"{amount:f}".partition(".")[2].rstrip("0")))


def _money(amount: Decimal, invoice: InvoiceDocument, where: Locale) -> str:
    units = invoice.minor_units
    return writing.money(amount, invoice.billing_currency, units, units, where)


def _totals(invoice: InvoiceDocument, where: Locale, labels: Labels) -> list[list[str]]:
    totals = [[labels["subtotal"], _money(invoice.subtotal_billing_currency, invoice, where)]]
    for part in invoice.settled:
        less = _money(-part.amount_billing_currency, invoice, where)
        totals.append([labels[f"settled_{part.kind}"], less])
    if not invoice.shows_tax:
        return totals
    label = writing.line(invoice.tax_label or labels["tax"])
    if invoice.tax_rate_percent is not None:
        label = f"{label} {writing.percent(invoice.tax_rate_percent, where)}"
    return [*totals, [label, _money(invoice.tax_billing_currency, invoice, where)]]


def _total_usd(invoice: InvoiceDocument, where: Locale) -> str | None:
    if _in_dollars(invoice):
        return None
    return f"{writing.usd(invoice.amount_due_usd, where)} USD"


def _credit(invoice: InvoiceDocument, where: Locale, labels: Labels) -> list[list[Any]]:
    """Return how the balance moved, without the movements that there were none of."""
    if (credit := invoice.credit) is None:
        return []
    moved = [
        ("purchased", credit.purchased_usd),
        ("granted", credit.granted_usd),
        ("refunded", credit.refunded_usd),
        ("used", -credit.used_usd),
        ("expired", -credit.expired_usd),
        ("paid_out", -credit.paid_out_usd),
    ]
    rows = [
        ("opening", credit.opening_balance_usd),
        *((name, usd) for name, usd in moved if usd),
        ("closing", credit.closing_balance_usd),
    ]
    amounts = _aligned([usd for _, usd in rows], where)
    return [[labels[name], usd] for (name, _), usd in zip(rows, amounts, strict=True)]


def _payment(invoice: InvoiceDocument, labels: Labels) -> list[Note]:
    if invoice.kind != "invoice" or invoice.status in _NOTHING_TO_PAY:
        return []
    notes = [_note(labels["terms"], [_terms(invoice.payment_terms_days, labels)])]
    if details := writing.lines(invoice.seller.payment_details):
        notes.append(_note(labels["payment"], details))
    return notes


def _grounds(invoice: InvoiceDocument, where: Locale, labels: Labels) -> list[Note]:
    notes = []
    if invoice.tax_category == "reverse_charge":
        notes.append(_note(labels["reverse_charge"], _reverse_charge(invoice, labels)))
    elif invoice.tax_category == "exempt" and invoice.tax_label:
        notes.append(_note(writing.line(invoice.tax_label), [labels["exempt"]]))
    if not _in_dollars(invoice):
        notes.append(_note(labels["rate"], [_rate(invoice, where, labels)]))
    return notes


def _note(title: str, text: list[str]) -> Note:
    return {"title": title, "text": text}


def _reverse_charge(invoice: InvoiceDocument, labels: Labels) -> list[str]:
    ids = (
        (labels["seller_tax_id"], invoice.seller.tax_id),
        (labels["customer_tax_id"], invoice.customer.tax_id),
    )
    return [
        labels["reverse_charge_note"],
        *(f"{label}: {writing.line(tax_id)}" for label, tax_id in ids if tax_id),
    ]


def _rate(invoice: InvoiceDocument, where: Locale, labels: Labels) -> str:
    names = RATE_SOURCES | {"static_fallback": labels["fixed_rate"]}
    source = names.get(invoice.rate_source, writing.line(invoice.rate_source))
    rate = writing.usd(invoice.exchange_rate, where)
    as_of = writing.moment(invoice.rate_as_of, where)
    return f"1 USD = {rate} {invoice.billing_currency}, {source}, {as_of}"


def _terms(days: int, labels: Labels) -> str:
    if days == 0:
        return labels["on_receipt"]
    return f"{days} {labels['day' if days == 1 else 'days']}"
