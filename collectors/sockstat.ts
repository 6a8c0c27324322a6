import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet, type FamilySet, gauge } from "./families.ts";
import { parseNumber, splitLines, toMetricName } from "./fields.ts";
import type { Host } from "./host.ts";
import { pageSizeBytes } from "./libc.ts";
import { readAttribute } from "./read.ts";
import { remember } from "./remember.ts";

/** Sockets in use per protocol: /proc/net/sockstat and sockstat6, each absent where its IP version is off. */
export const sockstat = defineCollector({
  name: "sockstat",
  description: "Sockets in use and their memory from /proc/net/sockstat and sockstat6.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      const out = createFamilySet();
      const pageSize = pageSizeBytes();
      for (const file of ["sockstat", "sockstat6"]) {
        addSockstat(out, readAttribute(host, `${host.procPath}/net/${file}`) ?? "", { pageSize, host });
      }
      return out.list();
    },
  }),
});

const states = new Set(["inuse", "orphan", "tw", "alloc", "mem", "memory"]);

interface Reading {
  readonly pageSize: number;
  readonly host: Pick<Host, "skipped">;
}

/** Lines such as `TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1`; `mem` counts pages. */
export function addSockstat(out: FamilySet, text: string, { pageSize, host }: Reading): void {
  for (const line of splitLines(text)) {
    const [head = "", ...words] = line.trim().split(" ");
    const protocol = head.replace(/:$/, "");
    for (let index = 0; index < words.length; index += 2) {
      const state = words[index] ?? "";
      try {
        addState(out, { protocol, state, value: parseNumber(words[index + 1]), pageSize });
      } catch (error) {
        host.skipped(`${protocol} ${state} in sockstat`, error);
      }
    }
  }
}

interface SocketState {
  readonly protocol: string;
  readonly state: string;
  readonly value: number;
  readonly pageSize: number;
}

const used = gauge("node_sockstat_sockets_used", "Number of IPv4 sockets in use.");
const toFamily = remember((text) => {
  const [protocol = "", state = ""] = text.split(" ");
  return gauge(`node_sockstat_${toMetricName(protocol)}_${state}`, `Number of ${protocol} sockets in state ${state}.`);
});

function addState(out: FamilySet, { protocol, state, value, pageSize }: SocketState): void {
  if (protocol === "sockets") {
    if (state === "used") out.add(used, {}, value);
    return;
  }
  if (!states.has(state)) return;
  out.add(toFamily(`${protocol} ${state}`), {}, value);
  if (state === "mem") out.add(toFamily(`${protocol} mem_bytes`), {}, value * pageSize);
}
