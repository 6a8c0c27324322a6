import { existsSync } from "node:fs";
import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { askNetlink, netlinkFamily, type NetlinkMessage } from "./netlink.ts";

/** TCP sockets by state and the bytes they queue, by inet_diag, sock_diag(7). */
export const tcpstat = defineCollector({
  name: "tcpstat",
  description: "TCP connections by state and their queued bytes.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async ({ procPath }) => {
      const sockets = readSockets(AF_INET);
      if (existsSync(`${procPath}/net/tcp6`)) sockets.push(...readSockets(AF_INET6));
      const out = createFamilySet();
      for (const [state, value] of countStates(sockets)) {
        out.gauge("node_tcp_connection_states", "Number of connection states.", value, { state });
      }
      return out.list();
    },
  }),
});

const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO_TCP = 6;
const SOCK_DIAG_BY_FAMILY = 20;
const allStates = 0xfff;

function readSockets(family: number): NetlinkMessage[] {
  // struct inet_diag_req_v2: family, protocol, extensions, padding, states, and an empty socket id for "all"
  const payload = Buffer.alloc(56);
  payload[0] = family;
  payload[1] = IPPROTO_TCP;
  payload.writeUInt32LE(allStates, 4);
  return askNetlink({ family: netlinkFamily.inetDiag, type: SOCK_DIAG_BY_FAMILY, payload });
}

/** From TCP_ESTABLISHED = 1 on, include/net/tcp_states.h. */
const stateNames = [
  ...["unknown", "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait"],
  ...["close", "close_wait", "last_ack", "listen", "closing"],
];

/** struct inet_diag_msg: the state at 1, the queues at 56 and 60. */
export function countStates(sockets: readonly Pick<NetlinkMessage, "payload">[]): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (name: string, amount: number): void => void counts.set(name, (counts.get(name) ?? 0) + amount);
  for (const { payload } of sockets) {
    add("rx_queued_bytes", payload.readUInt32LE(56));
    add("tx_queued_bytes", payload.readUInt32LE(60));
    add(stateNames[payload[1] ?? 0] ?? "unknown", 1);
  }
  return counts;
}
