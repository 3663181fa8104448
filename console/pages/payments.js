import { useEffect, useState } from "../vendor/hooks.js";
import { call, query, useChange, useGet } from "../lib/api.js";
import { dateTime } from "../lib/dates.js";
import { decimal, money, typedAmount, units } from "../lib/money.js";
import { address, setQuery } from "../lib/router.js";
import { Badge, Choice, Empty, Exact, Fact, Facts, Failure, Head, Loaded, Money, Notice, Pages, html, label, locale, say } from "../ui/parts.js";
import { Field, FormDialog, errorOf } from "../ui/form.js";
import { AutoTopup } from "./auto_topup.js";

const PRESETS = ["50", "100", "250", "500"];
export const PROVIDERS = [["stripe", "Card"], ["paypal", "PayPal"]];
const isOpen = (payment) => ["pending", "unknown"].includes(payment.status);
const PURPOSES = { topup: "Credit", auto_topup: "Automatic credit", invoice: "Invoice" };

/** The page to which the provider leads back, which names what was to be paid: an invoice, or credit. */
export const returnUrl = (base, returned) => `${location.origin}${base}/payments?returned=${returned}`;
const isOf = (returned) => (payment) => (returned === "credit" ? payment.purpose === "topup" : payment.invoice_id === returned);

/** Credit that was paid for, and what is under way. */
export function Payments({ organization, base, onChanged }) {
  const { cursor = "", add, returned } = address.value.query;
  const path = `/v1/organizations/${organization.id}/payments`;
  const list = useGet(path + query({ limit: 50, cursor }));
  const [adding, setAdding] = useState(Boolean(add));
  const settled = () => { list.reload(); onChanged(); };
  return html`<${Head} title="Payments"><button class="button primary" onClick=${() => setAdding(true)}>Add credit</button></${Head}>
    ${returned && list.data && html`<${Returned} payment=${list.data.items.find(isOf(returned))} path=${path} base=${base} onSettled=${settled} />`}
    <section class="panel" aria-busy=${list.loading}>
      <${Loaded} get=${list} what="Loading the payments">${({ items }) => items.length === 0
        ? html`<${Empty} title="No payments yet">Credit that you pay for shows here, with its invoice.</${Empty}>`
        : html`<${Rows} items=${items} path=${path} organization=${organization} base=${base} onSettled=${settled} />`}</${Loaded}>
      <${Pages} label="payments" of=${list.data} />
    </section>
    <${AutoTopup} organization=${organization} onAdd=${() => setAdding(true)} />
    ${adding && html`<${AddCredit} path=${path} organization=${organization} base=${base} onClose=${() => setAdding(false)} />`}`;
}

function Rows({ items, path, organization, base, onSettled }) {
  const zone = { locale: locale.value, timeZone: organization.timezone };
  const open = items.filter(isOpen).slice(0, 3);
  return html`${open.map((payment) => html`<${Watch} key=${payment.id} path="${path}/${payment.id}" onSettled=${onSettled} />`)}
    <table class="data rows">
      <thead><tr><th scope="col">When</th><th scope="col">For</th><th scope="col">State</th><th scope="col" class="number wide">Credit</th><th scope="col" class="number">Paid</th></tr></thead>
      <tbody>${items.map((payment) => html`<tr key=${payment.id}>
        <td class="when">${dateTime(payment.created_at, zone)}</td>
        <td><${For} payment=${payment} base=${base} /></td>
        <td><${Badge} name=${payment.dispute_state === "open" ? "disputed" : payment.status} text=${payment.dispute_state === "open" ? "Disputed" : undefined} />
          ${isOpen(payment) && payment.checkout_url && html` <a href=${payment.checkout_url}>Pay</a>`}
          ${payment.failure_code && html`<span class="muted"> ${payment.failure_code.replaceAll("_", " ")}</span>`}</td>
        <td class="number wide">${units(payment.credited_usd) > 0n ? html`<${Exact} amount=${payment.credited_usd} signed />` : html`<span class="muted">–</span>`}</td>
        <td class="number"><${Money} amount=${payment.amount} currency=${payment.currency} />
          ${units(payment.refunded) > 0n && html`<br /><span class="muted">${`${money(payment.refunded, { locale: locale.value, currency: payment.currency })} paid back`}</span>`}</td>
      </tr>`)}</tbody>
    </table>`;
}

/** What became of the payment from which the payer comes back. That the browser is here proves nothing: the API is asked. */
function Returned({ payment, path, base, onSettled }) {
  const asked = useGet(payment ? `${path}/${payment.id}` : null, { every: 3_000, while: isOpen });
  const now = asked.data ?? payment;
  const settled = Boolean(asked.data) && !isOpen(asked.data);
  useEffect(() => void (settled && onSettled()), [settled]);
  if (!now) return null;
  const paid = money(now.amount, { locale: locale.value, currency: now.currency });
  const close = html`<button class="link" onClick=${() => setQuery({ returned: null }, { replace: true })}>Close</button>`;
  if (isOpen(now)) {
    return html`<${Notice} tone="calm"><p><strong>${`The payment of ${paid} is pending.`}</strong>${" It is not confirmed yet. This page asks every few seconds, and shows it here."}</p>
      <p class="row">${now.checkout_url && html`<a href=${now.checkout_url}>Go on paying</a>`}${close}</p></${Notice}>`;
  }
  if (now.status !== "succeeded") {
    return html`<${Notice} tone="bad"><p><strong>${now.status === "expired" ? `Nobody paid ${paid} in time.` : `The payment of ${paid} failed.`}</strong>
      ${` ${now.failure_code ? `The provider says: ${now.failure_code.replaceAll("_", " ")}. ` : ""}Nothing was taken.`}</p><p class="row">${close}</p></${Notice}>`;
  }
  return html`<${Notice} tone="good"><p><strong>${`${paid} was paid.`}</strong>${" "}
    ${now.purpose === "invoice" ? html`<a href="${base}/invoices?invoice=${now.invoice_id}">See the invoice</a>`
      : `${money(now.credited_usd, { locale: locale.value })} of credit was added, and can be used now.`}</p><p class="row">${close}</p></${Notice}>`;
}

function For({ payment, base }) {
  const to = payment.invoice_id ? `${base}/invoices?invoice=${payment.invoice_id}` : payment.transaction_id && `${base}/transactions?transaction=${payment.transaction_id}`;
  const text = PURPOSES[payment.purpose];
  return html`${to ? html`<a href=${to}>${text}</a>` : text} <span class="muted">${label(payment.provider)}</span>`;
}

/** Asks about an open payment, which asks the provider: credit needs no luck with webhooks. */
function Watch({ path, onSettled }) {
  useEffect(() => {
    const timer = setInterval(async () => {
      if (document.visibilityState !== "visible") return;
      const payment = await call(path).catch(() => null);
      if (payment && !isOpen(payment)) onSettled();
    }, 5_000);
    return () => clearInterval(timer);
  }, [path]);
  return null;
}

/** Net, tax and total before the payer leaves for the provider. */
function AddCredit({ path, organization, base, onClose }) {
  const change = useChange((payment) => location.assign(payment.checkout_url));
  const [preset, setPreset] = useState("100");
  const [text, setText] = useState("");
  const [provider, setProvider] = useState("stripe");
  const amount = preset === "other" ? typedAmount(text) : preset;
  const [preview, setPreview] = useState({});
  useEffect(() => {
    if (!amount) return undefined;
    let current = true;
    setPreview({});
    call(`${path}/preview`, { method: "POST", body: { amount_usd: amount } }).then(
      (data) => current && setPreview({ data }), (error) => current && setPreview({ error }));
    return () => (current = false);
  }, [amount]);
  const price = amount && preview.data;
  const show = (value) => (price ? money(value(price), { locale: locale.value, currency: price.currency }) : "…");
  const submit = () => change.run(path, { provider, amount_usd: amount, return_url: returnUrl(base, "credit") });
  const incomplete = !organization.address || !organization.tax?.tax_id;
  return html`<${FormDialog} title="Add credit" action=${price ? `Continue to pay ${show((of) => of.amount)}` : "Continue"} change=${change} ready=${price} onSubmit=${submit} onClose=${onClose}>
    <${Choice} name="amount" legend="Credit" value=${preset} autofocus onChange=${setPreset}
      options=${[...PRESETS.map((of) => [of, say(of, { digits: 0 })]), ["other", "Other"]]} />
    ${preset === "other" && html`<${Field} label="Credit in US dollars" inputmode="decimal" placeholder="75.00" value=${text} onInput=${(event) => setText(event.currentTarget.value)}
      invalid=${text !== "" && amount === null} error=${errorOf(change, "amount_usd")} help="From 0.01 up, with at most two decimals." />`}
    <${Facts}>
      <${Fact} name="Net">${show((of) => of.net)}</${Fact}>
      <${Fact} name="Tax${price ? ` ${decimal(units(price.tax_percent))} %` : ""}">${show((of) => of.tax)}</${Fact}>
      <${Fact} name="Total"><strong>${show((of) => of.amount)}</strong></${Fact}>
      ${price && price.currency !== "USD" && html`<${Fact} name="Rate">1 USD = ${price.exchange_rate} ${price.currency}</${Fact}>`}
    </${Facts}>
    <${Choice} name="provider" legend="Pay by" value=${provider} options=${PROVIDERS} onChange=${setProvider} />
    ${incomplete && html`<p class="note">The invoice has no ${organization.address ? "tax id" : "address"} of yours yet. <a href="${base}/settings">Add it first</a> if your accounting needs it.</p>`}
    ${preview.error && html`<${Failure} error=${preview.error} />`}
  </${FormDialog}>`;
}
