import { Type as t } from "@sinclair/typebox";
import type { Action, Finding } from "../../verdict.ts";
import { count, defineBuiltin } from "../builtin.ts";
import { readable, readGpus } from "./gpus.ts";

const none = t.Object({}, { additionalProperties: false });

export const gpuPersistence = defineBuiltin({
  name: "gpu_persistence",
  description: "Whether the driver keeps the GPUs initialised while nobody uses them.",
  explanation: [
    "Without persistence mode the driver lets go of a GPU when its last user ends: the next job waits seconds for it, " +
      "settings such as power limits are lost, and counters start anew. Run the service nvidia-persistenced, or " +
      "`nvidia-smi -pm 1` until the next reboot.",
  ],
  source: "nvidia",
  intervalSeconds: 300,
  parameters: none,
  grade: ({ samples }) => {
    const gpus = readable(readGpus(samples)).filter(
      ({ value }) => value("aami_gpu_persistence_mode_enabled") !== undefined,
    );
    const findings = gpus.flatMap(({ name: subject, value }): Finding[] => {
      if (value("aami_gpu_persistence_mode_enabled") === 1) return [];
      const remedy = "`nvidia-smi -pm 1` until the next reboot, the service nvidia-persistenced for good.";
      return [
        { status: "warning", subject, summary: "persistence mode is off", action: "check_configuration", remedy },
      ];
    });
    if (gpus.length === 0) return { findings, summary: "", absent: "no GPU that tells its persistence mode" };
    return { findings, summary: `on for ${count(gpus.length, "GPU")}` };
  },
});

/** nvmlDeviceGpuRecoveryAction_t, from 1. */
const recoveries: readonly {
  readonly action: Action;
  readonly words: string;
  readonly status: "warning" | "critical";
}[] = [
  { action: "reset_gpu", words: "the driver asks for a reset", status: "critical" },
  { action: "reboot", words: "the driver asks for a reboot of the node", status: "critical" },
  { action: "reset_gpu", words: "the driver asks for an end of peer-to-peer traffic", status: "warning" },
  { action: "reset_gpu", words: "the driver asks for a reset once the jobs have ended", status: "warning" },
];

export const gpuRecovery = defineBuiltin({
  name: "gpu_recovery",
  description: "What the driver itself asks for to get a GPU back in order.",
  explanation: [
    "Newer drivers say what has to be done after an error: reset the GPU, reboot the node, or let the jobs end first. " +
      "`nvidia-smi -q` shows it as GPU Recovery Action. Xid 154 in the kernel log is the moment at which it changed.",
  ],
  source: "nvidia",
  intervalSeconds: 30,
  parameters: none,
  grade: ({ samples }) => {
    const gpus = readable(readGpus(samples)).filter(({ value }) => value("aami_gpu_recovery_action") !== undefined);
    const findings = gpus.flatMap(({ name: subject, value }): Finding[] => {
      const number = value("aami_gpu_recovery_action") ?? 0;
      if (number === 0) return [];
      const known = recoveries[number - 1];
      if (known !== undefined) return [{ status: known.status, subject, summary: known.words, action: known.action }];
      const summary = `the driver asks for recovery action ${number}`;
      return [{ status: "warning", subject, summary, action: "contact_support" }];
    });
    if (gpus.length === 0) return { findings, summary: "", absent: "no GPU that tells a recovery action" };
    return { findings, summary: `nothing asked for by ${count(gpus.length, "GPU")}` };
  },
});

export const gpuPcie = defineBuiltin({
  name: "gpu_pcie",
  description: "GPUs that use fewer PCIe lanes than they and their slot could.",
  explanation: [
    "A GPU on 8 of 16 lanes moves data at half the speed. The lanes are counted when the link trains, at boot: dust, a " +
      "riser or a cable that is not seated. The generation is not judged, since an idle GPU lowers it to save power.",
  ],
  source: "nvidia",
  intervalSeconds: 300,
  parameters: none,
  grade: ({ samples }) => {
    const gpus = readable(readGpus(samples)).filter(
      ({ value }) =>
        value("aami_gpu_pcie_link_width") !== undefined && value("aami_gpu_pcie_link_width_max") !== undefined,
    );
    const findings = gpus.flatMap(({ name: subject, value }): Finding[] => {
      const [width = 0, most = 0] = [value("aami_gpu_pcie_link_width"), value("aami_gpu_pcie_link_width_max")];
      if (width >= most) return [];
      const summary = `${width} of ${most} PCIe lanes in use`;
      return [{ status: "warning", subject, summary, action: "inspect_hardware" }];
    });
    if (gpus.length === 0) return { findings, summary: "", absent: "no GPU that tells its PCIe lanes" };
    return { findings, summary: `all lanes of ${count(gpus.length, "GPU")} in use` };
  },
});
