import type { Action } from "../verdict.ts";
import { type Level, toAction, toLevel } from "./fields.ts";
import { sxidTable } from "./sxid-table.ts";
import { xidTable } from "./xid-table.ts";

/** What is known about an Xid or SXid. */
export interface ErrorCode {
  readonly code: number;
  readonly level: Level;
  readonly action: Action;
  /** The driver's name of it; empty for SXids. */
  readonly mnemonic: string;
  readonly title: string;
}

export const xids: ReadonlyMap<number, ErrorCode> = parseTable(xidTable);
export const sxids: ReadonlyMap<number, ErrorCode> = parseTable(sxidTable);

function parseTable(table: string): Map<number, ErrorCode> {
  return new Map(table.trim().split("\n").map(parseRow));
}

function parseRow(row: string): [number, ErrorCode] {
  const [code = "", level, action, mnemonic = "", title = ""] = row.split("|");
  return [Number(code), { code: Number(code), level: toLevel(level), action: toAction(action), mnemonic, title }];
}

/** What each action means to who has to do it. */
export const actionTexts: Readonly<Record<Action, string>> = {
  none: "Nothing needs to be done.",
  check_application:
    "Look at the job that ran there: its log, its kernel, its memory accesses. The node itself can go on.",
  check_configuration: "Look at the configuration of the node: services, drivers, versions, settings.",
  check_network: "Look at the link: cable, transceiver, switch port, and the other end.",
  check_storage: "Look at the file server or the disk behind it.",
  free_space: "Make room: delete or move files.",
  reset_gpu:
    "Drain the node, end what uses the GPU, and reset it (nvidia-smi --gpu-reset -i N); reboot where that fails.",
  reboot: "Drain the node and reboot it.",
  inspect_hardware:
    "Take the node out of service and have the hardware looked at: seating, cables, cooling, then replacement.",
  contact_support: "Take the node out of service, collect nvidia-bug-report.sh, and open a case with the vendor.",
};
