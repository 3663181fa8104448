import { useState } from "../vendor/hooks.js";
import { query, useChange, useGet } from "../lib/api.js";
import { count, counted, exactDigits, money } from "../lib/money.js";
import { dateTime } from "../lib/dates.js";
import { address, setQuery } from "../lib/router.js";
import { Cell, Empty, Exact, Failure, Head, Loaded, Pages, TextFilter, html, label, locale } from "../ui/parts.js";
import { Field, FormDialog, errorOf } from "../ui/form.js";
import { OrganizationLink, useOrganizations } from "../ui/names.js";

const rate = (amount) => money(amount, { locale: locale.value, digits: exactDigits(amount) });
const kindOf = (of) => label(of.bucket) + (of.service_tier && of.service_tier !== "standard" ? `, ${of.service_tier}` : "") + (of.above_input_tokens ? `, above ${counted(of.above_input_tokens, "token", locale.value)}` : "");

/** The price book. */
export function Prices() {
  const { provider = "", model = "", cursor = "" } = address.value.query;
  const list = useGet(`/v1/prices${query({ provider, model, cursor, limit: 50 })}`);
  const [opened, setOpened] = useState(null);
  const filter = (name) => (value) => setQuery({ [name]: value, cursor: null });
  return html`<${Head} title="Prices"><button class="button" onClick=${() => setOpened("quote")}>Quote</button><button class="button primary" onClick=${() => setOpened("import")}>Import</button></${Head}>
    <section class="panel" aria-busy=${list.loading}>
      <div class="filters" role="search"><${TextFilter} text="Provider" value=${provider} onEnter=${filter("provider")} /><${TextFilter} text="Model" value=${model} onEnter=${filter("model")} /></div>
      <${Loaded} get=${list} lines=${8}>${({ items }) => items.length === 0 ? html`<${Empty} title="No price matches">Both are matched as a whole.</${Empty}>`
        : html`<table class="data rows"><thead><tr><th scope="col">Model</th><th scope="col" class="wide">In force from</th><th scope="col" class="number">US dollars per million tokens</th></tr></thead>
          <tbody>${items.map((item) => html`<tr key=${item.id}><td class="what"><strong>${item.model}</strong><span class="muted">${item.provider} · ${item.source}${item.organization_id ? " · one organization's own" : ""}</span></td>
            <td class="wide muted nowrap">${dateTime(item.effective_from, { locale: locale.value, timeZone: "UTC" })} UTC</td>
            <td class="number">${item.rates.map((of) => html`<div><span class="muted">${kindOf(of)}</span> ${rate(of.usd_per_million)}</div>`)}</td></tr>`)}</tbody></table>`}</${Loaded}>
      <${Pages} label="prices" names=${["Previous", "Next"]} of=${list.data} />
    </section>
    ${opened === "import" && html`<${Import} onDone=${list.reload} onClose=${() => setOpened(null)} />`}
    ${opened === "quote" && html`<${Quote} onClose=${() => setOpened(null)} />`}`;
}

/** First a dry run, which shows each change; then the same, for good. */
function Import({ onDone, onClose }) {
  const dry = useChange();
  const real = useChange(() => { onDone(); onClose(); });
  const [text, setText] = useState("");
  const [from, setFrom] = useState(new Date().toISOString().slice(0, 10));
  let prices = null;
  try { prices = JSON.parse(text); } catch { prices = null; }
  const body = (dry_run) => ({ format: "litellm", effective_from: `${from}T00:00:00Z`, prices, dry_run });
  const found = dry.done;
  return html`<${FormDialog} title="Import prices" action=${found ? "Import for good" : "Show what would change"} change=${found ? real : dry} ready=${prices && from}
      onSubmit=${() => (found ? real : dry).run("/v1/prices/import", body(!found))} onClose=${onClose}>
    <${Field} as="textarea" label="Prices, as LiteLLM's JSON" value=${text} invalid=${text !== "" && !prices} onInput=${(event) => { setText(event.currentTarget.value); dry.clear(); }} error=${errorOf(dry, "prices")}
      help=${'Such as {"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": "2.5e-06", ...}}'} />
    <${Field} label="In force from the start of (UTC)" type="date" value=${from} onInput=${(event) => { setFrom(event.currentTarget.value); dry.clear(); }} error=${errorOf(dry, "effective_from")} />
    ${found && html`<p role="status"><strong>${`${found.added} new, ${found.changed} changed, ${found.unchanged} as before, ${found.refused.length} refused.`}</strong></p>
      <div class="scroll" tabindex="0" role="region" aria-label="What would change"><table class="data"><tbody>
        ${found.changes.map((change) => html`<tr><th scope="row">${change.model}</th><td class="number">${change.rates.map((of) => html`<div><span class="muted">${kindOf(of)}</span> ${of.before_usd_per_million ? rate(of.before_usd_per_million) : "–"} → ${of.usd_per_million ? rate(of.usd_per_million) : "–"}</div>`)}</td></tr>`)}
        ${found.refused.map((of) => html`<tr><th scope="row">${of.model}</th><td class="bad">${of.reason}</td></tr>`)}</tbody></table></div>`}
  </${FormDialog}>`;
}

function Quote({ onClose }) {
  const quote = useChange();
  const [form, setForm] = useState({ provider: "openai", model: "gpt-4o", input: "1000", output: "500" });
  const set = (name) => (event) => setForm({ ...form, [name]: event.currentTarget.value });
  const tokens = [form.input, form.output].every((text) => /^\d{1,9}$/.test(text));
  const submit = () => quote.run("/v1/quotes", { provider: form.provider.trim(), model: form.model.trim(), usage: { format: "openai", prompt_tokens: Number(form.input), completion_tokens: Number(form.output) } });
  const found = quote.done;
  const digits = found && Math.max(...found.lines.map((line) => exactDigits(line.amount_usd)), exactDigits(found.amount_usd));
  return html`<${FormDialog} title="What would a call cost?" action="Quote" change=${quote} ready=${tokens && form.model.trim()} onSubmit=${submit} onClose=${onClose}>
    <${Field} label="Provider" value=${form.provider} onInput=${set("provider")} /><${Field} label="Model" value=${form.model} onInput=${set("model")} />
    <${Field} label="Input tokens" inputmode="numeric" value=${form.input} onInput=${set("input")} /><${Field} label="Output tokens" inputmode="numeric" value=${form.output} onInput=${set("output")} />
    ${found && html`<table class="data sums" role="status"><tbody>${found.lines.map((line) => html`<tr><th scope="row">${kindOf(line)}<span class="muted">${`${count(line.tokens, locale.value)} × ${rate(line.usd_per_million)} per million`}</span></th>
      <td class="number"><${Cell} amount=${line.amount_usd} digits=${digits} /></td></tr>`)}</tbody><tfoot><tr><th scope="row">Amount</th><td class="number"><${Cell} amount=${found.amount_usd} digits=${digits} /></td></tr></tfoot></table>`}
  </${FormDialog}>`;
}

/** Usage of models that had no price, which is charged when one comes; and charges to be rated again. */
export function Unpriced() {
  const { cursor = "" } = address.value.query;
  const list = useGet(`/v1/unpriced-usage${query({ limit: 50, cursor })}`);
  const nameOf = useOrganizations();
  const [rerating, setRerating] = useState(false);
  return html`<${Head} title="Unpriced usage"><button class="button" onClick=${() => setRerating(true)}>Rate charges again</button></${Head}>
    <section class="panel" aria-busy=${list.loading}><${Loaded} get=${list}>${({ items }) => items.length === 0
      ? html`<${Empty} title="Every call has a price">Usage of a model without a price waits here, and is charged when the price comes.</${Empty}>`
      : html`<table class="data rows"><thead><tr><th scope="col">Model</th><th scope="col" class="wide">Since</th><th scope="col">Organization</th><th scope="col"><span class="hidden">Price</span></th></tr></thead>
        <tbody>${items.map((item) => html`<tr key=${item.id}><td><strong>${item.model}</strong> <span class="muted">${item.provider}</span></td><td class="wide muted nowrap">${dateTime(item.created_at, { locale: locale.value, timeZone: "UTC" })} UTC</td>
          <td><${OrganizationLink} id=${item.organization_id} nameOf=${nameOf} /></td><td class="end"><a href="/console/prices${query({ provider: item.provider, model: item.model })}">Prices<span class="hidden"> of ${item.model}</span></a></td></tr>`)}</tbody></table>`}</${Loaded}>
      <${Pages} label="unpriced usage" of=${list.data} /></section>
    ${rerating && html`<${Rerating} nameOf=${nameOf} onClose=${() => setRerating(false)} />`}`;
}

function Rerating({ nameOf, onClose }) {
  const dry = useChange();
  const real = useChange();
  const day = (back) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10);
  const [form, setForm] = useState({ provider: "openai", model: "", from: day(30), to: day(0) });
  const set = (name) => (event) => { setForm({ ...form, [name]: event.currentTarget.value }); dry.clear(); };
  const body = (dry_run) => ({ provider: form.provider.trim(), model: form.model.trim(), from: `${form.from}T00:00:00Z`, to: `${form.to}T00:00:00Z`, dry_run });
  const found = real.done ?? dry.done;
  return html`<${FormDialog} title="Rate charges again" action=${dry.done ? "Correct for good" : "Show what would change"} change=${dry.done ? real : dry} ready=${form.model.trim() && !real.done}
      onSubmit=${() => (dry.done ? real : dry).run("/v1/reratings", body(!dry.done))} onClose=${onClose}>
    <${Field} label="Provider" value=${form.provider} onInput=${set("provider")} /><${Field} label="Model" value=${form.model} onInput=${set("model")} />
    <${Field} label="From the start of (UTC)" type="date" value=${form.from} onInput=${set("from")} /><${Field} label="To the start of (UTC)" type="date" value=${form.to} onInput=${set("to")} error=${errorOf(dry, "to")} />
    ${found && html`<p role="status"><strong>${found.organizations.length === 0 ? "Every charge has its price already." : real.done ? "Corrected:" : "Would be corrected:"}</strong></p>
      <table class="data sums"><tbody>${found.organizations.map((of) => html`<tr><th scope="row">${nameOf(of.organization_id) ?? of.organization_id.slice(0, 8)}<span class="muted">${counted(of.charges, "charge", locale.value)}</span></th><td class="number"><${Exact} amount=${of.correction_usd} signed /></td></tr>`)}</tbody></table>`}
    ${real.error && html`<${Failure} error=${real.error} />`}
  </${FormDialog}>`;
}
