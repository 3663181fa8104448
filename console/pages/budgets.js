import { useState } from "../vendor/hooks.js";
import { query, useChange, useGet } from "../lib/api.js";
import { can } from "../lib/auth.js";
import { dateTime } from "../lib/dates.js";
import { digitsFor, money, percent, share, typedAmount, units } from "../lib/money.js";
import { address } from "../lib/router.js";
import { Choice, Empty, Head, Loaded, Pages, html, label, locale } from "../ui/parts.js";
import { Field, FormDialog, errorOf } from "../ui/form.js";
import { named } from "../ui/names.js";

const SUBJECTS = ["organization", "team", "virtual_key", "end_user", "model", "provider"];
const WINDOWS = [["day", "a day"], ["week", "a week"], ["month", "a month"], ["lifetime", "in all"], ["rate", "an hour, as a rate"]];
const MODES = [["hard", "Refuse calls above it"], ["soft", "Only tell us"]];
const words = Object.fromEntries(WINDOWS);

export function Budgets({ organization }) {
  const { cursor = "" } = address.value.query;
  const path = `/v1/organizations/${organization.id}/budgets`;
  const list = useGet(path + query({ limit: 50, cursor }), { every: 30_000 });
  const [opened, setOpened] = useState(null);
  const may = can("billing:settings", "billing:admin");
  const close = () => setOpened(null);
  const done = () => { close(); list.reload(); };
  return html`<${Head} title="Budgets">${may && html`<button class="button primary" onClick=${() => setOpened("new")}>New budget</button>`}</${Head}>
    <section class="panel">
      <${Loaded} get=${list}>${({ items }) => items.length === 0
        ? html`<${Empty} title="No budgets yet">A budget limits what a team, a key, an end user or the whole organization spends.</${Empty}>`
        : html`<ul class="budgets">${items.map((budget) => html`<${Budget} key=${budget.id} budget=${budget} organization=${organization} onChange=${may && (() => setOpened(budget))} />`)}</ul>`}</${Loaded}>
      <${Pages} label="budgets" names=${["Previous", "Next"]} of=${list.data} />
      <p class="note">Days, weeks and months are those of ${organization.timezone}.</p>
    </section>
    ${opened === "new" && html`<${NewBudget} path=${path} onDone=${done} onClose=${close} />`}
    ${opened && opened !== "new" && html`<${ChangeBudget} path="${path}/${opened.id}" budget=${opened} onDone=${done} onClose=${close} />`}`;
}

const nameOf = (budget) => (budget.subject === "organization" ? "The organization" : `${label(budget.subject)} ${budget.subject_id ? named(budget.subject_name, budget.subject_id) : "(each)"}`);

function Budget({ budget, organization, onChange }) {
  const zone = { locale: locale.value, timeZone: organization.timezone };
  const used = units(budget.spent_usd) + units(budget.held_usd);
  const limit = units(budget.burst_usd ?? budget.limit_usd);
  const part = share(used, limit);
  // As many decimals as the smallest of them needs: a budget of less than a cent is not "$0.00 of $0.00".
  const digits = digitsFor([budget.spent_usd, budget.held_usd, budget.limit_usd]);
  const say = (amount) => money(amount, { locale: locale.value, digits });
  const sentences = [
    units(budget.held_usd) > 0n && `${say(budget.held_usd)} more is held.`,
    budget.resets_at && `Starts anew on ${dateTime(budget.resets_at, zone)}.`,
    budget.burst_usd && `Up to ${say(budget.burst_usd)} at once.`,
    budget.alert_percents.length > 0 && `Alerts at ${budget.alert_percents.join(", ")} %.`,
  ].filter(Boolean);
  return html`<li class="budget" data-tone=${part >= 1 ? "bad" : part >= 0.8 ? "warn" : "calm"}>
    <div class="heading"><h2>${nameOf(budget)}</h2>
      <span class="row"><span class="badge" data-tone=${budget.mode === "hard" ? "calm" : "quiet"}>${budget.mode === "hard" ? "refuses calls" : "only tells"}</span>
        ${onChange && html`<button class="link" onClick=${onChange}>Change<span class="hidden"> the budget of ${nameOf(budget)}</span></button>`}</span></div>
    <meter class="full" min="0" max="1" value=${Math.min(part, 1)} aria-label="Spent and held of ${nameOf(budget)}">${percent(used, limit, locale.value)}</meter>
    <p><strong>${say(budget.spent_usd)}</strong>${` of ${say(budget.limit_usd)} ${words[budget.window]} · ${percent(used, limit, locale.value)}`}${part >= 1 ? (budget.mode === "hard" ? " · calls are refused" : " · exceeded") : ""}</p>
    <p class="note">${sentences.join(" ")}</p>
  </li>`;
}

const percents = (text) => text.split(/[\s,;%]+/).filter(Boolean).map(Number);

function NewBudget({ path, onDone, onClose }) {
  const change = useChange(onDone);
  const [form, setForm] = useState({ subject: "organization", subjectId: "", window: "month", limit: "", burst: "", mode: "hard", alerts: "80, 100" });
  const set = (name) => (event) => setForm({ ...form, [name]: event.currentTarget.value });
  const limit = typedAmount(form.limit);
  const burst = typedAmount(form.burst);
  const submit = () => change.run(path, {
    subject: form.subject, window: form.window, mode: form.mode, limit_usd: limit,
    ...(form.subject !== "organization" && form.subjectId && { subject_id: form.subjectId.trim() }),
    ...(form.window === "rate" && { burst_usd: burst }),
    ...(form.window !== "rate" && { alert_percents: percents(form.alerts) }),
  });
  const ready = limit && (form.subject === "organization" || form.subjectId.trim()) && (form.window !== "rate" || burst);
  return html`<${FormDialog} title="New budget" action="Create the budget" change=${change} ready=${ready} onSubmit=${submit} onClose=${onClose}>
    <${Field} as="select" label="Whose spending" value=${form.subject} onChange=${set("subject")}>${SUBJECTS.map((name) => html`<option value=${name}>${name === "organization" ? "The whole organization" : label(name)}</option>`)}</${Field}>
    ${form.subject !== "organization" && html`<${Field} label="${label(form.subject)} id" value=${form.subjectId} onInput=${set("subjectId")} error=${errorOf(change, "subject_id")} help="As your gateway sends it with each call." />`}
    <${Field} label="Limit in US dollars" inputmode="decimal" placeholder="100.00" value=${form.limit} onInput=${set("limit")} invalid=${form.limit !== "" && !limit} error=${errorOf(change, "limit_usd")} help="From 0.01 up, with at most two decimals." />
    <${Field} as="select" label="For" value=${form.window} onChange=${set("window")}>${WINDOWS.map(([name, text]) => html`<option value=${name}>${text}</option>`)}</${Field}>
    ${form.window === "rate" && html`<${Field} label="At most at once, in US dollars" inputmode="decimal" value=${form.burst} onInput=${set("burst")} error=${errorOf(change, "burst_usd")} help="A rate lets unused credit gather up to this." />`}
    <${Choice} name="mode" legend="When it is reached" value=${form.mode} options=${MODES} onChange=${(mode) => setForm({ ...form, mode })} />
    ${form.window !== "rate" && html`<${Field} label="Alerts, in percent" value=${form.alerts} onInput=${set("alerts")} error=${errorOf(change, "alert_percents")} help="A webhook is sent when each is reached." />`}
  </${FormDialog}>`;
}

function ChangeBudget({ path, budget, onDone, onClose }) {
  const change = useChange(onDone);
  const [form, setForm] = useState({ limit: budget.limit_usd, mode: budget.mode, alerts: budget.alert_percents.join(", ") });
  const [removing, setRemoving] = useState(false);
  const set = (name) => (event) => setForm({ ...form, [name]: event.currentTarget.value });
  const limit = typedAmount(form.limit) ?? (form.limit === budget.limit_usd ? budget.limit_usd : null);
  const submit = () => removing ? change.run(path, undefined, { method: "DELETE" }) : change.run(path, {
    limit_usd: limit, mode: form.mode, ...(budget.window !== "rate" && { alert_percents: percents(form.alerts) }),
  }, { method: "PATCH" });
  if (removing) {
    return html`<${FormDialog} title="Remove this budget?" action="Remove it" danger change=${change} onSubmit=${submit} onClose=${onClose}>
      <p>${`${nameOf(budget)} will have no limit ${words[budget.window]} any more. What was spent stays in the reports.`}</p></${FormDialog}>`;
  }
  return html`<${FormDialog} title=${nameOf(budget)} action="Save" change=${change} ready=${limit} onSubmit=${submit} onClose=${onClose}>
    <${Field} label="Limit in US dollars ${words[budget.window]}" inputmode="decimal" value=${form.limit} onInput=${set("limit")} invalid=${!limit} error=${errorOf(change, "limit_usd")} help="From 0.01 up, with at most two decimals." />
    <${Choice} name="mode" legend="When it is reached" value=${form.mode} options=${MODES} onChange=${(mode) => setForm({ ...form, mode })} />
    ${budget.window !== "rate" && html`<${Field} label="Alerts, in percent" value=${form.alerts} onInput=${set("alerts")} error=${errorOf(change, "alert_percents")} help="A webhook is sent when each is reached." />`}
    <p><button type="button" class="link" onClick=${() => setRemoving(true)}>Remove this budget</button></p>
  </${FormDialog}>`;
}
