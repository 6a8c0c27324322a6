import { expect, test } from "bun:test";
import { nvmesubsystem } from "../../collectors/nvmesubsystem.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const path = "sys/class/nvme-subsystem/nvme-subsys0";
const array = {
  [`${path}/subsysnqn`]: "nqn.2026-01.org.example:array\n",
  [`${path}/model`]: "Array 9\n",
  [`${path}/serial`]: "S9\n",
  [`${path}/iopolicy`]: "round-robin\n",
  [`${path}/nvme0/state`]: "live\n",
  [`${path}/nvme0/transport`]: "tcp\n",
  [`${path}/nvme1/state`]: "deleting (no IO)\n",
  [`${path}/nvme1/transport`]: "rdma\n",
  [`${path}/nvme0n1/size`]: "8\n",
};

test("nvmesubsystem: paths by state", async () => {
  const { series } = await collectFrom(nvmesubsystem, array);
  const labels = 'iopolicy="round-robin",model="Array 9",nqn="nqn.2026-01.org.example:array",serial="S9"';
  expect(series).toContain(`node_nvmesubsystem_info{${labels},subsystem="nvme-subsys0"} 1`);
  expect(series).toContain('node_nvmesubsystem_namespace_info{device="nvme0n1",subsystem="nvme-subsys0"} 1');
  expect(series).toContain('node_nvmesubsystem_paths{subsystem="nvme-subsys0"} 2');
  expect(series).toContain('node_nvmesubsystem_paths_live{subsystem="nvme-subsys0"} 1');
  expect(series.filter((line) => line.startsWith("node_nvmesubsystem_path_state") && line.endsWith(" 1"))).toEqual([
    'node_nvmesubsystem_path_state{controller="nvme0",state="live",subsystem="nvme-subsys0",transport="tcp"} 1',
    'node_nvmesubsystem_path_state{controller="nvme1",state="deleting",subsystem="nvme-subsys0",transport="rdma"} 1',
  ]);
  expect(series).toHaveLength(4 + 2 * 7);
});

test("nvmesubsystem: a path whose state cannot be read is not counted as lost", async () => {
  const { series, skipped } = await collectFrom(nvmesubsystem, { ...array, [`${path}/nvme1/state`]: unreadable });
  expect(series.some((line) => line.startsWith("node_nvmesubsystem_paths_live"))).toBe(false);
  expect(series).toContain('node_nvmesubsystem_paths{subsystem="nvme-subsys0"} 2');
  expect(skipped).toEqual([`${path}/nvme1/state`]);
});

test.each([
  ["resetting", "resetting"],
  ["something new", "unknown"],
])("nvmesubsystem: the state %p is %p", async (raw, state) => {
  const { series } = await collectFrom(nvmesubsystem, { ...array, [`${path}/nvme0/state`]: `${raw}\n` });
  expect(series.some((line) => line.includes(`"nvme0",state="${state}"`) && line.endsWith(" 1"))).toBe(true);
});
