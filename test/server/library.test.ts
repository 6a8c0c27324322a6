import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../runtime/log.ts";
import { shippedTemplates } from "../../server/library.ts";
import { seedDefaults } from "../../server/seed.ts";
import { openStore } from "../../server/store/store.ts";

test("the shipped checks become templates once; edits and deletions stay", async () => {
  const folder = mkdtempSync(join(tmpdir(), "aami-seed-"));
  const store = await openStore(`sqlite://${join(folder, "server.db")}`);
  try {
    const seed = () => seedDefaults({ store, templates: shippedTemplates, now: Date.now, log: silentLogger });
    const names = async () => (await store.templates.list({ limit: 100, offset: 0 })).items.map(({ name }) => name);
    await seed();
    expect(await names()).toEqual(["disk_usage", "mount_points"]);
    const mounts = await store.templates.findByName("mount_points");
    const usage = await store.templates.findByName("disk_usage");
    expect(mounts?.script_content).toContain("mount_check");
    await store.templates.setDeleted(mounts?.id ?? "", Date.now());
    if (usage !== undefined) await store.templates.update({ ...usage, description: "edited" });
    await seed();
    expect(await names()).toEqual(["disk_usage"]);
    expect((await store.templates.findByName("disk_usage"))?.description).toBe("edited");
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
