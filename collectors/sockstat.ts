import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet, type FamilyHead, type FamilySet, gauge } from "./families.ts";
import { parseNumber, toMetricName } from "./fields.ts";
import type { Host } from "./host.ts";
import { createNamedLines } from "./named-lines.ts";
import { pageSizeBytes } from "./libc.ts";
import { readAttribute } from "./read.ts";
import { remember } from "./remember.ts";

/** Sockets in use per protocol: /proc/net/sockstat and sockstat6, each absent where its IP version is off. */
export const sockstat = defineCollector({
  name: "sockstat",
  description: "Sockets in use and their memory from /proc/net/sockstat and sockstat6.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => {
    const readers = ["sockstat", "sockstat6"].map((file) => ({
      file,
      readStates: createNamedLines(/^([^:]+): /, toProtocol),
    }));
    return {
      collect: async (host) => {
        const out = createFamilySet();
        for (const { file, readStates } of readers) {
          const text = readAttribute(host, `${host.procPath}/net/${file}`) ?? "";
          readStates(text, (protocol, states) => addStates(out, protocol, states, host));
        }
        return out.list();
      },
    };
  },
});

const used = gauge("node_sockstat_sockets_used", "Number of IPv4 sockets in use.");
const published = new Set(["inuse", "orphan", "tw", "alloc", "mem", "memory"]);

interface Series {
  readonly family: FamilyHead;
  readonly factor: number;
}

interface Protocol {
  readonly name: string;
  /** What is published of a state. */
  readonly seriesOf: (state: string) => readonly Series[];
}

function toProtocol(name: string): Protocol {
  if (name === "sockets") return { name, seriesOf: (state) => (state === "used" ? [{ family: used, factor: 1 }] : []) };
  const toSeries = (state: string, factor: number): Series => ({
    family: gauge(`node_sockstat_${toMetricName(name)}_${state}`, `Number of ${name} sockets in state ${state}.`),
    factor,
  });
  const seriesOf = remember((state) => {
    if (!published.has(state)) return [];
    // Pages.
    const bytes = state === "mem" ? [toSeries("mem_bytes", pageSizeBytes())] : [];
    return [toSeries(state, 1), ...bytes];
  });
  return { name, seriesOf };
}

/** Of a line such as `TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1`. */
function addStates(out: FamilySet, { name, seriesOf }: Protocol, states: string, host: Pick<Host, "skipped">): void {
  const words = states.split(" ");
  for (let index = 0; index < words.length; index += 2) {
    const state = words[index] ?? "";
    try {
      for (const { family, factor } of seriesOf(state)) out.add(family, {}, parseNumber(words[index + 1]) * factor);
    } catch (error) {
      host.skipped(`${name} ${state} in sockstat`, error);
    }
  }
}
