import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { promtoolComplaints } from "../../harness/prometheus.ts";
import { lacks } from "../../harness/requirements.ts";
import { countSeries, startCollector } from "./running-collector.ts";

/** Values that time or this machine decides. */
const volatile = /^(aami_gpu_(last_sample_timestamp|sample_duration)_seconds|aami_gpu_helper_\w+)/;
const profilingFamily = "DCGM_FI_PROF_GR_ENGINE_ACTIVE";
/** A C compiler, helper processes and several rounds, perhaps beside other tests. */
const limitMs = 180_000;
const noPromtool = await lacks("promtool");

const cases = [
  { name: "nvidia-8-h100", script: ["gpus 8"], entities: 8 },
  { name: "nvidia-mig", script: ["gpus 2", "mig 1 3", "xid 1 1 13"], entities: 4 },
] as const;

describe.each(cases)("$name", ({ name, script, entities }) => {
  test(
    "the whole page",
    async () => {
      await using collector = startCollector({ script });
      const isComplete = (page: string): boolean =>
        countSeries(page, profilingFamily) === entities &&
        (!script.some((line) => line.startsWith("xid")) || page.includes("DCGM_FI_DEV_XID_ERRORS{"));
      const page = toGolden(await collector.waitForPage("all GPUs with profiling metrics", isComplete));
      const path = join(import.meta.dir, "../../golden", `${name}.metrics`);
      if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(path, page);
      expect(page.split("\n")).toEqual(existsSync(path) ? readFileSync(path, "utf8").split("\n") : []);
      expect(collector.log.filter(({ level }) => level === "error")).toEqual([]);
    },
    limitMs,
  );

  test.skipIf(noPromtool)("promtool objects to nothing but names that are dcgm-exporter's", async () => {
    const path = join(import.meta.dir, "../../golden", `${name}.metrics`);
    const complaints = await promtoolComplaints(readFileSync(path, "utf8"));
    expect(complaints.filter((complaint) => !complaint.startsWith("DCGM_FI_"))).toEqual([]);
  });
});

function toGolden(page: string): string {
  return page
    .replaceAll(`Hostname="${process.env["NODE_NAME"] || hostname()}"`, 'Hostname="node1"')
    .split("\n")
    .map((line) => (volatile.test(line) ? line.replace(/ \S+$/, " 0") : line))
    .join("\n");
}
