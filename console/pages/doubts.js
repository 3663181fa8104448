import { useState } from "../vendor/hooks.js";
import { call, query, useGet } from "../lib/api.js";
import { dateTime } from "../lib/dates.js";
import { units } from "../lib/money.js";
import { address, setQuery } from "../lib/router.js";
import { OrganizationLink, useOrganizations } from "../ui/names.js";
import { Badge, Choice, Copy, Empty, Loaded, Money, Pages, html, label, locale } from "../ui/parts.js";

const VIEWS = [["doubt", "In doubt"], ["disputed", "Disputed"], ["unmatched", "Unmatched events"], ["all", "All"]];
const FILTERS = { doubt: { status: "unknown" }, disputed: { dispute_state: "open" }, all: {} };
const TEXTS = {
  doubt: "The provider has not answered yet. It is asked again by itself, and nothing is paid twice.",
  disputed: "A payer wants the money back. Answer in the provider's dashboard: what it decides is booked here.",
  unmatched: "Webhooks that name no payment that is known here: of another system at the same provider, or of a payment that is missing here. Each is settled when its payment appears.",
  all: "The payments of all organizations.",
};
const EMPTY = { doubt: "No payment is in doubt", disputed: "No payment is disputed", unmatched: "Every event has its payment", all: "No payments yet" };
const when = (instant) => `${dateTime(instant, { locale: locale.value, timeZone: "UTC" })} UTC`;

/** Payments of all organizations, first those that need a person. */
export function Doubts() {
  const { view = "doubt", cursor = "" } = address.value.query;
  const path = view === "unmatched" ? "/v1/payment-events" : "/v1/payments";
  const list = useGet(path + query({ ...FILTERS[view], limit: 50, cursor }));
  const nameOf = useOrganizations();
  const Rows = view === "unmatched" ? EventRows : PaymentRows;
  return html`<h1>Payments</h1>
    <section class="panel" aria-busy=${list.loading}>
      <div class="heading"><${Choice} name="view" legend="Which payments" value=${view} options=${VIEWS} onChange=${(value) => setQuery({ view: value === "doubt" ? null : value, cursor: null })} /></div>
      <p class="note">${TEXTS[view]}</p>
      <${Loaded} key=${view} get=${list} what="Loading the payments">${({ items }) => items.length === 0
        ? html`<${Empty} title=${EMPTY[view]}>${view === "all" ? "Those of every organization show here." : "There is nothing to do."}</${Empty}>`
        : html`<${Rows} items=${items} nameOf=${nameOf} onAsked=${list.reload} />`}</${Loaded}>
      <${Pages} label="payments" of=${list.data} />
    </section>`;
}

const stateOf = ({ status, dispute_state: dispute }) => (dispute ? ["disputed", dispute === "open" ? "Disputed" : `Dispute ${dispute}`] : [status]);

function PaymentRows({ items, nameOf, onAsked }) {
  return html`<table class="data rows">
    <thead><tr><th scope="col">Organization</th><th scope="col" class="wide">When</th><th scope="col">State</th><th scope="col" class="wide">At the provider</th><th scope="col" class="number">Amount</th></tr></thead>
    <tbody>${items.map((payment) => {
      const [name, text] = stateOf(payment);
      return html`<tr key=${payment.id}>
        <td class="what"><${OrganizationLink} id=${payment.organization_id} nameOf=${nameOf} page="/payments" /><span class="muted">${`${label(payment.purpose)} by ${label(payment.provider)}`}</span></td>
        <td class="wide muted nowrap">${when(payment.created_at)}</td>
        <td><${Badge} name=${name} text=${text} />${payment.status === "unknown" && html` <${Ask} payment=${payment} onAsked=${onAsked} />`}</td>
        <td class="wide">${payment.external_id ? html`<${Copy} text=${payment.external_id} short />` : html`<span class="muted">not known there</span>`}</td>
        <td class="number"><${Money} amount=${payment.amount} currency=${payment.currency} />
          ${units(payment.disputed) > 0n && html`<br /><span class="muted"><${Money} amount=${payment.disputed} currency=${payment.currency} />${" disputed"}</span>`}</td>
      </tr>`;
    })}</tbody></table>`;
}

/** Asks the provider at once. */
function Ask({ payment, onAsked }) {
  const [state, setState] = useState("");
  const ask = async () => {
    setState("busy");
    try {
      const now = await call(`/v1/organizations/${payment.organization_id}/payments/${payment.id}`);
      setState(now.status === "unknown" ? "No answer yet." : "");
      if (now.status !== "unknown") onAsked();
    } catch (error) {
      setState(error.message);
    }
  };
  return html`<button class="link" disabled=${state === "busy"} onClick=${ask}>${state === "busy" ? "Asking…" : "Ask now"}</button>
    ${state && state !== "busy" && html`<span class="muted" role="status"> ${state}</span>`}`;
}

function EventRows({ items }) {
  return html`<table class="data rows">
    <thead><tr><th scope="col">Event</th><th scope="col" class="wide">Came</th><th scope="col">Names</th></tr></thead>
    <tbody>${items.map((event) => html`<tr key=${`${event.provider} ${event.event_id}`}>
      <td class="what"><strong>${event.type}</strong><span class="muted">${label(event.provider)} <${Copy} text=${event.event_id} short=${event.event_id.length > 16} /></span></td>
      <td class="wide muted nowrap">${when(event.received_at)}</td>
      <td>${event.external_ids.map((id) => html`<div><${Copy} text=${id} short=${id.length > 16} /></div>`)}</td></tr>`)}</tbody></table>`;
}
