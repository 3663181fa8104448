import { useState } from "../vendor/hooks.js";
import { query, useChange, useGet } from "../lib/api.js";
import { can } from "../lib/auth.js";
import { dateTime } from "../lib/dates.js";
import { counted, typedAmount } from "../lib/money.js";
import { address, setQuery } from "../lib/router.js";
import { Badge, Copy, Dialog, Empty, Fact, Facts, Failure, Head, Loaded, Pages, html, label, locale, say } from "../ui/parts.js";
import { Field, FormDialog, errorOf } from "../ui/form.js";

const LINES = [["line1", "Street and number"], ["line2", "Building, floor or department"], ["postal_code", "Postal code"], ["city", "City"], ["state", "State or province"], ["country", "Country, two letters"]];

export function Settings({ organization, onChanged }) {
  const may = can("billing:settings", "billing:admin");
  const [opened, setOpened] = useState(null);
  const close = () => setOpened(null);
  const done = () => { close(); onChanged(); };
  const edit = (name) => may && html`<button class="link" onClick=${() => setOpened(name)}>Change<span class="hidden"> ${name}</span></button>`;
  const path = `/v1/organizations/${organization.id}`;
  const { address: postal, tax } = organization;
  return html`<h1>Settings</h1>
    <section class="panel" aria-labelledby="billing"><div class="heading"><h2 id="billing">On invoices</h2>${edit("billing details")}</div>
      <${Facts}>
        <${Fact} name="Name">${organization.name}</${Fact}>
        <${Fact} name="Address">${postal ? html`<address>${[postal.line1, postal.line2, `${postal.postal_code ?? ""} ${postal.city}`.trim(), postal.state, postal.country].filter(Boolean).map((line) => html`<span>${line}</span>`)}</address>` : html`<span class="muted">none yet</span>`}</${Fact}>
        <${Fact} name="Tax id">${tax?.tax_id ?? html`<span class="muted">none yet</span>`}</${Fact}>
        <${Fact} name="Tax">${tax ? `${tax.label} ${tax.rate_percent} %${tax.category === "standard" ? "" : `, ${tax.category.replace("_", " ")}`}` : "none"}</${Fact}>
        <${Fact} name="Reference">${organization.buyer_reference ?? html`<span class="muted">none</span>`}</${Fact}>
        <${Fact} name="E-mail">${organization.email ?? html`<span class="muted">none yet</span>`}</${Fact}>
        <${Fact} name="Currency">${organization.billing_currency}</${Fact}>
        <${Fact} name="Time zone">${organization.timezone}</${Fact}>
        <${Fact} name="Language">${organization.locale}</${Fact}>
        <${Fact} name="To be paid">within ${counted(organization.payment_terms_days, "day", locale.value)}</${Fact}>
      </${Facts}></section>
    <section class="panel" aria-labelledby="alerts"><div class="heading"><h2 id="alerts">Alerts</h2>${edit("alerts")}</div>
      <${Facts}>
        <${Fact} name="Low balance">${organization.low_balance_threshold_usd ? `below ${say(organization.low_balance_threshold_usd)}` : "off"}</${Fact}>
        <${Fact} name="Runs out">${organization.runs_out_alert_days ? `${counted(organization.runs_out_alert_days, "day", locale.value)} before` : "off"}</${Fact}>
      </${Facts}><p class="note">Alerts are sent as webhooks.</p></section>
    <${Webhooks} organization=${organization} path="${path}/webhook-endpoints" may=${may} />
    <${Events} organization=${organization} path=${path} may=${may} />
    ${opened === "billing details" && html`<${BillingDetails} organization=${organization} path=${path} onDone=${done} onClose=${close} />`}
    ${opened === "alerts" && html`<${Alerts} organization=${organization} path=${path} onDone=${done} onClose=${close} />`}`;
}

function BillingDetails({ organization, path, onDone, onClose }) {
  const change = useChange(onDone);
  const [form, setForm] = useState({
    ...Object.fromEntries(LINES.map(([name]) => [name, organization.address?.[name] ?? ""])),
    email: organization.email ?? "", buyer_reference: organization.buyer_reference ?? "", tax_id: organization.tax?.tax_id ?? "",
  });
  const set = (name) => (event) => setForm({ ...form, [name]: event.currentTarget.value });
  const value = (name) => form[name].trim() || null;
  const hasAddress = LINES.some(([name]) => value(name));
  const submit = () => change.run(path, {
    address: hasAddress ? { ...Object.fromEntries(LINES.map(([name]) => [name, value(name)])), country: value("country")?.toUpperCase() ?? null } : null,
    email: value("email"), buyer_reference: value("buyer_reference"),
    ...(organization.tax && { tax: { ...organization.tax, tax_id: value("tax_id") } }),
  }, { method: "PATCH" });
  return html`<${FormDialog} title="On invoices" action="Save" change=${change} onSubmit=${submit} onClose=${onClose}>
    ${LINES.map(([name, text]) => html`<${Field} label=${text} value=${form[name]} onInput=${set(name)} error=${errorOf(change, `address/${name}`)} />`)}
    ${organization.tax && html`<${Field} label="Tax id" value=${form.tax_id} onInput=${set("tax_id")} error=${errorOf(change, "tax/tax_id")} />`}
    <${Field} label="E-mail for invoices" type="email" value=${form.email} onInput=${set("email")} error=${errorOf(change, "email")} />
    <${Field} label="Your reference, such as a purchase order" value=${form.buyer_reference} onInput=${set("buyer_reference")} error=${errorOf(change, "buyer_reference")} />
    <p class="note">Invoices that were issued before keep what they say.</p>
  </${FormDialog}>`;
}

function Alerts({ organization, path, onDone, onClose }) {
  const change = useChange(onDone);
  const [low, setLow] = useState(organization.low_balance_threshold_usd ?? "");
  const [days, setDays] = useState(String(organization.runs_out_alert_days ?? ""));
  const amount = typedAmount(low);
  const isLow = low.trim() === "" || amount || low === organization.low_balance_threshold_usd;
  const isDays = days.trim() === "" || /^[1-9]\d?$/.test(days.trim());
  const submit = () => change.run(path, {
    low_balance_threshold_usd: low.trim() === "" ? null : amount ?? low, runs_out_alert_days: days.trim() === "" ? null : Number(days),
  }, { method: "PATCH" });
  return html`<${FormDialog} title="Alerts" action="Save" change=${change} ready=${isLow && isDays} onSubmit=${submit} onClose=${onClose}>
    <${Field} label="When the balance is below, in US dollars" inputmode="decimal" value=${low} invalid=${!isLow} onInput=${(event) => setLow(event.currentTarget.value)} error=${errorOf(change, "low_balance_threshold_usd")} help="Leave it empty for no alert." />
    <${Field} label="Days before the credit may run out" inputmode="numeric" value=${days} invalid=${!isDays} onInput=${(event) => setDays(event.currentTarget.value)} error=${errorOf(change, "runs_out_alert_days")} help="From 1 to 90. Leave it empty for no alert." />
  </${FormDialog}>`;
}

function Webhooks({ organization, path, may }) {
  const list = useGet(path);
  const [opened, setOpened] = useState(null);
  const [secret, setSecret] = useState(null);
  const close = () => setOpened(null);
  const done = (answer) => { close(); list.reload(); if (answer?.secret) setSecret(answer.secret); };
  return html`<section class="panel" aria-labelledby="webhooks">
    <div class="heading"><h2 id="webhooks">Webhook endpoints</h2>${may && html`<button class="button" onClick=${() => setOpened("new")}>New endpoint</button>`}</div>
    <${Loaded} get=${list}>${({ items }) => items.length === 0
      ? html`<${Empty} title="No endpoints yet">Events such as a low balance or an issued invoice are sent to an address of yours.</${Empty}>`
      : html`<table class="data rows"><thead><tr><th scope="col">Address</th><th scope="col" class="wide">Events</th><th scope="col">State</th><th scope="col"><span class="hidden">Change</span></th></tr></thead>
        <tbody>${items.map((item) => html`<tr key=${item.id}><td class="what"><strong>${item.url}</strong>${item.disabled_because && html`<span class="muted">${item.disabled_because}</span>`}</td>
          <td class="wide muted">${item.types.length ? item.types.join(", ") : "all"}</td>
          <td><${Badge} name=${!item.enabled ? "closed" : item.failing_since ? "failed" : "active"} text=${!item.enabled ? "Off" : item.failing_since ? "Failing" : "On"} /></td>
          <td class="end">${may && html`<button class="link" onClick=${() => setOpened(item)}>Change<span class="hidden"> ${item.url}</span></button>`}</td></tr>`)}</tbody></table>`}</${Loaded}>
    ${opened && html`<${Endpoint} item=${opened === "new" ? null : opened} path=${path} organization=${organization} onDone=${done} onClose=${close} />`}
    ${secret && html`<${Dialog} title="The endpoint's secret" onClose=${() => setSecret(null)}><p>By it, your code checks that an event is from here. It is shown only now.</p><p><${Copy} text=${secret} /></p>
      <footer><button class="button primary" onClick=${() => setSecret(null)}>Done</button></footer></${Dialog}>`}
  </section>`;
}

function Endpoint({ item, path, organization, onDone, onClose }) {
  const change = useChange(onDone);
  const replay = useChange();
  const [url, setUrl] = useState(item?.url ?? "");
  const [types, setTypes] = useState(item?.types.join(", ") ?? "");
  const own = item && `${path}/${item.id}`;
  const body = { url: url.trim(), ...((types.trim() || item) && { types: types.split(/[\s,]+/).filter(Boolean) }) };
  const since = new Date(Date.now() - 86_400_000).toISOString();
  const submit = () => (item ? change.run(own, body, { method: "PATCH" }) : change.run(path, body));
  return html`<${FormDialog} title=${item ? "Webhook endpoint" : "New webhook endpoint"} action=${item ? "Save" : "Create"} change=${change} ready=${url.trim()} onSubmit=${submit} onClose=${onClose}>
    <${Field} label="Address" type="url" placeholder="https://example.com/billing" value=${url} onInput=${(event) => setUrl(event.currentTarget.value)} error=${errorOf(change, "url")} />
    <${Field} label="Events" value=${types} onInput=${(event) => setTypes(event.currentTarget.value)} error=${errorOf(change, "types")} help="Such as balance.low, invoice.issued; all if it is empty." />
    ${item && html`<p class="row">
      <button type="button" class="link" onClick=${() => change.run(own, { enabled: !item.enabled }, { method: "PATCH" })}>${item.enabled ? "Turn it off" : "Turn it on"}</button>
      <button type="button" class="link" onClick=${() => change.run(`${own}/rotate-secret`)}>New secret</button>
      <button type="button" class="link" onClick=${() => replay.run(`${own}/replay`, { since })}>Send the last 24 hours again</button>
      <button type="button" class="link" onClick=${() => change.run(own, undefined, { method: "DELETE" })}>Remove</button></p>
      <p class="note" role="status">${replay.done ? `${counted(replay.done.replayed, "event", locale.value)} ${replay.done.replayed === 1 ? "is" : "are"} sent again.` : replay.error ? replay.error.message : `Days are those of ${organization.timezone}.`}</p>`}
  </${FormDialog}>`;
}

/** What was sent, and with what success. */
function Events({ organization, path, may }) {
  const { cursor = "", type = "" } = address.value.query;
  const list = useGet(`${path}/webhook-events${query({ limit: 20, cursor, type })}`);
  const replay = useChange(() => list.reload());
  const zone = { locale: locale.value, timeZone: organization.timezone };
  return html`<section class="panel" aria-labelledby="events"><div class="heading"><h2 id="events">Events</h2>
      ${type && html`<button class="link" onClick=${() => setQuery({ type: null, cursor: null })}>All types</button>`}</div>
    ${replay.error && html`<${Failure} error=${replay.error} />`}
    <${Loaded} get=${list}>${({ items }) => items.length === 0
      ? html`<${Empty} title="No events yet">Each event shows here with its deliveries.</${Empty}>`
      : html`<table class="data rows"><thead><tr><th scope="col">When</th><th scope="col">Event</th><th scope="col">Deliveries</th></tr></thead>
        <tbody>${items.map((event) => html`<tr key=${event.id}><td class="when">${dateTime(event.created_at, zone)}</td>
          <td class="what"><button class="link" onClick=${() => setQuery({ type: event.type, cursor: null })}>${event.type}</button></td>
          <td>${event.deliveries.length === 0 ? html`<span class="muted">no endpoint</span>` : event.deliveries.map((delivery) => html`<div class="row"><${Badge} name=${delivery.status} />
            <span class="muted">${delivery.status === "delivered" ? "" : delivery.error ?? (delivery.status_code ? `status ${delivery.status_code}` : "")}</span>
            ${may && delivery.status === "failed" && html`<button class="link" onClick=${() => replay.run(`${path}/webhook-endpoints/${delivery.endpoint_id}/replay`, { event_id: event.id })}>Send again</button>`}</div>`)}</td></tr>`)}</tbody></table>`}</${Loaded}>
    <${Pages} label="events" of=${list.data} />
  </section>`;
}
