import { expect, test } from "bun:test";
import { drbd } from "../../collectors/drbd.ts";
import { collectFrom } from "./fixture-host.ts";

const text = `version: 8.4.3 (api:1/proto:86-101)
srcversion: 1A9F77B1CA5FF92235C2213
 1: cs:Connected ro:Primary/Secondary ds:UpToDate/Inconsistent C r-----
    ns:10 nr:20 dw:1 dr:0 al:18 lo:nought ep:1 wo:b oos:4
 2: cs:WFConnection ro:Secondary/Unknown ds:UpToDate/DUnknown C r-----
`;

test("numbers in bytes, states by node; what is no number costs one series", async () => {
  const { series, skipped } = await collectFrom(drbd, { "proc/drbd": text });
  expect(series).toContain('node_drbd_network_sent_bytes_total{device="drbd1"} 10240');
  expect(series).toContain('node_drbd_network_received_bytes_total{device="drbd1"} 20');
  expect(series).toContain('node_drbd_out_of_sync_bytes{device="drbd1"} 4096');
  expect(series.filter((line) => line.includes("drbd_disk_state") || line.includes("connected"))).toEqual([
    'node_drbd_connected{device="drbd1"} 1',
    'node_drbd_connected{device="drbd2"} 0',
    'node_drbd_disk_state_is_up_to_date{device="drbd1",node="local"} 1',
    'node_drbd_disk_state_is_up_to_date{device="drbd1",node="remote"} 0',
    'node_drbd_disk_state_is_up_to_date{device="drbd2",node="local"} 1',
    'node_drbd_disk_state_is_up_to_date{device="drbd2",node="remote"} 0',
  ]);
  expect(series.some((line) => line.includes("local_pending"))).toBeFalse();
  expect(skipped).toEqual(["drbd drbd1 lo"]);
});

test("absent without the module", async () => {
  expect((await collectFrom(drbd, {})).state).toBe("absent");
});
