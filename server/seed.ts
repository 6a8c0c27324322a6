import type { Logger } from "../runtime/log.ts";
import { checkScript, createScript, type NewScript } from "./domain/script.ts";
import { fallbackGroup } from "./registration.ts";
import { createGroup } from "./routes/groups.ts";
import type { Store } from "./store/store.ts";

export type ShippedTemplate = NewScript;

interface SeedOptions {
  readonly store: Store;
  readonly templates: readonly ShippedTemplate[];
  readonly now: () => number;
  readonly log: Logger;
}

/**
 * The group of last resort, and the shipped checks as templates. Each is made once: what an admin edits or deletes
 * stays edited or deleted.
 */
export async function seedDefaults({ store, templates, now, log }: SeedOptions): Promise<void> {
  const [namespace = "", name = ""] = fallbackGroup.split(":");
  const once = async (key: string, work: (tx: Parameters<Parameters<Store["transaction"]>[0]>[0]) => Promise<void>) =>
    store.transaction(async (tx) => {
      if ((await tx.settings.get(`seed:${key}`)) !== undefined) return;
      await work(tx);
      await tx.settings.set(`seed:${key}`, String(now()));
      log.info("added a default", { default: key });
    });
  await once(`group ${fallbackGroup}`, async (tx) => {
    if ((await tx.groups.findByPath(fallbackGroup)) !== undefined) return;
    const description = "Nodes that name no group and whose token names none.";
    await tx.groups.create(createGroup({ namespace, name, parent: undefined, description, nowMs: now() }));
  });
  for (const input of templates) {
    await once(`template ${input.name}`, async (tx) => {
      const script = createScript(input);
      checkScript(script, script.default_config);
      if ((await tx.templates.findByName(script.name)) !== undefined) return;
      await tx.templates.create({ ...script, id: Bun.randomUUIDv7(), created_at: now(), updated_at: now() });
    });
  }
}
