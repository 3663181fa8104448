import { useCallback, useEffect, useRef, useState } from "../vendor/hooks.js";
import { bearer, signIn } from "./auth.js";

/** What the API refused, in its own words (RFC 9457). */
export class Problem extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? problem.message ?? `The server answered ${status}.`);
    this.status = status;
    this.code = problem.code;
    this.requestId = problem.request_id;
    this.errors = problem.errors ?? [];
  }
}

const JSON_TYPE = "application/json";
const NOT_SENT = "You were signed in too long ago, so nothing was sent and nothing has changed.";
const NOT_ACCEPTED = "Your sign-in was not accepted, and nothing has changed.";

/** The answer of the API to `call`, as JSON or, for another media type, as a blob. */
export async function call(path, options = {}) {
  const answer = await ask(path, options);
  return (options.accept ?? JSON_TYPE) === JSON_TYPE ? answer?.json() : answer?.blob();
}

/** Asks the API. A read whose token has expired signs in again; a change says so instead, and loses no form. */
async function ask(path, { method = "GET", body, headers = {}, signal, accept = JSON_TYPE }) {
  const token = bearer();
  if (!token) {
    if (method === "GET") return signIn();
    throw new Problem(401, { detail: NOT_SENT });
  }
  let answer;
  try {
    answer = await fetch(path, {
      method, signal, cache: "no-store",
      headers: {
        Authorization: `Bearer ${token}`, Accept: accept, ...(body && { "Content-Type": "application/json" }), ...headers,
      },
      ...(body && { body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The server could not be reached. Are you online?" });
  }
  if (answer.status === 401) {
    if (method === "GET") return signIn();
    throw new Problem(401, { detail: NOT_ACCEPTED });
  }
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

/** A GET that a component shows: what was there stays until the new answer comes. `every` asks again, in
 * milliseconds, while the page is visible, and as long as `while` is true of the newest answer. */
export function useGet(path, { every, while: goesOn = () => true } = {}) {
  const [state, setState] = useState({ loading: true });
  const [turn, setTurn] = useState(0);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  useEffect(() => {
    if (!path) return undefined;
    const abort = new AbortController();
    setState((was) => ({ ...was, loading: true, error: undefined }));
    call(path, { signal: abort.signal }).then(
      (data) => setState({ data, path, loading: false }),
      (error) => error.name === "AbortError" || setState((was) => ({ ...was, error, loading: false })),
    );
    return () => abort.abort();
  }, [path, turn]);
  useEffect(() => {
    if (!every || (state.data && !goesOn(state.data))) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && reload(), every);
    return () => clearInterval(timer);
  }, [every, state.data && goesOn(state.data)]);
  return { ...state, reload };
}

/** One change of the API. Its key is made once, so that trying again cannot do it twice; a new key is
 * made when what is sent has changed, and after a success. */
export function useChange(onDone) {
  const [state, setState] = useState({});
  const sent = useRef({});
  const run = async (path, body, { method = "POST" } = {}) => {
    const text = JSON.stringify([path, method, body]);
    if (sent.current.text !== text) sent.current = { text, key: crypto.randomUUID() };
    setState({ busy: true });
    try {
      const done = await call(path, { method, body, headers: method === "POST" ? { "Idempotency-Key": sent.current.key } : {} });
      sent.current = {};
      setState({ done });
      onDone?.(done);
      return done;
    } catch (error) {
      setState({ error });
      return null;
    }
  };
  return { ...state, run, clear: () => setState({}) };
}

/** Saves what needs the token to be read, such as a PDF. */
export const save = async (path, accept, name) => saveBlob(await call(path, { accept }), name);

// A list of CSV is asked for by pages of 100 rows.
const MOST_CSV_PAGES = 500;

/** Saves all pages of a list as one CSV. `onRows` is told how many rows there are so far. Resolves to false when there are
 * more than one file takes. */
export async function saveCsv(path, name, onRows, signal) {
  const parts = [];
  let rows = 0;
  let next = new URL(path, location.origin);
  for (let page = 0; next && page < MOST_CSV_PAGES; page += 1) {
    const answer = await ask(next.href, { accept: "text/csv", signal });
    const text = await answer.text();
    // Each page begins with the names of the columns.
    const body = text.slice(text.indexOf("\n") + 1);
    // The mark by which spreadsheets know the encoding is lost in reading.
    parts.push(page === 0 ? `\ufeff${text}` : body);
    rows += body.split("\n").length - 1;
    onRows(rows);
    const link = /<([^>]*)>; *rel="?next/.exec(answer.headers.get("link") ?? "");
    next = link && new URL(link[1], next);
  }
  saveBlob(new Blob(parts, { type: "text/csv" }), name);
  return !next;
}

function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export const query = (parameters) => {
  const kept = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return kept.length ? `?${new URLSearchParams(kept)}` : "";
};
