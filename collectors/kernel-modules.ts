import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet, gauge } from "./families.ts";
import { detectPath, readText } from "./read.ts";

const loaded = gauge("aami_kernel_module_loaded", "A kernel module that is loaded.");

/** /proc/modules: name, size, users, … a line. For the check kernel_modules; some hundred series that no page needs. */
export const kernelModules = {
  ...defineCollector({
    name: "kernel_modules",
    description: "Loaded kernel modules, for the check kernel_modules.",
    enabledByDefault: true,
    options: Type.Object({}, { additionalProperties: false }),
    create: () => ({
      detect: async ({ procPath }) => detectPath(`${procPath}/modules`, "a kernel without modules"),
      collect: async ({ procPath }) => {
        const set = createFamilySet();
        for (const line of readText(`${procPath}/modules`).split("\n")) {
          const [module = ""] = line.split(" ", 1);
          if (module !== "") set.add(loaded, { module }, 1);
        }
        return set.list();
      },
    }),
  }),
  forChecks: true,
} as const;
