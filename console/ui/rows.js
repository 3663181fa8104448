import { day, dayOf, time } from "../lib/dates.js";
import { counted, exactDigitsFor } from "../lib/money.js";
import { briefly, useLabels } from "./names.js";
import { Badge, Cell, html, locale } from "./parts.js";

/** What a transaction was for, in one line: a charge's model, or its description. */
export const titleOf = (item) => item.description || item.model || item.reference_id || "No description";

function detail(item, labelOf) {
  if (item.transaction_type !== "charge") return html`<${Badge} name=${item.transaction_type} />`;
  const parts = [item.model, item.tokens !== null && counted(item.tokens, "token", locale.value), item.team_id && briefly(labelOf("team", item.team_id), item.team_id)];
  return parts.filter(Boolean).join(" · ");
}

/** Transactions, newest first, by the days of the organization. */
export function TransactionRows({ organization, items, open, opened }) {
  const labelOf = useLabels(organization);
  const digits = exactDigitsFor(items.map((item) => item.amount_usd));
  const zone = { locale: locale.value, timeZone: organization.timezone };
  const byDay = Map.groupBy(items, (item) => dayOf(item.created_at, organization.timezone));
  return html`<table class="data rows">
    <thead><tr><th scope="col">Time</th><th scope="col">What</th><th scope="col" class="number">Amount</th><th scope="col" class="number wide">Balance after</th></tr></thead>
    ${[...byDay].map(([on, ofDay]) => html`<tbody key=${on}>
      <tr class="day"><th scope="rowgroup" colspan="4">${day(on, locale.value, { weekday: "long", day: "numeric", month: "long" })}</th></tr>
      ${ofDay.map((item) => html`<tr key=${item.id} data-opened=${item.id === opened ? "" : undefined}>
        <td class="when"><time datetime=${item.created_at}>${time(item.created_at, zone)}</time></td>
        <td class="what"><a href=${open(item)} data-keep-scroll>${titleOf(item)}</a><span class="muted">${detail(item, labelOf)}</span></td>
        <td class="number"><${Cell} amount=${item.amount_usd} digits=${digits} signed /></td>
        <td class="number wide muted"><${Cell} amount=${item.balance_after_usd} /></td>
      </tr>`)}</tbody>`)}
  </table>`;
}
