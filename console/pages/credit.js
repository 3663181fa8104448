import { query, useGet } from "../lib/api.js";
import { date } from "../lib/dates.js";
import { decimal, digitsFor, share, sum, units } from "../lib/money.js";
import { address, setQuery } from "../lib/router.js";
import { Badge, Cell, Choice, Empty, Exact, Loaded, Pages, html, label, locale } from "../ui/parts.js";

const VIEWS = [["current", "Current"], ["past", "Past"]];
const isCurrent = (grant) => ["active", "scheduled"].includes(grant.status);

/** Credit by where it came from, in the order in which charges use it up. */
export function Credit({ organization, balance }) {
  const { view = "current", cursor = "" } = address.value.query;
  const path = `/v1/organizations/${organization.id}/grants`;
  const list = useGet(path + query({ status: view === "current" ? "active" : "", limit: 100, cursor }));
  const scheduled = useGet(view === "current" ? `${path}?status=scheduled&limit=100` : null);
  const items = list.data && (view === "current" ? inBurnDownOrder([...list.data.items, ...(scheduled.data?.items ?? [])]) : list.data.items.filter((grant) => !isCurrent(grant)));
  return html`<h1>Credit</h1>
    <section class="panel" aria-busy=${list.loading}>
      <div class="heading"><div><h2>${view === "current" ? "Used from the top: first what has the lowest priority number, then what expires first" : "Used, expired and voided credit"}</h2></div>
        <${Choice} name="view" legend="Which credit" value=${view} options=${VIEWS} onChange=${(value) => setQuery({ view: value === "current" ? null : value, cursor: null })} /></div>
      <${Loaded} get=${list}>${() => items.length === 0
        ? html`<${Empty} title=${view === "current" ? "No credit is left" : "No past credit yet"}>${view === "current" ? "Credit that is added shows here, with the day on which it expires." : "Credit that is used up or has expired shows here."}</${Empty}>`
        : html`<${Grants} items=${items} organization=${organization} total=${view === "current"} />`}</${Loaded}>
      <${Pages} label="credit" names=${["Previous", "Next"]} of=${list.data} />
      ${balance.data && units(balance.data.debt_usd) > 0n && html`<p class="note">${"New credit pays the debt first: "}<${Exact} amount=${balance.data.debt_usd} />.</p>`}
    </section>`;
}

function inBurnDownOrder(grants) {
  const key = (grant) => [grant.status === "active" ? 0 : 1, grant.priority, grant.expires_at ?? "9999", grant.effective_at];
  return grants.toSorted((a, b) => key(a).map((value, index) => (value < key(b)[index] ? -1 : value > key(b)[index] ? 1 : 0)).find(Boolean) ?? 0);
}

function Grants({ items, organization, total }) {
  const zone = { locale: locale.value, timeZone: organization.timezone };
  const digits = digitsFor(items.map((grant) => grant.remaining_usd));
  return html`<table class="data rows">
    <thead><tr><th scope="col">Credit</th><th scope="col" class="wide">State</th><th scope="col">Expires</th><th scope="col" class="wide">Used</th><th scope="col" class="number wide">Of</th><th scope="col" class="number">Left</th></tr></thead>
    <tbody>${items.map((grant) => {
      const used = units(grant.amount_usd) - units(grant.remaining_usd);
      return html`<tr key=${grant.id}>
        <td class="what"><a href="/console/o/${organization.id}/transactions${query({ transaction: grant.transaction_id })}">${label(grant.kind)}</a>
          <span class="muted">${`from ${date(grant.effective_at, zone)}${grant.schedule_id ? ", each month" : ""} · priority ${grant.priority}`}</span></td>
        <td class="wide"><${Badge} name=${grant.status} /></td>
        <td class="nowrap">${grant.expires_at ? date(grant.expires_at, zone) : html`<span class="muted">never</span>`}</td>
        <td class="wide"><meter min="0" max="1" value=${share(used, units(grant.amount_usd))} aria-label="Used part"></meter></td>
        <td class="number wide muted"><${Cell} amount=${grant.amount_usd} /></td>
        <td class="number"><${Cell} amount=${grant.remaining_usd} digits=${digits} /></td>
      </tr>`;
    })}</tbody>
    ${total && html`<tfoot><tr><th scope="row" colspan="2">Together</th><td class="wide" colspan="3"></td><td class="number"><${Cell} amount=${decimal(sum(items.filter((grant) => grant.status === "active").map((grant) => grant.remaining_usd)))} digits=${digits} /></td></tr></tfoot>`}
  </table>`;
}
