import { useId } from "../vendor/hooks.js";
import { Dialog, Failure, html } from "./parts.js";

/** A labelled control with its rule below it; `error` is the API's word on it. */
export function Field({ label, help, error, invalid = false, as = "input", children, ...control }) {
  const id = useId();
  const note = error ?? help;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${as === "select" ? html`<select id=${id} aria-describedby=${note ? `${id}-note` : undefined} ...${control}>${children}</select>`
      : html`<${as} id=${id} autocomplete="off" aria-invalid=${Boolean(error || invalid)} aria-describedby=${note ? `${id}-note` : undefined} ...${control} />`}
    ${note && html`<span id="${id}-note" class=${error || invalid ? "bad" : "muted"}>${note}</span>`}
  </div>`;
}

/** What the API says of a field, by its JSON pointer. */
export const errorOf = (change, name) => change.error?.errors.find(({ pointer }) => pointer === `/${name}`)?.detail;

/** A dialog with a form that makes one change. Its button is off while the change is under way. */
export function FormDialog({ title, action, change, ready = true, danger = false, onSubmit, onClose, children }) {
  const submit = (event) => {
    event.preventDefault();
    if (ready && !change.busy) onSubmit();
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form onSubmit=${submit} novalidate>
      ${children}
      ${change.error && html`<${Failure} error=${change.error} />`}
      <footer>
        <button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button class=${danger ? "button danger" : "button primary"} disabled=${!ready || change.busy}>${change.busy ? "Working…" : action}</button>
      </footer>
    </form>
  </${Dialog}>`;
}
