import { useEffect, useState } from "../vendor/hooks.js";
import { call, query } from "../lib/api.js";
import { html } from "./parts.js";

// Names change seldom: each list is read once while the console is open.
const lists = new Map();
const MOST_PAGES = 20;

async function readAll(path) {
  const items = [];
  let cursor = null;
  for (let page = 0; page < MOST_PAGES && (page === 0 || cursor); page += 1) {
    const answer = await call(path + query({ limit: 100, cursor }));
    items.push(...answer.items);
    cursor = answer.next_cursor;
  }
  return items;
}

/** A function from a key of an item to the item's name, or undefined: also while the list is not there. */
function useNames(path, keyOf) {
  const [names, setNames] = useState(new Map());
  useEffect(() => {
    if (!path) return undefined;
    let current = true;
    if (!lists.has(path)) lists.set(path, readAll(path));
    lists.get(path).then(
      (items) => current && setNames(new Map(items.map((item) => [keyOf(item), item.name]))),
      () => lists.delete(path),
    );
    return () => (current = false);
  }, [path]);
  return (key) => names.get(key);
}

/** Names of the organization's teams and keys: `name("team", id)` is "Search (team-1)", since two may be called alike. */
export function useLabels(organization) {
  const nameOf = useNames(`/v1/organizations/${organization.id}/labels`, ({ kind, id }) => `${kind} ${id}`);
  return (kind, id) => named(nameOf(`${kind} ${id}`), id);
}

export const named = (name, id) => (name ? `${name} (${id})` : id);

/** The same for a line with little room: a long id is cut. */
export const briefly = (labelled, id) => (id.length > 24 ? labelled.replace(id, `${id.slice(0, 8)}…`) : labelled);

/** Names of all organizations, for the operator. */
export const useOrganizations = (isNeeded = true) => useNames(isNeeded ? "/v1/organizations" : null, ({ id }) => id);

/** An organization in the operator's lists. */
export const OrganizationLink = ({ id, nameOf, page = "" }) => html`<a href="/console/o/${id}${page}">${nameOf(id) ?? id.slice(0, 8)}</a>`;
