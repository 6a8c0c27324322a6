import type { ErrorCode } from "./catalogue.ts";
import { nvlinkTable } from "./nvlink-table.ts";
import { toAction, toLevel } from "./fields.ts";

/** What an error of NVLink 5 (Xid 144 to 150) means, by the two words that the driver writes in brackets. */
export interface NvlinkRule extends Pick<ErrorCode, "code" | "level" | "action"> {
  /** Stands for this meaning of the code: "NETIR_LINK_DOWN.4.critical". */
  readonly id: string;
  readonly unit: string;
  readonly subcode: number;
  /** Where to look; empty when the catalogue names nothing. */
  readonly hint: string;
  /** Of the second word: a sub-code may mean one thing with one of them and another with the next. */
  readonly statuses: readonly number[];
}

interface Row extends NvlinkRule {
  readonly firstLayout: number;
  readonly secondLayout: number;
}

const rows: readonly Row[] = nvlinkTable.trim().split("\n").map(parseRow);

function parseRow(row: string): Row {
  const [code = "", unit = "", first = "", second = "", subcode = "", statuses = "", level, action, hint = ""] =
    row.split("|");
  return {
    id: `${unit}.${subcode}.${level}`,
    code: Number(code),
    unit,
    subcode: Number(subcode),
    level: toLevel(level),
    action: toAction(action),
    hint,
    firstLayout: Number.parseInt(first, 16),
    secondLayout: Number.parseInt(second, 16),
    statuses: statuses.split(",").map((status) => Number.parseInt(status, 16)),
  };
}

/** Both words as they are in the log, "0x004505c6"; undefined for what the catalogue does not have. */
export function findNvlinkRule(code: number, info: string, status: string): NvlinkRule | undefined {
  const word = Number(info);
  const subcode = (word >> 20) & 0x3f;
  // No first-layout number of a code ends like one of its second layout, so the layout need not be known.
  const isUnit = (row: Row): boolean => row.firstLayout === (word & 0x3ff) || row.secondLayout === (word & 0x7f);
  return rows.find(
    (row) => row.code === code && isUnit(row) && row.subcode === subcode && row.statuses.includes(Number(status)),
  );
}

export function nvlinkRuleById(code: number, id: string): NvlinkRule | undefined {
  return rows.find((row) => row.code === code && row.id === id);
}

export function nvlinkRulesOf(code: number): readonly NvlinkRule[] {
  return rows.filter((row) => row.code === code);
}
