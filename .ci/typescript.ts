// Calls that have to compile, and mistakes that must not.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const billing = createClient<paths>({ baseUrl: "http://127.0.0.1:3000" });
const batch = "application/cloudevents-batch+json";
type Charge = components["schemas"]["ChargeRequest"];
type Events = paths["/v1/usage-events"]["post"]["requestBody"]["content"][typeof batch];

export async function charge(organization_id: string): Promise<string | undefined> {
  const { data } = await billing.POST("/v1/organizations/{organization_id}/charges", {
    params: { path: { organization_id }, header: { "Idempotency-Key": "chatcmpl-1" } },
    body: { amount_usd: "0.01", description: "chat" },
  });
  return data === undefined || !("hash" in data) ? undefined : data.balance_after_usd;
}

export async function report(body: Events): Promise<number[]> {
  const { data } = await billing.POST("/v1/usage-events", { headers: { "Content-Type": batch }, body });
  return data?.results.map((result) => result.status) ?? [];
}

export async function mistakes(organization_id: string, body: Charge): Promise<void> {
  // @ts-expect-error An amount is a string.
  ({ amount_usd: 0.01, description: "chat" }) satisfies Charge;
  // @ts-expect-error A charge needs its key.
  await billing.POST("/v1/organizations/{organization_id}/charges", { params: { path: { organization_id } }, body });
}
