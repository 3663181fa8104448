import { useState } from "../vendor/hooks.js";
import { useChange } from "../lib/api.js";
import { decimal, money, typedAmount, units } from "../lib/money.js";
import { Badge, Exact, Fact, Facts, Notice, html, label, locale, say } from "../ui/parts.js";
import { Field, FormDialog, errorOf } from "../ui/form.js";

/** What only the operator may do to an organization. */
export function Operator({ organization, balance, onChanged }) {
  const [opened, setOpened] = useState(null);
  const [told, setTold] = useState("");
  const path = `/v1/organizations/${organization.id}`;
  const close = () => setOpened(null);
  const done = (text) => () => { close(); setTold(text); onChanged(); };
  const button = (name, text) => html`<button class="button" onClick=${() => { setTold(""); setOpened(name); }}>${text}</button>`;
  const isActive = organization.status === "active";
  const common = { organization, path, onClose: close };
  return html`<h1>Operator</h1>
    ${told && html`<${Notice} tone="calm"><p>${told}</p></${Notice}>`}
    <section class="panel" aria-labelledby="money"><h2 id="money">Credit</h2>
      <${Facts}><${Fact} name="Balance">${balance.data ? html`<${Exact} amount=${balance.data.balance_usd} />` : "…"}</${Fact}>
        <${Fact} name="Held">${balance.data ? html`<${Exact} amount=${balance.data.held_usd} />` : "…"}</${Fact}>
        <${Fact} name="Credit limit">${say(organization.credit_limit_usd)}</${Fact}></${Facts}>
      <p class="row">${button("grant", "Grant credit")}${button("adjust", "Adjust the balance")}${button("limit", "Change the limit")}</p></section>
    <section class="panel" aria-labelledby="terms"><h2 id="terms">Terms</h2>
      <${Facts}><${Fact} name="State"><${Badge} name=${organization.status} /></${Fact}>
        <${Fact} name="Prices">× ${decimal(units(organization.price_multiplier))}</${Fact}>
        <${Fact} name="Region">${organization.region ?? "not given"}</${Fact}>
        <${Fact} name="External id">${organization.external_id ?? "none"}</${Fact}></${Facts}>
      <p class="row">${button("multiplier", "Change the multiplier")}${organization.status !== "closed" && button("status", isActive ? "Suspend" : "Activate")}</p></section>
    ${opened === "grant" && html`<${Grant} ...${common} onDone=${done("The credit was granted.")} />`}
    ${opened === "adjust" && html`<${Adjust} ...${common} balance=${balance.data} onDone=${done("The balance was adjusted.")} />`}
    ${opened === "limit" && html`<${Change} ...${common} field="credit_limit_usd" title="Credit limit" text="How far charges may take the balance below zero, in US dollars" onDone=${done("The limit was changed.")} />`}
    ${opened === "multiplier" && html`<${Change} ...${common} field="price_multiplier" title="Price multiplier" text="Everyone's prices are multiplied by" onDone=${done("The multiplier was changed.")} />`}
    ${opened === "status" && html`<${Status} ...${common} to=${isActive ? "suspended" : "active"} onDone=${done(isActive ? "The organization is suspended." : "The organization is active.")} />`}`;
}

function Grant({ path, onDone, onClose }) {
  const change = useChange(onDone);
  const [form, setForm] = useState({ amount: "", description: "", expires: "", priority: "50", monthly: false });
  const set = (name) => (event) => setForm({ ...form, [name]: event.currentTarget.value });
  const amount = typedAmount(form.amount);
  const submit = () => change.run(`${path}/grants`, {
    amount_usd: amount, kind: "promotional", description: form.description.trim(), priority: Number(form.priority),
    ...(form.expires && { expires_at: `${form.expires}T00:00:00Z` }), ...(form.monthly && { every: "month" }),
  });
  return html`<${FormDialog} title="Grant credit" action=${amount ? `Grant ${say(amount)}` : "Grant"} change=${change} ready=${amount && form.description.trim() && /^\d+$/.test(form.priority)} onSubmit=${submit} onClose=${onClose}>
    <${Field} label="Credit in US dollars" inputmode="decimal" value=${form.amount} invalid=${form.amount !== "" && !amount} onInput=${set("amount")} error=${errorOf(change, "amount_usd")} help="From 0.01 up, with at most two decimals." />
    <${Field} label="What for" value=${form.description} onInput=${set("description")} error=${errorOf(change, "description")} />
    <${Field} label="Expires at the start of (UTC)" type="date" value=${form.expires} onInput=${set("expires")} error=${errorOf(change, "expires_at")} help="Leave it empty for credit that does not expire." />
    <${Field} label="Priority" inputmode="numeric" value=${form.priority} onInput=${set("priority")} error=${errorOf(change, "priority")} help="Lower numbers are used first." />
    <label class="row"><input type="checkbox" checked=${form.monthly} onChange=${(event) => setForm({ ...form, monthly: event.currentTarget.checked })} />Again each month</label>
  </${FormDialog}>`;
}

function Adjust({ path, balance, onDone, onClose }) {
  const change = useChange(onDone);
  const [text, setText] = useState("");
  const [why, setWhy] = useState("");
  const sign = text.trim().startsWith("-") ? "-" : "";
  const size = typedAmount(text.trim().replace(/^[+-]/, ""));
  const amount = size && sign + size;
  const then = amount && balance ? decimal(units(balance.balance_usd) + units(amount)) : null;
  return html`<${FormDialog} title="Adjust the balance" action=${amount ? `Adjust by ${money(amount, { locale: locale.value, signed: true })}` : "Adjust"} change=${change} ready=${amount && why.trim()}
      onSubmit=${() => change.run(`${path}/adjustments`, { amount_usd: amount, description: why.trim() })} onClose=${onClose}>
    <${Field} label="Amount in US dollars, with a minus to take" value=${text} invalid=${text !== "" && !amount} onInput=${(event) => setText(event.currentTarget.value)} error=${errorOf(change, "amount_usd")} help="Such as 5.00 or -5.00." />
    <${Field} label="Why, as the customer reads it" value=${why} onInput=${(event) => setWhy(event.currentTarget.value)} error=${errorOf(change, "description")} />
    <${Facts}><${Fact} name="Balance now">${balance ? say(balance.balance_usd) : "…"}</${Fact}><${Fact} name="Then about"><strong>${then ? say(then) : "…"}</strong></${Fact}></${Facts}>
  </${FormDialog}>`;
}

function Change({ organization, path, field, title, text, onDone, onClose }) {
  const change = useChange(onDone);
  const [value, setValue] = useState(decimal(units(organization[field])));
  const plain = value.trim().replace(",", ".");
  const ready = /^\d{1,10}(\.\d{1,8})?$/.test(plain);
  return html`<${FormDialog} title=${title} action="Save" change=${change} ready=${ready} onSubmit=${() => change.run(path, { [field]: plain }, { method: "PATCH" })} onClose=${onClose}>
    <${Field} label=${text} inputmode="decimal" value=${value} invalid=${!ready} onInput=${(event) => setValue(event.currentTarget.value)} error=${errorOf(change, field)} help="A number without grouping." /></${FormDialog}>`;
}

function Status({ organization, path, to, onDone, onClose }) {
  const change = useChange(onDone);
  return html`<${FormDialog} title="${to === "active" ? "Activate" : "Suspend"} ${organization.name}?" action=${to === "active" ? "Activate" : "Suspend"} danger=${to !== "active"} change=${change}
    onSubmit=${() => change.run(path, { status: to }, { method: "PATCH" })} onClose=${onClose}>
    <p>${to === "active" ? "It can charge and hold credit again." : "New charges and holds are refused at once. Calls that have begun are still charged. It is now:"} ${to !== "active" && label(organization.status)}</p></${FormDialog}>`;
}
