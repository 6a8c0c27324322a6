import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { readNumber } from "./read.ts";

/** The kernel's random number generator, see random(4). */
export const entropy = defineCollector({
  name: "entropy",
  description: "Available entropy and pool size of the kernel's random number generator.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      const out = createFamilySet();
      const read = (file: string) => readNumber(host, `${host.procPath}/sys/kernel/random/${file}`);
      out.gauge("node_entropy_available_bits", "Bits of available entropy.", read("entropy_avail"));
      out.gauge("node_entropy_pool_size_bits", "Bits of entropy pool.", read("poolsize"));
      const families = out.list();
      if (families.length === 0) throw new Error("neither entropy_avail nor poolsize");
      return families;
    },
  }),
});
