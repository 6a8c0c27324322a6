import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Finding } from "../../verdict.ts";
import { count, defineBuiltin, timeOf } from "../builtin.ts";
import { type Gpu, readable, readGpus } from "./gpus.ts";

const Memory = t.Record(t.String(), t.Number());
const completed = 3;

/** nvmlGpuFabricInfo's health mask: two bits each, of which 1 says yes; the configuration has four, and 1 is right. */
const healthBits = [
  { shift: 0, status: "warning", words: "the bandwidth of the fabric is degraded" },
  { shift: 2, status: "warning", words: "a route is being recovered" },
  { shift: 4, status: "critical", words: "a route is unhealthy" },
  { shift: 6, status: "critical", words: "the fabric does not answer in time" },
] as const;
const configuration = { shift: 8, mask: 0xf, right: 1 };

export const gpuFabric = defineBuiltin({
  name: "gpu_fabric",
  description: "Whether the GPUs of an NVSwitch machine have joined the fabric, and its health.",
  explanation: [
    "On machines with NVSwitches CUDA does not start until every GPU has joined the fabric, which the service " +
      "nvidia-fabricmanager sees to (on NVLink 5 machines together with the manager of the switches). Its version has to " +
      "be the driver's: `systemctl status nvidia-fabricmanager` and /var/log/fabricmanager.log say what is wrong.",
  ],
  source: "nvidia",
  intervalSeconds: 60,
  parameters: t.Object(
    {
      joining_seconds: t.Number({
        default: 600,
        minimum: 0,
        description: "Time that joining may take after the start.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, memory, nowSeconds }) => {
    const before = Value.Check(Memory, memory) ? memory : {};
    const gpus = readable(readGpus(samples)).filter(({ value }) => (value("aami_gpu_fabric_state") ?? 0) > 0);
    if (gpus.length === 0) return { findings: [], summary: "", absent: "no GPU on an NVSwitch fabric" };
    const outside = gpus.filter(({ value }) => value("aami_gpu_fabric_state") !== completed);
    const waiting = Object.fromEntries(outside.map(({ uuid }) => [uuid, before[uuid] ?? nowSeconds]));
    const findings = gpus.flatMap((gpu): Finding[] => {
      const since = waiting[gpu.uuid];
      if (since === undefined) return joined(gpu);
      if (nowSeconds - since < parameters.joining_seconds) return [];
      const summary = `outside the fabric since ${timeOf(since)}`;
      return [{ status: "critical", subject: gpu.name, summary, action: "check_configuration" }];
    });
    return { findings, summary: `${count(gpus.length - outside.length, "GPU")} on the fabric`, memory: waiting };
  },
});

function joined({ name: subject, value }: Gpu): Finding[] {
  const status = value("aami_gpu_fabric_status") ?? 0;
  if (status !== 0) {
    const summary = `joining the fabric has failed (NVML code ${status})`;
    return [{ status: "critical", subject, summary, action: "reboot" }];
  }
  const mask = value("aami_gpu_fabric_health_mask") ?? 0;
  const health = healthBits.flatMap(({ shift, status: each, words }): Finding[] =>
    ((mask >> shift) & 3) === 1 ? [{ status: each, subject, summary: words, action: "reboot" }] : [],
  );
  const setting = (mask >> configuration.shift) & configuration.mask;
  if (setting <= configuration.right) return health;
  const summary = `its configuration in the fabric is wrong (${setting})`;
  return [...health, { status: "critical", subject, summary, action: "check_configuration" }];
}
