import { amdGpuCount } from "./amd/count.ts";
import { amdGpuErrors } from "./amd/errors.ts";
import { amdGpuMemory } from "./amd/memory.ts";
import { amdGpuTemperature } from "./amd/temperature.ts";
import { amdGpuThrottling } from "./amd/throttling.ts";
import type { BuiltinCheck } from "./builtin.ts";
import { clockSync } from "./clock.ts";
import { cloudInit } from "./cloud-init.ts";
import { dState } from "./d-state.ts";
import { fileHandles } from "./file-handles.ts";
import { gpuCount } from "./gpu/count.ts";
import { gpuFabric } from "./gpu/fabric.ts";
import { gpuMemory } from "./gpu/memory.ts";
import { gpuNvlink } from "./gpu/nvlink.ts";
import { gpuPcie, gpuPersistence, gpuRecovery } from "./gpu/settings.ts";
import { gpuTemperature } from "./gpu/temperature.ts";
import { gpuThrottling } from "./gpu/throttling.ts";
import { gpuXid } from "./gpu-xid.ts";
import { infinibandPorts } from "./infiniband.ts";
import { kernelLog } from "./kernel-log.ts";
import { kernelModulesLoaded } from "./kernel-modules.ts";
import { mounts } from "./mounts.ts";
import { nvmeWear } from "./nvme-wear.ts";
import { nvswitchSxid } from "./nvswitch-sxid.ts";
import { processTable } from "./process-table.ts";
import { rootDisk } from "./root-disk.ts";
import { smartHealth } from "./smart.ts";
import { zombies } from "./zombies.ts";

/** Every builtin check, by name. A new one is its file and its line here. */
export const builtinChecks: readonly BuiltinCheck[] = [
  amdGpuCount,
  amdGpuErrors,
  amdGpuMemory,
  amdGpuTemperature,
  amdGpuThrottling,
  clockSync,
  cloudInit,
  dState,
  fileHandles,
  gpuCount,
  gpuFabric,
  gpuMemory,
  gpuNvlink,
  gpuPcie,
  gpuPersistence,
  gpuRecovery,
  gpuTemperature,
  gpuThrottling,
  gpuXid,
  infinibandPorts,
  kernelLog,
  kernelModulesLoaded,
  mounts,
  nvmeWear,
  nvswitchSxid,
  processTable,
  rootDisk,
  smartHealth,
  zombies,
];
