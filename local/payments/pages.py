"""The stand-in's pages, for people: checkout, 3-D Secure, PayPal's approval, and an overview.

Plain forms in HTML, without scripts. Each says that no money moves.
"""

from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from local.payments import cards, checkout, controls
from local.payments.forms import Refused
from local.payments.paypal_money import Problem
from local.payments.state import Object

if TYPE_CHECKING:
    from local.payments.server import Request, Standin

# Stripe's list of currencies whose amounts have no cents, and of those that have three digits.
# fmt: off
WHOLE = {
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv",
    "xaf", "xof", "xpf",
}
# fmt: on
THOUSANDTHS = {"bhd", "jod", "kwd", "omr", "tnd"}
_STYLE = """
:root { color-scheme: light; --ink: #1b2430; --soft: #56616f; --line: #cfd6df; --act: #0b5cad }
* { box-sizing: border-box }
body { margin: 0; background: #f3f5f8; color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
.note { margin: 0; padding: .6rem 1rem; background: #fff3cd; color: #5c4300; text-align: center;
  border-bottom: 1px solid #e6d28f; font-weight: 600 }
main { max-width: 30rem; margin: 2rem auto; padding: 1.5rem 1.75rem 1.75rem; background: #fff;
  border: 1px solid var(--line); border-radius: .75rem }
main.wide { max-width: 70rem }
h1 { margin: 0 0 .25rem; font-size: 1.35rem } h2 { margin: 2rem 0 .5rem; font-size: 1.1rem }
.amount { margin: .25rem 0 1rem; font-size: 2.1rem; font-weight: 700 }
.soft { color: var(--soft) }
ul.items { margin: 0 0 1.25rem; padding: 0; list-style: none }
ul.items li { display: flex; justify-content: space-between; padding: .35rem 0;
  border-bottom: 1px solid var(--line) }
label { display: block; margin: .9rem 0 .25rem; font-weight: 600 }
input[type=text], input[type=email] { width: 100%; padding: .6rem .7rem; font: inherit;
  color: inherit; border: 1px solid #8a94a1; border-radius: .4rem }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }
button, a.button { display: block; width: 100%; margin-top: 1rem; padding: .7rem 1rem;
  font: inherit; font-weight: 600; text-align: center; text-decoration: none; border-radius: .4rem;
  border: 1px solid var(--act); background: var(--act); color: #fff; cursor: pointer }
button.plain, a.button.plain { background: #fff; color: var(--act) }
td button { display: inline-block; width: auto; margin: .1rem; padding: .2rem .6rem;
  font-size: .9rem; background: #fff; color: var(--act) }
td form { display: inline }
:focus-visible { outline: 3px solid #f2a33c; outline-offset: 2px }
.error { margin: 1rem 0; padding: .7rem .9rem; background: #fdecea; color: #8b1a10;
  border: 1px solid #e3a29b; border-radius: .4rem }
details { margin-top: 1.5rem } summary { cursor: pointer; font-weight: 600 }
.scroll { overflow-x: auto }
table { width: 100%; border-collapse: collapse; font-size: .9rem }
th, td { padding: .4rem .5rem; text-align: left; border-bottom: 1px solid var(--line) }
code { white-space: nowrap; font-size: .85rem }
td.sum, th.sum { text-align: right; white-space: nowrap }
"""
_CARD_FIELDS = """
<label for="number">Card number</label>
<input type="text" id="number" name="number" list="cards" inputmode="numeric" required
  autocomplete="off" value="{number}"{described}>
<datalist id="cards">{options}</datalist>
<div class="pair"><div><label for="expiry">Expiry (MM/YY)</label>
<input type="text" id="expiry" name="expiry" value="12/40" required pattern="[0-9]{{2}}/[0-9]{{2}}">
</div><div><label for="cvc">CVC</label>
<input type="text" id="cvc" name="cvc" inputmode="numeric" value="123" required></div></div>
<label for="name">Name on card</label>
<input type="text" id="name" name="name" value="Stand In" required>
<label for="email">Email</label>
<input type="email" id="email" name="email" value="{email}" required>
"""


class Page(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]


def answer(standin: "Standin", request: "Request") -> Page:
    """The page of a path, or a redirection."""
    first, *rest = request.path.strip("/").split("/")
    try:
        if first == "c" and len(rest) == 2:
            return _checkout(standin, request, rest[1])
        if first == "authenticate" and rest:
            return _authenticate(standin, request, rest[0])
        if first == "checkoutnow":
            return _approve(standin, request)
        if first == "receipts" and rest:
            return _receipt(standin, rest[0])
        if not first:
            return _overview(standin, request)
    except (Refused, Problem, KeyError):
        pass
    return _page("Not found", "<p>There is no such page, or what it shows is gone.</p>", 404)


def money(amount: int, currency: str) -> str:
    """An amount of minor units, for people."""
    digits = 0 if currency in WHOLE else 3 if currency in THOUSANDTHS else 2
    return f"{Decimal(amount).scaleb(-digits):,.{digits}f} {currency.upper()}"


# Stripe


def _checkout(standin: "Standin", request: "Request", session_id: str) -> Page:
    session = standin.account.find("checkout.session", session_id)
    if session["status"] != "open":
        said = "It has been paid." if session["status"] == "complete" else "It has expired."
        return _page("This checkout is closed", f"<p>{said}</p>{_back(session, 'Return')}", 410)
    if request.method != "POST":
        return _checkout_form(session, "", "4242 4242 4242 4242")
    given = request.form()
    payer = {"name": given.get("name"), "email": given.get("email")}
    try:
        checkout.submit(standin.account, session, given.get("number", ""), payer)
    except Refused as refused:
        return _checkout_form(session, str(refused), given.get("number", ""))
    intent = standin.state.objects[session["payment_intent"] or session["setup_intent"]]
    if intent["status"] == "requires_action":
        return _redirect(f"{standin.url}/authenticate/{intent['id']}")
    return _redirect(checkout.success_url(session))


def _checkout_form(session: Object, error: str, number: str) -> Page:
    saves = session["mode"] == "setup"
    rows = "".join(
        f"<li><span>{escape(name)}{f' &times; {count}' if count > 1 else ''}</span>"
        f"<span>{money(unit * count, session['currency'])}</span></li>"
        for name, count, unit in checkout.items(session)
    )
    what = (
        "<p>Save a card for later payments.</p>"
        if saves
        else f'<p class="amount">{money(session["amount_total"], session["currency"])}</p>'
        f'<ul class="items">{rows}</ul>'
    )
    kept = session["_intent"].get("setup_future_usage") == "off_session"
    note = "<p class='soft'>The card is saved for later payments.</p>" if kept else ""
    fields = _CARD_FIELDS.format(
        number=escape(number),
        options="".join(
            f'<option value="{one.number}">{escape(one.says)}</option>'
            for one in cards.CARDS.values()
        ),
        described=' aria-invalid="true" aria-describedby="error"' if error else "",
        email=escape(session["customer_email"] or "payer@example.com"),
    )
    button = "Save card" if saves else "Pay"
    body = (
        f"{what}{_error(error)}<form method='post'>{fields}{note}<button>{button}</button></form>"
        f"{_back(session, 'Cancel and return')}{_card_table()}"
    )
    return _page("Save a card" if saves else "Pay by card", body, 402 if error else 200)


def _back(session: Object, label: str) -> str:
    where = session["cancel_url"]
    if session["status"] == "complete":
        where = checkout.success_url(session)
    return f'<a class="button plain" href="{escape(where)}">{label}</a>' if where else ""


def _card_table() -> str:
    rows = "".join(
        f"<tr><td><code>{' '.join(_fours(one.number))}</code></td><td>{escape(one.says)}</td></tr>"
        for one in cards.CARDS.values()
    )
    return (
        "<details><summary>Test cards</summary><div class='scroll' tabindex='0'><table>"
        f"<thead><tr><th>Number</th><th>The card</th></tr></thead><tbody>{rows}</tbody></table>"
        "</div></details>"
    )


def _fours(number: str) -> list[str]:
    return [number[at : at + 4] for at in range(0, len(number), 4)]


def _authenticate(standin: "Standin", request: "Request", intent_id: str) -> Page:
    intent = standin.state.objects[intent_id]
    session = standin.state.objects.get(intent.get("_session", ""))
    if request.method == "POST":
        proves = request.form().get("answer") == "confirm"
        try:
            checkout.authenticate(standin.account, intent, proves)
        except Refused as refused:
            if session is None:
                return _after(intent, str(refused))
            return _checkout_form(session, str(refused), "4242 4242 4242 4242")
        return _redirect(checkout.success_url(session)) if session else _after(intent, "")
    if intent["status"] != "requires_action":
        return _after(intent, "")
    amount = f"a payment of {money(intent['amount'], intent['currency'])}"
    what = amount if intent["object"] == "payment_intent" else "that the card is saved"
    body = (
        f"<p>Your bank asks whether you agree to {what}.</p>"
        f"<form method='post' action='/authenticate/{escape(intent_id)}'>"
        "<button name='answer' value='confirm'>Confirm</button>"
        "<button class='plain' name='answer' value='refuse'>Refuse</button></form>"
    )
    return _page("3-D Secure", body)


def _after(intent: Object, error: str) -> Page:
    where = intent.get("_return_url")
    if where:
        status = "succeeded" if intent["status"] == "succeeded" else "failed"
        return _redirect(_with(where, payment_intent=intent["id"], redirect_status=status))
    said = "The payment succeeded." if intent["status"] == "succeeded" else "Nothing was paid."
    return _page("3-D Secure", f"{_error(error)}<p>{said}</p>")


def _receipt(standin: "Standin", charge_id: str) -> Page:
    paid = standin.account.find("charge", charge_id)
    back = paid["amount_refunded"]
    refunded = f"<p>Of it, {money(back, paid['currency'])} was refunded.</p>" if back else ""
    amount = money(paid["amount"], paid["currency"])
    card = paid["payment_method_details"]["card"]
    paid_with = f"<p>Paid by {escape(card['brand'])} ending in {card['last4']}.</p>"
    return _page("Receipt", f"<p class='amount'>{amount}</p>{paid_with}{refunded}")


# PayPal


def _approve(standin: "Standin", request: "Request") -> Page:
    token = request.query_values().get("token", "")
    order = standin.paypal.order(token)
    context = order["_context"]
    if order["status"] == "COMPLETED":
        return _page("This order is paid", "<p>Nothing is left to do.</p>", 410)
    if request.method == "POST":
        standin.paypal.approve(order, request.form().get("funding", "balance"))
        if not context["return_url"]:
            return _page("Approved", "<p>You can close this page.</p>")
        payer = order["payer"]["payer_id"]
        return _redirect(_with(context["return_url"], token=token, PayerID=payer))
    [unit] = order["purchase_units"]
    amount = f"{unit['amount']['value']} {unit['amount']['currency_code']}"
    cancel = context["cancel_url"]
    back = (
        f'<a class="button plain" href="{escape(_with(cancel, token=token))}">Cancel and return</a>'
        if cancel
        else ""
    )
    body = (
        f"<p class='amount'>{escape(amount)}</p><p>{escape(unit.get('description', ''))}</p>"
        "<form method='post'>"
        "<button name='funding' value='balance'>Pay with balance</button>"
        "<button class='plain' name='funding' value='echeck'>Pay by bank, which takes days</button>"
        "<button class='plain' name='funding' value='declined'>Pay with a card that is declined"
        f"</button></form>{back}"
    )
    return _page("Pay with PayPal", body)


# The overview


def _overview(standin: "Standin", request: "Request") -> Page:
    said = ""
    if request.method == "POST":
        given = request.form()
        try:
            _act(standin, given)
        except (Refused, Problem) as error:
            said = str(error)
    paid = [_charge_row(standin, one) for one in standin.state.of_kind("charge")]
    captured = [_capture_row(standin, one) for one in standin.state.of_kind("capture")]
    rows = "".join(reversed(paid + captured)) or "<tr><td colspan='5'>None yet.</td></tr>"
    body = (
        f"{_error(said)}<p>The APIs of Stripe and PayPal answer here. What payers, banks and the"
        " providers' dashboards do, you do on this page.</p><h2>Payments</h2>"
        "<div class='scroll' tabindex='0'><table><thead><tr><th>Payment</th><th>Status</th>"
        "<th class='sum'>Amount</th><th class='sum'>Refunded</th><th>Actions</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{_card_table()}"
    )
    return _page("Stand-in of Stripe and PayPal", body, wide=True)


def _act(standin: "Standin", given: dict[str, str]) -> None:
    wanted, of = given.get("action"), given.get("of", "")
    if wanted == "dispute":
        controls.dispute(standin, {"payment": of})
    elif wanted in ("won", "lost"):
        controls.close(standin, {"dispute": of, "outcome": wanted})
    elif wanted in ("completed", "denied"):
        controls.clear(standin, {"capture": of, "completed": wanted == "completed"})
    elif wanted == "refund":
        standin.account.refund(standin.account.find("charge", of), None, {})


def _charge_row(standin: "Standin", paid: Object) -> str:
    disputes = [one for one in standin.state.of_kind("dispute") if one["charge"] == paid["id"]]
    actions = []
    if paid["status"] == "succeeded" and not disputes:
        actions = [] if paid["refunded"] else [("refund", paid["id"]), ("dispute", paid["id"])]
    elif disputes and disputes[-1]["status"] not in ("won", "lost", "warning_closed"):
        actions = [("won", disputes[-1]["id"]), ("lost", disputes[-1]["id"])]
    status = f"dispute {disputes[-1]['status']}" if disputes else paid["status"]
    amount = money(paid["amount"], paid["currency"])
    refunded = money(paid["amount_refunded"], paid["currency"])
    return _row(paid["id"], status, amount, refunded, actions)


def _capture_row(standin: "Standin", capture: Object) -> str:
    disputes = standin.paypal.disputes_of(capture)
    actions = [("dispute", capture["id"])] if capture["status"] == "COMPLETED" else []
    if capture["status"] == "PENDING":
        actions = [("completed", capture["id"]), ("denied", capture["id"])]
    if disputes:
        made = disputes[-1]["dispute_id"]
        is_open = disputes[-1]["status"] != "RESOLVED"
        actions = [("won", made), ("lost", made)] if is_open else []
    status = f"dispute {disputes[-1]['status']}" if disputes else capture["status"]
    code = capture["amount"]["currency_code"]
    return _row(
        capture["id"],
        status,
        f"{capture['amount']['value']} {code}",
        f"{capture['_refunded']} {code}",
        actions,
    )


_ACTIONS = {
    "refund": "Refund",
    "dispute": "Dispute",
    "won": "Merchant wins",
    "lost": "Merchant loses",
    "completed": "Bank pays",
    "denied": "Bank refuses",
}


def _row(name: str, status: str, amount: str, refunded: str, actions: list[tuple[str, str]]) -> str:
    forms = "".join(
        f"<form method='post'><input type='hidden' name='of' value='{escape(of)}'>"
        f"<button name='action' value='{action}' aria-label='{_ACTIONS[action]} {escape(name)}'>"
        f"{_ACTIONS[action]}</button></form>"
        for action, of in actions
    )
    return (
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(status)}</td>"
        f"<td class='sum'>{amount}</td><td class='sum'>{refunded}</td><td>{forms}</td></tr>"
    )


# All pages


def _error(said: str) -> str:
    return f'<p class="error" id="error" role="alert">{escape(said)}</p>' if said else ""


def _page(title: str, body: str, status: int = 200, wide: bool = False) -> Page:
    text = (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<style>{_STYLE}</style></head><body>"
        "<header class='note'>A stand-in on this machine: no money moves.</header>"
        f"<main{' class=wide' if wide else ''}><h1>{title}</h1>{body}</main></body></html>"
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
        "cache-control": "no-store",
    }
    return Page(status, text.encode(), headers)


def _redirect(url: str) -> Page:
    return Page(303, b"", {"location": url})


def _with(url: str, **values: str) -> str:
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *values.items()])
    return urlunsplit(parts._replace(query=query))
