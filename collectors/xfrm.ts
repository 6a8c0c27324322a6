import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { parseNumber, splitFields, splitLines } from "./fields.ts";
import type { Host } from "./host.ts";
import { detectPath, readText } from "./read.ts";

/** IPsec errors, Documentation/networking/xfrm_proc.rst; needs CONFIG_XFRM_STATISTICS. */
export const xfrm = defineCollector({
  name: "xfrm",
  description: "IPsec transformation errors from /proc/net/xfrm_stat.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async ({ procPath }) => detectPath(`${procPath}/net/xfrm_stat`, "no IPsec statistics in the kernel"),
    collect: async (host) => parseXfrm(readText(`${host.procPath}/net/xfrm_stat`), host),
  }),
});

/** Help texts by the kernel's name; ours is the same in snake case. */
const counters = new Map([
  ["InError", "All errors not matched by other"],
  ["InBufferError", "No buffer is left"],
  ["InHdrError", "Header error"],
  ["InNoStates", "No state is found i.e. Either inbound SPI, address, or IPsec protocol at SA is wrong"],
  ["InStateProtoError", "Transformation protocol specific error e.g. SA key is wrong"],
  ["InStateModeError", "Transformation mode specific error"],
  ["InStateSeqError", "Sequence error i.e. Sequence number is out of window"],
  ["InStateExpired", "State is expired"],
  ["InStateMismatch", "State has mismatch option e.g. UDP encapsulation type is mismatch"],
  ["InStateInvalid", "State is invalid"],
  ["InTmplMismatch", "No matching template for states e.g. Inbound SAs are correct but SP rule is wrong"],
  ["InNoPols", "No policy is found for states e.g. Inbound SAs are correct but no SP is found"],
  ["InPolBlock", "Policy discards"],
  ["InPolError", "Policy error"],
  ["OutError", "All errors which is not matched others"],
  ["OutBundleGenError", "Bundle generation error"],
  ["OutBundleCheckError", "Bundle check error"],
  ["OutNoStates", "No state is found"],
  ["OutStateProtoError", "Transformation protocol specific error"],
  ["OutStateModeError", "Transformation mode specific error"],
  ["OutStateSeqError", "Sequence error i.e. Sequence number overflow"],
  ["OutStateExpired", "State is expired"],
  ["OutPolBlock", "Policy discards"],
  ["OutPolDead", "Policy is dead"],
  ["OutPolError", "Policy error"],
  ["FwdHdrError", "Forward routing of a packet is not allowed"],
  ["OutStateInvalid", "State is invalid, perhaps expired"],
  ["AcquireError", "State hasn’t been fully acquired before use"],
]);

export function parseXfrm(text: string, host: Pick<Host, "skipped">): MetricFamily[] {
  const out = createFamilySet();
  for (const line of splitLines(text)) {
    const [field = "", value] = splitFields(line);
    const name = field.replace(/^Xfrm/, "");
    const help = counters.get(name);
    if (help === undefined) continue;
    const snakeCase = name.replace(/(?!^)[A-Z]/g, "_$&").toLowerCase();
    try {
      out.counter(`node_xfrm_${snakeCase}_packets_total`, help, parseNumber(value));
    } catch (error) {
      host.skipped(`${field} in xfrm_stat`, error);
    }
  }
  return out.list();
}
