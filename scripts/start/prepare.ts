import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { say } from "../terminal.ts";
import { isLoopback } from "./address.ts";
import { type ControlApi, RefusedError } from "./control-api.ts";

export interface Group {
  readonly id: string;
  readonly path: string;
}

interface Template {
  readonly id: string;
  readonly name: string;
  readonly language: string;
}

interface Policy {
  readonly name: string;
  readonly template_id?: string | null;
}

const namespace = "environment";
const groupName = "local";

/** A group for this node, and one global policy for a shipped check of each language. What is there already stays. */
export async function prepareControlServer(api: ControlApi): Promise<Group> {
  const group = await ensureGroup(api);
  const templates = await api.get<Template[]>("/api/v1/script-templates");
  const policies = await api.get<Policy[]>("/api/v1/script-policies/global");
  for (const language of ["bash", "python"]) {
    const template = templates.find((candidate) => candidate.language === language);
    if (template === undefined) throw new Error(`the control server ships no ${language} check`);
    if (policies.some(({ name, template_id }) => name === template.name || template_id === template.id)) continue;
    say(`applying the shipped ${language} check "${template.name}" to all nodes`);
    await api.post("/api/v1/script-policies", { template_id: template.id, scope: "global" });
  }
  return group;
}

async function ensureGroup(api: ControlApi): Promise<Group> {
  const found = await unlessMissing(api.get<Group>(`/api/v1/groups/resolve?path=${namespace}:${groupName}`));
  if (found !== undefined) return found;
  say(`creating the group ${namespace}:${groupName}`);
  return api.post("/api/v1/groups", { name: groupName, namespace, description: "Nodes started with npm start." });
}

interface RegistrationOptions {
  readonly group: Group;
  readonly tokenFile: string;
  readonly stateDirectory: string;
  /** Where Prometheus is to find the daemon. */
  readonly address: string;
  readonly port: number;
}

/** Puts a new bootstrap token where the daemon looks for one, unless the daemon is registered with this server. */
export async function prepareRegistration(
  api: ControlApi,
  { group, tokenFile, stateDirectory, address, port }: RegistrationOptions,
): Promise<void> {
  const target = await findRegistered(api, join(stateDirectory, "identity.json"));
  if (target !== undefined) return announce(api, target, { address, port });
  say("creating a bootstrap token for this node");
  const { token } = await api.post<{ token: string }>("/api/v1/bootstrap-tokens", {
    name: "npm start",
    default_group_id: group.id,
    max_uses: 1,
  });
  writeSecret(tokenFile, token);
}

interface Target {
  readonly id: string;
  readonly ip_address: string;
  readonly exporters: readonly { readonly id: string; readonly type: string; readonly port: number }[];
}

async function findRegistered(api: ControlApi, identityFile: string): Promise<Target | undefined> {
  if (!existsSync(identityFile)) return undefined;
  const { registration } = JSON.parse(readFileSync(identityFile, "utf8")) as {
    registration?: { nodeId: string };
  };
  if (registration === undefined) return undefined;
  return unlessMissing(api.get<Target>(`/api/v1/targets/${registration.nodeId}`));
}

/** The first time the server may have been there for this machine alone, and the daemon at another port. */
async function announce(
  api: ControlApi,
  { id, ip_address: before, exporters }: Target,
  { address: given, port }: Pick<RegistrationOptions, "address" | "port">,
): Promise<void> {
  const address = isLoopback(before) ? given : before;
  const moved = exporters.map(({ id: _, ...exporter }) =>
    exporter.type === "node_exporter" ? { ...exporter, port } : exporter,
  );
  if (address === before && moved.every((exporter, index) => exporter.port === exporters[index]?.port)) return;
  say(`announcing this machine's daemon at ${address}, port ${port}`);
  await api.put(`/api/v1/targets/${id}`, { ip_address: address, exporters: moved });
}

/** A token that may do nothing but read service discovery, for a Prometheus that someone points at this server. */
export async function ensureDiscoveryToken(api: ControlApi, file: string): Promise<void> {
  if (existsSync(file)) return;
  const { token } = await api.post<{ token: string }>("/api/v1/admin-tokens", {
    name: "prometheus",
    role: "discovery",
  });
  writeSecret(file, token);
}

function writeSecret(file: string, secret: string): void {
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
}

async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RefusedError && error.status === 404) return undefined;
    throw error;
  }
}
