// The OIDC code flow with PKCE, the same against the local issuer and Cognito. The token is kept in
// this module's memory alone: a reload asks the issuer again, which remembers the person by its own cookie.

const PENDING = "billing.sign-in";
// Tokens are not used in their last seconds, nor issued again for a redirect that did not help.
const SPARE_SECONDS = 30;
let token = null;
let claims = null;
let expires = 0;

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

// Written into the page when it is deployed.
const settings = JSON.parse(document.querySelector("meta[name=sign-in]").content);
const redirectUri = new URL(settings.redirect_uri, location.origin).href;

/** Goes to the issuer, and comes back to where the person was. Never returns. */
export async function signIn() {
  const verifier = random();
  const state = random();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
  // Where a sign-in began that a reload has interrupted.
  const begun = location.pathname === settings.redirect_uri && JSON.parse(sessionStorage.getItem(PENDING) ?? "null")?.back;
  const back = begun || (location.pathname === settings.redirect_uri ? settings.redirect_uri : location.pathname + location.search);
  sessionStorage.setItem(PENDING, JSON.stringify({ verifier, state, back }));
  location.assign(`${settings.authorization_endpoint}?${new URLSearchParams({
    response_type: "code", client_id: settings.client_id, redirect_uri: redirectUri, scope: settings.scope, state,
    code_challenge: base64url(digest), code_challenge_method: "S256",
  })}`);
  return new Promise(() => {});
}

/** Ends the session at the issuer, too, which leads back here. */
export function signOut() {
  token = null;
  // Cognito's parameter, and that of OpenID Connect.
  location.assign(`${settings.end_session_endpoint}?${new URLSearchParams({
    client_id: settings.client_id, logout_uri: redirectUri, post_logout_redirect_uri: redirectUri,
  })}`);
}

function take(issued) {
  token = issued.access_token;
  expires = Date.now() + (issued.expires_in - SPARE_SECONDS) * 1000;
  const payload = atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
  claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(payload, (character) => character.codePointAt(0))));
}

/** Takes the issuer's answer from the address, if there is one: true, false, or why it was refused. */
async function takeCode() {
  const query = new URLSearchParams(location.search);
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  if (!pending?.state || query.get("state") !== pending.state) return false;
  sessionStorage.setItem(PENDING, JSON.stringify({ back: pending.back }));
  if (query.has("error")) return query.get("error_description") ?? query.get("error");
  if (!query.has("code")) return false;
  const body = new URLSearchParams({
    grant_type: "authorization_code", code: query.get("code"), client_id: settings.client_id,
    redirect_uri: redirectUri, code_verifier: pending.verifier,
  });
  const answer = await fetch(settings.token_endpoint, { method: "POST", body }).catch(() => null);
  if (!answer?.ok) return "The issuer of tokens did not accept the sign-in.";
  take(await answer.json());
  sessionStorage.removeItem(PENDING);
  history.replaceState(null, "", pending.back);
  return true;
}

/** True once somebody is signed in; otherwise the browser leaves for the issuer, or shows why it cannot. */
export async function start() {
  const taken = await takeCode();
  if (taken === true) return true;
  if (taken === false) return signIn();
  // Going to the issuer again by itself could go round for ever.
  const paragraph = document.querySelector("#app > p");
  paragraph.setAttribute("role", "alert");
  paragraph.textContent = `Signing in failed: ${taken} `;
  const again = Object.assign(document.createElement("a"), { href: settings.redirect_uri, textContent: "Sign in again" });
  paragraph.append(again);
  return false;
}

// A page that the browser kept in its memory may show what the person may no longer see.
addEventListener("pageshow", (event) => event.persisted && location.reload());

/** The token, or null when it has expired. */
export const bearer = () => (Date.now() < expires ? token : null);

export const can = (...scopes) => scopes.some((scope) => (claims?.scope ?? "").replaceAll("/", ":").split(" ").includes(scope));
export const isOperator = () => can("billing:platform") && !claims?.organization_id;
export const ownOrganization = () => claims?.organization_id ?? null;
export const person = () => claims?.email ?? claims?.username ?? claims?.sub ?? "";
