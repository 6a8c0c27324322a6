import { Type as t } from "@sinclair/typebox";
import type { Finding } from "../verdict.ts";
import { count, defineBuiltin } from "./builtin.ts";

export const kernelModulesLoaded = defineBuiltin({
  name: "kernel_modules",
  description:
    "Whether the kernel modules that this node needs are loaded. Judges nothing until `required` names some.",
  explanation: [
    "A module of the list is not in /proc/modules. After a kernel upgrade a DKMS module (nvidia, lustre) may not have " +
      "been built for the new kernel: `dkms status`, then `modprobe NAME` and the kernel log say why it does not load.",
    "A driver that is built into the kernel is no module and never in the list.",
  ],
  source: "kernel_modules",
  intervalSeconds: 60,
  parameters: t.Object(
    {
      required: t.Array(t.String({ pattern: "^[A-Za-z0-9_-]+$", expects: "the name of a module" }), {
        default: [],
        description: "Modules that have to be loaded, for example nvidia, nvidia_peermem, mlx5_ib.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters: { required }, samples }) => {
    if (required.length === 0) return { findings: [], summary: "", absent: "no module is required" };
    // The kernel writes _ where modprobe also takes -.
    const loaded = new Set(samples("aami_kernel_module_loaded").map(({ labels }) => labels["module"]));
    const missing = required.filter((name) => !loaded.has(name.replaceAll("-", "_")));
    const findings = missing.map((subject): Finding => ({
      status: "critical",
      subject,
      summary: "the module is not loaded",
      action: "check_configuration",
      remedy:
        "Load it (`modprobe NAME`), and at every start by its name in /etc/modules-load.d; `dmesg` and `dkms status` " +
        "say why it cannot be loaded.",
    }));
    return { findings, summary: `${count(required.length, "required module")} loaded` };
  },
});
