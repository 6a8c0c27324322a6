import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { counter, createFamilySet, type FamilyHead, gauge } from "./families.ts";
import { detectPath, listIfPresent, readAttribute, readNumber } from "./read.ts";

const info = gauge(
  "aami_ipmi_interface_info",
  "An interface to a management controller (BMC) that the kernel talks to, value is always 1.",
);

/** Counters that the driver ipmi_si keeps in memory; ipmi_ssif has none. */
const counters: Readonly<Record<string, FamilyHead>> = {
  complete_transactions: counter("aami_ipmi_transactions_total", "Commands that the management controller answered."),
  hosed_count: counter(
    "aami_ipmi_abandoned_transactions_total",
    "Commands given up because the management controller went silent or broke the protocol.",
  ),
  events: counter("aami_ipmi_events_total", "Events that the management controller handed over."),
};

/**
 * Only what the driver knows by itself. The attributes under `device/bmc` (firmware, manufacturer) ask the controller
 * when the last answer is older than 10 s, and wait for a sick one in state D.
 */
export const ipmi = defineCollector({
  name: "ipmi",
  description: "Interfaces to management controllers (IPMI) from /sys/class/ipmi.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async ({ sysPath }) =>
      detectPath(`${sysPath}/class/ipmi`, "no IPMI interface, or the module ipmi_devintf is not loaded"),
    collect: async (host): Promise<MetricFamily[]> => {
      const families = createFamilySet();
      const folder = `${host.sysPath}/class/ipmi`;
      for (const name of listIfPresent(folder)) {
        const path = `${folder}/${name}/device`;
        families.add(info, { interface: name, type: readAttribute(host, `${path}/type`) ?? "" }, 1);
        for (const [attribute, family] of Object.entries(counters)) {
          families.add(family, { interface: name }, readNumber(host, `${path}/${attribute}`));
        }
      }
      return families.list();
    },
  }),
});
