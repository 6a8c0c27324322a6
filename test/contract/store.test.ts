import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { sha256Hex } from "../../protocol/keys.ts";
import type { Group } from "../../server/store/groups.ts";
import type { Policy } from "../../server/store/policies.ts";
import type { Store } from "../../server/store/store.ts";
import type { Target } from "../../server/store/targets.ts";
import type { Template } from "../../server/store/templates.ts";
import type { TokenRecord } from "../../server/store/tokens.ts";
import { engines } from "./stores.ts";

const nowMs = 1_790_000_000_123; // needs more than 32 bits
const id = () => Bun.randomUUIDv7();
const everything = { limit: 1000, offset: 0 };
const conflict = expect.objectContaining({ code: "ALREADY_EXISTS" });

const group = (name: string, overrides: Partial<Group> = {}): Group => ({
  id: id(),
  namespace: "logical",
  name,
  path: `logical:${name}`,
  description: "",
  priority: 100,
  metadata: { owner: "ops" },
  created_at: nowMs,
  updated_at: nowMs,
  ...overrides,
});
const token = (overrides: Partial<TokenRecord> = {}): TokenRecord => ({
  id: id(),
  hash: sha256Hex(id()),
  name: "t",
  description: "",
  allowed_groups: [],
  labels: { environment: "production" },
  expires_at: nowMs + 1000,
  max_uses: 2,
  uses: 0,
  created_at: nowMs,
  updated_at: nowMs,
  ...overrides,
});
const target = (hostname: string, groupIds: readonly string[], overrides: Partial<Target> = {}): Target => ({
  id: id(),
  hostname,
  ip_address: "10.0.0.1",
  status: "active",
  labels: { rack: "r1" },
  metadata: {},
  inventory: { memory_bytes: 2 ** 40 },
  group_key: "k",
  group_ids: groupIds,
  exporters: [
    {
      id: id(),
      type: "node_exporter",
      port: 9100,
      enabled: false,
      scheme: "http",
      metrics_path: "/metrics",
      config: {},
    },
  ],
  created_at: nowMs,
  updated_at: nowMs,
  ...overrides,
});
const script = (name: string, content = "echo 1\n") => ({
  name,
  script_type: "x",
  script_content: content,
  language: "bash",
  version: "1",
  hash: sha256Hex(content),
  default_config: { warn: 80 },
  description: "",
  interval_seconds: 60,
  timeout_seconds: 30,
  permissions: {},
});
const template = (name: string, overrides: Partial<Template> = {}): Template => ({
  ...script(name),
  id: id(),
  created_at: nowMs,
  updated_at: nowMs,
  ...overrides,
});
const policy = (name: string, overrides: Partial<Policy> = {}): Policy => ({
  ...script(name),
  id: id(),
  config: {},
  scope: "global",
  priority: 100,
  is_active: true,
  created_at: nowMs,
  updated_at: nowMs,
  ...overrides,
});

describe.each(engines)("store on $name", (engine) => {
  let store: Store;
  let reopen: () => Promise<Store>;
  let discard: () => Promise<void>;

  beforeAll(async () => {
    ({ store, reopen, discard } = await engine.open());
  });
  afterAll(async () => {
    await store.close();
    await discard();
  });

  test("a fresh database is made, an existing one is opened", async () => {
    expect(store.created).toBeTrue();
    await store.close();
    store = await reopen();
    expect(store.created).toBeFalse();
    expect(await store.groups.namespaces()).toHaveLength(3);
    await store.ping();
  });

  test("settings and counters", async () => {
    expect(await store.settings.get("x")).toBeUndefined();
    await store.settings.set("x", "1");
    await store.settings.set("x", "");
    expect(await store.settings.get("x")).toBe("");
    const drawn = await Promise.all(Array.from({ length: 20 }, () => store.settings.next("bundle_version")));
    expect(new Set(drawn).size).toBe(20);
  });

  test("groups: unique path among live rows, subtree moves with a rename", async () => {
    const parent = group("parent");
    const child = group("child", { path: "logical:parent/child", parent_id: parent.id });
    await store.groups.create(parent);
    await store.groups.create(child);
    expect(await store.groups.get(child.id)).toEqual(child);
    await expect(store.groups.create(group("parent"))).rejects.toEqual(conflict);
    await store.groups.update(
      { ...parent, name: "renamed", path: "logical:renamed", priority: 0, description: "" },
      parent.path,
    );
    expect(await store.groups.findByPath("logical:renamed/child")).toMatchObject({ id: child.id });
    expect(await store.groups.get(parent.id)).toMatchObject({ priority: 0 });
    expect(await store.groups.usage(parent.id)).toEqual({ children: 1, targets: 0, policies: 0, tokens: 0 });
    expect((await store.groups.list({ parentId: parent.id }, everything)).items.map((item) => item.id)).toEqual([
      child.id,
    ]);
    expect(await store.groups.getMany([])).toEqual([]);
  });

  test("groups: deleted, made again under the same path, restored only when the path is free, purged", async () => {
    const first = group("twice");
    await store.groups.create(first);
    expect(await store.groups.setDeleted(first.id, nowMs)).toBeTrue();
    expect(await store.groups.setDeleted(first.id, nowMs)).toBeFalse();
    expect(await store.groups.get(first.id)).toBeUndefined();
    const second = group("twice");
    await store.groups.create(second);
    await expect(store.groups.setDeleted(first.id, undefined)).rejects.toEqual(conflict);
    expect(await store.groups.purge(second.id)).toBeFalse();
    expect(await store.groups.purge(first.id)).toBeTrue();
    expect(await store.groups.get(first.id, { deleted: true })).toBeUndefined();
  });

  test("tokens: uses are taken one by one, never past the limit, also at the same time", async () => {
    const wanted = token({ max_uses: 7 });
    await store.tokens.create(wanted);
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => store.tokens.consume(wanted.id, nowMs)));
    expect(outcomes.filter((outcome) => outcome !== undefined)).toHaveLength(7);
    expect((await store.tokens.findByHash(wanted.hash))?.uses).toBe(7);
    await store.tokens.update({ ...wanted, max_uses: 8 });
    expect(await store.tokens.get(wanted.id)).toMatchObject({ uses: 7, max_uses: 8 });
  });

  test("tokens: an edit of what was read before brings back neither an old secret nor a revoked or deleted token", async () => {
    const read = token();
    await store.tokens.create(read);
    const newHash = sha256Hex(id());
    expect(await store.tokens.rotate(read.id, newHash, nowMs)).toBeTrue();
    expect(await store.tokens.revoke(read.id, nowMs + 1)).toBeTrue();
    expect(await store.tokens.revoke(read.id, nowMs + 2)).toBeTrue();
    await store.tokens.update({ ...read, name: "renamed" });
    expect(await store.tokens.get(read.id)).toMatchObject({ name: "renamed", hash: newHash, revoked_at: nowMs + 1 });
    await store.tokens.setDeleted(read.id, nowMs);
    await store.tokens.update(read);
    expect(await store.tokens.get(read.id)).toBeUndefined();
    expect(await store.tokens.revoke(read.id, nowMs)).toBeFalse();
    expect(await store.tokens.rotate(read.id, read.hash, nowMs)).toBeFalse();
  });

  test("targets: an edit of what was read before brings back neither an old key nor a deleted target", async () => {
    const home = group("edited");
    await store.groups.create(home);
    const read = target("edited", [home.id], { public_key: "old", key_id: "old" });
    await store.targets.create(read);
    await store.targets.reregister({ ...read, public_key: "new", key_id: "new", boot_id: "b2" });
    await store.targets.update({ ...read, labels: { rack: "r9" } });
    expect(await store.targets.get(read.id)).toMatchObject({
      public_key: "new",
      key_id: "new",
      boot_id: "b2",
      labels: { rack: "r9" },
    });
    await store.targets.setDeleted(read.id, nowMs);
    await store.targets.update(read);
    expect(await store.targets.get(read.id)).toBeUndefined();
  });

  test.each([
    ["expired", { expires_at: nowMs }],
    ["revoked", { revoked_at: nowMs - 1 }],
    ["used up", { uses: 2 }],
    ["deleted", { deleted_at: nowMs - 1 }],
  ])("tokens: one that is %s gives no use", async (_name, overrides) => {
    const wanted = token(overrides);
    await store.tokens.create(wanted);
    expect(await store.tokens.consume(wanted.id, nowMs)).toBeUndefined();
  });

  test("targets: round trip, filters, pages, counts", async () => {
    const primary = group("primary");
    const secondary = group("secondary");
    await store.groups.create(primary);
    await store.groups.create(secondary);
    const [a, b] = [
      target("a", [primary.id, secondary.id]),
      target("b", [secondary.id], { status: "inactive", labels: { rack: "r2" } }),
    ];
    await store.targets.create(a);
    await store.targets.create(b);
    expect(await store.targets.get(a.id)).toEqual(a);
    await expect(store.targets.create(target("a", [primary.id]))).rejects.toEqual(conflict);
    const names = async (filter: Parameters<Store["targets"]["list"]>[0], page = everything) =>
      (await store.targets.list(filter, page)).items.map(({ hostname }) => hostname);
    expect(await names({})).toEqual(["a", "b"]);
    expect(await names({ groupId: primary.id })).toEqual(["a"]);
    expect(await names({ status: "inactive" })).toEqual(["b"]);
    expect(await names({ labels: { rack: "r2" } })).toEqual(["b"]);
    expect(await names({ exporterType: "dcgm_exporter" })).toEqual([]);
    expect(await names({}, { limit: 1, offset: 1 })).toEqual(["b"]);
    expect((await store.targets.list({}, { limit: 1, offset: 0 })).total).toBe(2);
    expect(await store.targets.countByStatus()).toEqual({ active: 1, inactive: 1, down: 0 });
    await store.targets.update({ ...a, hostname: "c", group_ids: [secondary.id], exporters: [], labels: {} });
    expect(await store.targets.get(a.id)).toMatchObject({
      hostname: "c",
      group_ids: [secondary.id],
      exporters: [],
      labels: {},
    });
  });

  test("targets: heartbeats bring a node back, silence takes it down, hand-made targets are left alone", async () => {
    const known = await store.groups.findByPath("logical:primary");
    const make = async (hostname: string, overrides: Partial<Target>) => {
      const made = target(hostname, [known?.id ?? ""], overrides);
      await store.targets.create(made);
      return made.id;
    };
    const silent = await make("silent", { key_id: "k1", last_seen_at: nowMs - 10_000 });
    const lively = await make("lively", { key_id: "k2", last_seen_at: nowMs });
    const manual = await make("manual", {});
    expect(await store.targets.markDown(nowMs - 5_000)).toEqual([silent]);
    expect((await store.targets.get(manual))?.status).toBe("active");
    await store.targets.recordHeartbeats([
      { targetId: silent, seenAtMs: nowMs, appliedRevision: "1.4" },
      { targetId: lively, seenAtMs: nowMs + 1 },
    ]);
    expect(await store.targets.get(silent)).toMatchObject({
      status: "active",
      last_seen_at: nowMs,
      applied_revision: "1.4",
    });
    expect(await store.targets.recordReport(silent, { state: "applied" }, 2)).toBeTrue();
    expect(await store.targets.recordReport(silent, { state: "failed" }, 2)).toBeFalse();
    expect((await store.targets.get(silent))?.report).toEqual({ state: "applied" });
    await expect(store.targets.create(target("other", [], { key_id: "k1" }))).rejects.toEqual(conflict);
    expect(await store.targets.setDeleted(silent, nowMs)).toBeTrue();
    await make("silent", { key_id: "k1" });
    expect(await store.targets.purge(silent)).toBeTrue();
  });

  test("templates and policies: round trip, zero values stay, scripts are kept by hash", async () => {
    const home = await store.groups.findByPath("logical:primary");
    const first = template("mount");
    await store.templates.create(first);
    expect(await store.templates.findByName("mount")).toEqual(first);
    await expect(store.templates.create(template("mount"))).rejects.toEqual(conflict);
    const [everyone, some] = [
      policy("mount"),
      policy("mount", { scope: "group", group_id: home?.id ?? "", template_id: first.id }),
    ];
    await store.policies.create(everyone);
    await store.policies.create(some);
    expect(await store.policies.get(some.id)).toEqual(some);
    expect(await store.templates.countPolicies(first.id)).toBe(1);
    expect((await store.policies.activeFor([])).map((item) => item.id)).toEqual([everyone.id]);
    expect(await store.policies.activeFor([home?.id ?? ""])).toHaveLength(2);
    const { interval_seconds: _interval, ...rest } = {
      ...everyone,
      ...script("mount", "echo 2\n"),
      priority: 0,
      is_active: false,
      description: "",
      schedule: "* * * * *",
    };
    await store.policies.update(rest);
    expect(await store.policies.get(everyone.id)).toEqual(rest);
    expect(await store.policies.activeFor([])).toEqual([]);
    expect(await store.policies.script(first.hash)).toBe("echo 1\n");
    expect(await store.policies.script(sha256Hex("echo 2\n"))).toBe("echo 2\n");
    expect((await store.policies.list({ scope: "group" }, everything)).total).toBe(1);
    await store.templates.setDeleted(first.id, nowMs);
    expect(await store.templates.purge(first.id)).toBeTrue();
    expect((await store.policies.get(some.id))?.template_id).toBeUndefined();
  });

  test("bundles: the newer one stays", async () => {
    const bundle = {
      group_key: "g",
      epoch: 1,
      version: 5,
      hash: "h",
      content_hash: "c",
      document: "d",
      issued_at: nowMs,
      expires_at: nowMs + 1,
    };
    await store.bundles.put(bundle);
    await store.bundles.put({ ...bundle, version: 4, document: "old" });
    expect(await store.bundles.get("g")).toEqual(bundle);
    await store.bundles.put({ ...bundle, epoch: 2, version: 1 });
    expect((await store.bundles.get("g"))?.epoch).toBe(2);
    await store.bundles.forget("g");
    expect(await store.bundles.get("g")).toBeUndefined();
  });

  test("admin tokens and audit", async () => {
    const admin = { id: id(), name: "ci", role: "viewer" as const, hash: sha256Hex("s"), created_at: nowMs };
    await store.adminTokens.create(admin);
    expect(await store.adminTokens.findByHash(admin.hash)).toEqual(admin);
    expect(await store.adminTokens.revoke(admin.id, nowMs)).toBeTrue();
    expect(await store.adminTokens.revoke(admin.id, nowMs)).toBeFalse();
    const entry = {
      id: id(),
      at: nowMs,
      actor: "admin:ci",
      actor_role: "admin",
      address: "10.0.0.9",
      action: "group.create",
      result: "ok",
      details: { path: "x" },
    };
    await store.audit.append(entry);
    for (const at of [1, 2]) await store.audit.append({ ...entry, id: id(), at });
    const total = async () => (await store.audit.list(everything)).total;
    expect([await store.audit.removeBefore(nowMs, 1), await total()]).toEqual([1, 2]);
    expect([await store.audit.removeBefore(nowMs, 100), await total()]).toEqual([1, 1]);
    expect((await store.audit.list(everything)).items).toEqual([entry]);
  });

  test("a transaction that throws leaves nothing; others neither see nor join it", async () => {
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const doomed = store.transaction(async (tx) => {
      await tx.groups.create(group("doomed"));
      entered.resolve();
      await gate.promise;
      throw new Error("no");
    });
    await entered.promise;
    expect(await store.groups.findByPath("logical:doomed")).toBeUndefined();
    const bystander = store.groups.create(group("bystander"));
    gate.resolve();
    await expect(doomed).rejects.toThrow("no");
    await bystander;
    expect(await store.groups.findByPath("logical:doomed")).toBeUndefined();
    expect(await store.groups.findByPath("logical:bystander")).toBeDefined();
  });
});
