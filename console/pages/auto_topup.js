import { useState } from "../vendor/hooks.js";
import { useChange, useGet } from "../lib/api.js";
import { dateTime } from "../lib/dates.js";
import { counted, typedAmount, units } from "../lib/money.js";
import { Failure, Notice, Skeleton, html, locale, pauseReason, say } from "../ui/parts.js";
import { Field, FormDialog, errorOf } from "../ui/form.js";

const isOff = (error) => error?.code === "auto_topup_not_found";

const sentence = ({ threshold_usd, target_usd, monthly_limit_usd, card }) =>
  `When less than ${say(threshold_usd)} is available, buy credit up to ${say(target_usd)}, at most ${say(monthly_limit_usd)} a month${card ? `, with ${card}` : ""}.`;

/** Automatic top-ups in one sentence: switched on, changed and switched off. */
export function AutoTopup({ organization, onAdd }) {
  const path = `/v1/organizations/${organization.id}/auto-topup`;
  const get = useGet(path);
  const [opened, setOpened] = useState(null);
  const close = () => setOpened(null);
  const done = () => { close(); get.reload(); };
  const off = isOff(get.error);
  const now = off ? null : get.data;
  return html`<section class="panel" aria-labelledby="auto-topup">
    <div class="heading"><h2 id="auto-topup">Automatic top-ups</h2>
      ${off ? html`<button class="button" onClick=${() => setOpened("change")}>Switch on</button>`
        : now && html`<span class="row"><button class="link" onClick=${() => setOpened("change")}>Change<span class="hidden"> the automatic top-ups</span></button>
          <button class="link" onClick=${() => setOpened("off")}>Switch off</button></span>`}</div>
    ${get.error && !off ? html`<${Failure} error=${get.error} retry=${get.reload} />`
      : off ? html`<p class="muted">Off. They buy credit with your saved card when it runs low.</p>`
      : !now ? html`<${Skeleton} lines=${2} label="Loading the automatic top-ups" />`
      : html`<${State} now=${now} organization=${organization} onAdd=${onAdd} />`}
    ${opened === "change" && html`<${Change} path=${path} now=${now} onDone=${done} onClose=${close} />`}
    ${opened === "off" && html`<${SwitchOff} path=${path} onDone=${done} onClose=${close} />`}
  </section>`;
}

function State({ now, organization, onAdd }) {
  const zone = { locale: locale.value, timeZone: organization.timezone };
  const sentences = [
    `Bought so far this month: ${say(now.charged_this_month_usd)}.`,
    now.declines > 0 && !now.paused_at && `The card was declined ${now.declines === 1 ? "once" : counted(now.declines, "time", locale.value)}.`,
    now.next_attempt_at && `Nothing is tried before ${dateTime(now.next_attempt_at, zone)}.`,
  ].filter(Boolean);
  return html`<p>${sentence(now)}</p>
    ${now.paused_at && html`<${Notice}><p><strong>${`Paused since ${dateTime(now.paused_at, zone)}: ${pauseReason(now)}.`}</strong></p>
      <p>${"Any payment that succeeds ends the pause; one by card also saves that card."}</p>
      <p class="row"><button class="button" onClick=${onAdd}>Pay once</button></p></${Notice}>`}
    <p class="note">${sentences.join(" ")}</p>`;
}

function Change({ path, now, onDone, onClose }) {
  const change = useChange(onDone);
  const [form, setForm] = useState({ threshold_usd: now?.threshold_usd ?? "20", target_usd: now?.target_usd ?? "100", monthly_limit_usd: now?.monthly_limit_usd ?? "500" });
  // What is there stays valid, also where it has more decimals than people type.
  const amounts = Object.fromEntries(Object.entries(form).map(([name, text]) => [name, typedAmount(text) ?? (text === now?.[name] ? text : null)]));
  const isWhole = Object.values(amounts).every(Boolean);
  const isAbove = !isWhole || units(amounts.target_usd) > units(amounts.threshold_usd);
  const field = (name, label, help, invalid = false) => html`<${Field} label=${label} inputmode="decimal" value=${form[name]} help=${help} invalid=${!amounts[name] || invalid}
    error=${errorOf(change, name)} onInput=${(event) => setForm({ ...form, [name]: event.currentTarget.value })} />`;
  return html`<${FormDialog} title="Automatic top-ups" action=${now ? "Save" : "Switch on"} change=${change} ready=${isWhole && isAbove}
      onSubmit=${() => change.run(path, amounts, { method: "PUT" })} onClose=${onClose}>
    ${field("threshold_usd", "When less than this is available, in US dollars")}
    ${field("target_usd", "Buy credit up to, in US dollars", "More than the amount above. Tax comes on top.", !isAbove)}
    ${field("monthly_limit_usd", "At most in a calendar month, in US dollars")}
    <p class="note">${"The card of your last payment by card is charged without asking you again."}</p>
  </${FormDialog}>`;
}

function SwitchOff({ path, onDone, onClose }) {
  const change = useChange(onDone);
  return html`<${FormDialog} title="Switch automatic top-ups off?" action="Switch off" danger change=${change}
      onSubmit=${() => change.run(path, undefined, { method: "DELETE" })} onClose=${onClose}>
    <p>Calls are refused when your credit has run out. A payment that is under way goes on.</p>
  </${FormDialog}>`;
}
