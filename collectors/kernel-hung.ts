import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import type { Host } from "./host.ts";
import { parseNumber } from "./fields.ts";
import { detectPath, readText } from "./read.ts";

const pathOf = ({ procPath }: Host): string => `${procPath}/sys/kernel/hung_task_detect_count`;

/** Tasks that the kernel found stuck, Documentation/admin-guide/sysctl/kernel.rst; since Linux 6.13. */
export const kernelHung = defineCollector({
  name: "kernel_hung",
  description: "Number of tasks that the kernel detected as hung.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async (host) => detectPath(pathOf(host), "no hung_task_detect_count (Linux 6.13)"),
    collect: async (host) => {
      const out = createFamilySet();
      const help = "Total number of tasks that have been detected as hung since the system booted.";
      out.counter("node_kernel_hung_tasks_total", help, parseNumber(readText(pathOf(host))));
      return out.list();
    },
  }),
});
