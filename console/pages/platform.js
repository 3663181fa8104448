import { useState } from "../vendor/hooks.js";
import { query, save, useGet } from "../lib/api.js";
import { daysBetween, day, period, startOfDay } from "../lib/dates.js";
import { count, counted, percent, units } from "../lib/money.js";
import { address, setQuery } from "../lib/router.js";
import { Bars, BarsAsTable, TOP, series } from "../ui/chart.js";
import { OrganizationLink, useOrganizations } from "../ui/names.js";
import { Badge, Choice, Empty, Exact, Fact, Facts, Head, Loaded, Money, html, label, locale } from "../ui/parts.js";

const GROUPS = [["organization_id", "organization"], ["model", "model"], ["provider", "provider"], ["region", "region"]];
const thisMonth = () => new Date().toISOString().slice(0, 7);
const lastMonth = () => new Date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth() - 1, 1)).toISOString().slice(0, 7);

function Month({ value }) {
  return html`<label class="row">Month<input type="month" value=${value} max=${thisMonth()} onChange=${(event) => event.currentTarget.value && setQuery({ month: event.currentTarget.value })} /></label>`;
}

/** Spending of all organizations. */
export function PlatformSpending() {
  const { period: name = "30", by = "organization_id", as = "chart" } = address.value.query;
  const { from, to } = period(name, "UTC");
  const days = daysBetween(from, to);
  const get = useGet(`/v1/spending${query({ from: startOfDay(from, "UTC"), to: startOfDay(to, "UTC"), group_by: `day,${by}`, top: TOP })}`);
  const nameOf = useOrganizations(by === "organization_id");
  const all = get.data && series(get.data, by, days, (item) => nameOf(item[by]) ?? item[by]);
  const total = get.data?.total;
  return html`<h1>Spending</h1><section class="panel" aria-labelledby="spending" aria-busy=${get.loading}>
    <div class="heading"><div><h2 id="spending">Of all organizations</h2><p class="figure medium">${total ? html`<${Money} amount=${total.amount_usd} />` : "\u00a0"}</p>
      <p class="note">${total ? `${counted(total.requests, "call", locale.value)}${total.margin_usd ? `, ${percent(units(total.margin_usd), units(total.amount_usd) || 1n, locale.value)} margin` : ""}` : "\u00a0"}</p></div>
      <div class="controls"><label class="select"><span class="hidden">Period</span><select value=${name} onChange=${(event) => setQuery({ period: event.currentTarget.value }, { replace: true })}>
        ${[["7", "7 days"], ["30", "30 days"], ["90", "90 days"], ["month", "This month"], ["last-month", "Last month"]].map(([key, text]) => html`<option value=${key}>${text}</option>`)}</select></label>
        <label class="select"><span class="hidden">Group by</span><select value=${by} onChange=${(event) => setQuery({ by: event.currentTarget.value }, { replace: true })}>${GROUPS.map(([key, text]) => html`<option value=${key}>by ${text}</option>`)}</select></label>
        <${Choice} name="as" legend="Show as" value=${as} options=${[["chart", "Chart"], ["table", "Table"]]} onChange=${(value) => setQuery({ as: value }, { replace: true })} /></div></div>
    <${Loaded} get=${get} lines=${6}>${() => all.length === 0 ? html`<${Empty} title="Nothing was spent in this period">Choose a longer one.</${Empty}>`
      : as === "table" ? html`<${BarsAsTable} days=${days} all=${all} />` : html`<${Bars} days=${days} all=${all} />`}</${Loaded}>
    <p class="note">Days are those of each organization.</p></section>`;
}

const FIGURES = [["opening_deferred_usd", "Credit not used yet, at the start"], ["sold_usd", "Sold"], ["recognized_usd", "Recognized as revenue"], ["breakage_usd", "Expired unused"], ["paid_out_usd", "Paid out"], ["closing_deferred_usd", "Credit not used yet, at the end"]];
const OTHERS = [["promotional_used_usd", "Promotional credit used"], ["debt_usd", "Debt"], ["invoiced_usd", "Invoiced"], ["overdue_usd", "Overdue"]];

export function Revenue() {
  const { month = thisMonth() } = address.value.query;
  const get = useGet(`/v1/revenue?month=${month}`);
  const [error, setError] = useState("");
  const csv = () => save(`/v1/revenue?month=${month}`, "text/csv", `revenue-${month}.csv`).then(() => setError(""), (failed) => setError(failed.message));
  // What did not happen has an entry of nothing, for accounting programs.
  const journal = get.data?.journal.filter((entry) => units(entry.amount_usd) !== 0n) ?? [];
  const row = (of) => ([name, text]) => html`<tr><th scope="row">${text}</th><td class="number"><${Exact} amount=${of[name]} /></td></tr>`;
  return html`<${Head} title="Revenue"><${Month} value=${month} /><button class="button" onClick=${csv}>CSV</button></${Head}>
    ${error && html`<p class="bad" role="alert">${error}</p>`}
    <section class="panel" aria-labelledby="revenue" aria-busy=${get.loading}><h2 id="revenue">${day(`${month}-01`, locale.value, { month: "long", year: "numeric" })}</h2>
      <${Loaded} get=${get}>${(of) => html`<p class="row"><${Badge} name=${of.closed ? "paid" : "pending"} text=${of.closed ? "The month has ended: these figures never change" : "The month goes on"} /></p>
        <table class="data sums"><tbody>${FIGURES.slice(0, -1).map(row(of.total))}</tbody><tfoot>${FIGURES.slice(-1).map(row(of.total))}</tfoot></table>
        <table class="data sums"><tbody>${OTHERS.map(row(of.total))}</tbody></table>`}</${Loaded}></section>
    ${get.data && html`<section class="panel" aria-labelledby="journal"><h2 id="journal">Journal</h2>${journal.length === 0 ? html`<${Empty} title="No entries">Nothing was sold or used in this month.</${Empty}>`
      : html`<div class="scroll" tabindex="0" role="region" aria-label="Journal entries"><table class="data"><thead><tr><th scope="col">Day</th><th scope="col">Debit</th><th scope="col">Credit</th><th scope="col" class="number">Amount</th></tr></thead>
        <tbody>${journal.map((entry) => html`<tr><td class="nowrap">${day(entry.date, locale.value)}</td><td>${label(entry.debit)}</td><td>${label(entry.credit)}</td><td class="number"><${Exact} amount=${entry.amount_usd} /></td></tr>`)}</tbody></table></div>`}</section>`}`;
}

export function MonthEnd() {
  const { month = lastMonth() } = address.value.query;
  const get = useGet(`/v1/month-end/${month}`, { every: 10_000 });
  const nameOf = useOrganizations(get.data?.failures.length > 0);
  return html`<${Head} title="Month end"><${Month} value=${month} /></${Head}>
    <section class="panel" aria-labelledby="progress"><h2 id="progress">${day(`${month}-01`, locale.value, { month: "long", year: "numeric" })}</h2>
      <${Loaded} get=${get}>${(of) => of.organizations === 0 ? html`<${Empty} title="No organization is billed for this month">A month is billed when it has ended for all of them.</${Empty}>` : html`<p class="figure medium">${`${count(of.issued + of.empty, locale.value)} of ${count(of.organizations, locale.value)} billed`}</p>
        <meter class="full" min="0" max=${of.organizations || 1} value=${of.issued + of.empty} aria-label="Organizations billed"></meter>
        <${Facts}><${Fact} name="Issued">${count(of.issued, locale.value)}</${Fact}><${Fact} name="Nothing to bill">${count(of.empty, locale.value)}</${Fact}><${Fact} name="Pending">${count(of.pending, locale.value)}</${Fact}><${Fact} name="Failed">${count(of.failed, locale.value)}</${Fact}></${Facts}>
        ${of.failures.length > 0 && html`<table class="data"><thead><tr><th scope="col">Organization</th><th scope="col">Why</th></tr></thead><tbody>${of.failures.map((failure) => html`<tr><td><${OrganizationLink} id=${failure.organization_id} nameOf=${nameOf} page="/invoices" /></td><td class="bad">${failure.error}</td></tr>`)}</tbody></table>`}`}</${Loaded}></section>`;
}

export function Health() {
  const health = useGet("/health", { every: 15_000 });
  const cache = useGet("/v1/cache/statistics", { every: 15_000 });
  const rates = useGet("/v1/exchange-rates");
  const ratio = (value) => (value === null ? "–" : new Intl.NumberFormat(locale.value, { style: "percent", maximumFractionDigits: 1 }).format(value));
  return html`<h1>Health</h1>
    <section class="panel" aria-labelledby="parts"><h2 id="parts">Parts</h2><${Loaded} get=${health}>${(of) => html`<${Facts}>${Object.entries(of).map(([name, state]) => html`<${Fact} name=${label(name)}><${Badge} name=${state} /></${Fact}>`)}</${Facts}>`}</${Loaded}></section>
    <section class="panel" aria-labelledby="rates"><h2 id="rates">Exchange rates</h2><${Loaded} get=${rates}>${(of) => html`<${Facts}>
      <${Fact} name="As of">${new Intl.DateTimeFormat(locale.value, { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" }).format(new Date(of.as_of))} UTC${of.stale ? ", which is old" : ""}</${Fact}><${Fact} name="Source">${of.source}</${Fact}>
      ${Object.entries(of.rates).map(([currency, rate]) => html`<${Fact} name=${currency}>${rate}</${Fact}>`)}</${Facts}>`}</${Loaded}></section>
    <section class="panel" aria-labelledby="cache"><h2 id="cache">Cache of one container</h2><${Loaded} get=${cache}>${(of) => html`<${Facts}><${Fact} name="Hit ratio">${ratio(of.hit_ratio)}</${Fact}>
      <${Fact} name="Hits">${`${count(of.l1_hits, locale.value)} in memory, ${count(of.l2_hits, locale.value)} in Redis`}</${Fact}><${Fact} name="Misses">${count(of.misses, locale.value)}</${Fact}><${Fact} name="Redis failures">${count(of.redis_failures, locale.value)}</${Fact}><${Fact} name="Region">${of.region}</${Fact}></${Facts}>`}</${Loaded}></section>`;
}
