import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet, type FamilyHead, type FamilySet, untyped } from "./families.ts";
import { parseNumber, toMetricName } from "./fields.ts";
import type { Host } from "./host.ts";
import { createNamedLines } from "./named-lines.ts";
import { compilePattern } from "./pattern.ts";
import { readAttribute } from "./read.ts";
import { remember } from "./remember.ts";

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
    const readSnmp6 = createNamedLines(/^(\S+)\s/, select.snmp6);
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
        readSnmp6(snmp6 ?? "", (family, value) => add(out, family, value, host));
        return out.list();
      },
    };
  },
});

interface Column {
  readonly index: number;
  readonly family: FamilyHead;
}

/** What is wanted of a file whose names are the same at every scrape, so that each is matched once. */
interface FieldSelector {
  /** The wanted columns under a header line. */
  columns(header: string): readonly Column[];
  /** The family of a name of snmp6 that is wanted: "Ip6InReceives", whose protocol ends with its 6. */
  snmp6(name: string): FamilyHead | undefined;
}

function createFieldSelector(pattern: string): FieldSelector {
  const wanted = compilePattern(pattern, "--collector.netstat.fields");
  const select = (protocol: string, field: string): FamilyHead | undefined => {
    const key = `${protocol}_${field}`;
    if (!wanted.test(key)) return undefined;
    return untyped(`node_netstat_${toMetricName(key)}`, `Statistic ${protocol}${field}.`);
  };
  return {
    columns: remember((header) => {
      const [protocol = "", ...names] = header.split(" ");
      return names.flatMap((name, index) => {
        const family = select(protocol.slice(0, -1), name);
        return family === undefined ? [] : [{ family, index: index + 1 }];
      });
    }),
    snmp6: (name) => {
      const six = name.indexOf("6");
      return six < 0 ? undefined : select(name.slice(0, six + 1), name.slice(six + 1));
    },
  };
}

interface Reading {
  readonly select: FieldSelector;
  readonly host: Pick<Host, "skipped">;
}

function addPairs(out: FamilySet, text: string, { select, host }: Reading): void {
  const lines = text.split("\n");
  for (let line = 0; line + 1 < lines.length; line += 2) {
    const columns = select.columns(lines[line] ?? "");
    if (columns.length === 0) continue;
    const values = (lines[line + 1] ?? "").split(" ");
    for (const { family, index } of columns) add(out, family, values[index], host);
  }
}

function add(out: FamilySet, family: FamilyHead, value: string | undefined, host: Pick<Host, "skipped">): void {
  try {
    out.add(family, {}, parseNumber(value));
  } catch (error) {
    host.skipped(family.name, error);
  }
}
