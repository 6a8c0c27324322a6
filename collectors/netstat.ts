import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet, type FamilySet } from "./families.ts";
import { parseNumber, splitFields, toMetricName } from "./fields.ts";
import type { Host } from "./host.ts";
import { compilePattern } from "./pattern.ts";
import { readAttribute } from "./read.ts";

const defaultFields =
  "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)" +
  "|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)" +
  "|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)" +
  "|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";

/** Network protocol counters: /proc/net/netstat and snmp (a line of names, a line of values), snmp6 (name and value). */
export const netstat = defineCollector({
  name: "netstat",
  description: "IP, ICMP, TCP and UDP statistics from /proc/net/netstat, snmp and snmp6.",
  enabledByDefault: true,
  options: Type.Object(
    {
      fields: Type.String({
        default: defaultFields,
        flag: "collector.netstat.fields",
        description: "Regexp of the fields to publish, as PROTOCOL_FIELD.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ fields }) => {
    const select = createFieldSelector(fields);
    return {
      collect: async (host) => {
        const out = createFamilySet();
        const [netstat, snmp, snmp6] = ["netstat", "snmp", "snmp6"].map((file) =>
          readAttribute(host, `${host.procPath}/net/${file}`),
        );
        if (netstat === undefined && snmp === undefined) throw new Error("no net/netstat and no net/snmp");
        addPairs(out, netstat ?? "", { select, host });
        addPairs(out, snmp ?? "", { select, host });
        // Not there where IPv6 is off.
        addSnmp6(out, snmp6 ?? "", { select, host });
        return out.list();
      },
    };
  },
});

interface Field {
  readonly index: number;
  readonly name: string;
  readonly help: string;
}

interface FieldSelector {
  /** The wanted columns under a header line, which is the same at every scrape and so matched only once. */
  columns(header: string): readonly Field[];
  /** One wanted field, or undefined. */
  field(protocol: string, field: string, index?: number): Field | undefined;
}

export function createFieldSelector(pattern: string): FieldSelector {
  const wanted = compilePattern(pattern, "--collector.netstat.fields");
  const columnsOf = new Map<string, readonly Field[]>();
  const fieldOf = new Map<string, Field | undefined>();
  const field = (protocol: string, column: string, index = 0): Field | undefined => {
    const key = `${protocol}_${column}`;
    if (!fieldOf.has(key)) {
      const found = { index, name: `node_netstat_${toMetricName(key)}`, help: `Statistic ${protocol}${column}.` };
      fieldOf.set(key, wanted.test(key) ? found : undefined);
    }
    return fieldOf.get(key);
  };
  return {
    field,
    columns: (header) => {
      let columns = columnsOf.get(header);
      if (columns === undefined) {
        const [protocol = "", ...names] = header.split(" ");
        columns = names
          .map((name, index) => field(protocol.slice(0, -1), name, index + 1))
          .filter((column) => column !== undefined);
        columnsOf.set(header, columns);
      }
      return columns;
    },
  };
}

interface Reading {
  readonly select: FieldSelector;
  readonly host: Pick<Host, "skipped">;
}

export function addPairs(out: FamilySet, text: string, { select, host }: Reading): void {
  const lines = text.split("\n");
  for (let line = 0; line + 1 < lines.length; line += 2) {
    const columns = select.columns(lines[line] ?? "");
    if (columns.length === 0) continue;
    const values = (lines[line + 1] ?? "").split(" ");
    for (const { name, help, index } of columns) {
      try {
        out.untyped(name, help, parseNumber(values[index]));
      } catch (error) {
        host.skipped(name, error);
      }
    }
  }
}

export function addSnmp6(out: FamilySet, text: string, { select, host }: Reading): void {
  for (const line of text.split("\n")) {
    // "Ip6InReceives  42": the protocol ends with its 6.
    const six = line.indexOf("6");
    if (six < 0) continue;
    const [key = "", value] = splitFields(line);
    const field = select.field(key.slice(0, six + 1), key.slice(six + 1));
    if (field === undefined) continue;
    try {
      out.untyped(field.name, field.help, parseNumber(value));
    } catch (error) {
      host.skipped(field.name, error);
    }
  }
}
