import type { Finding } from "../../verdict.ts";
import { count, type GradeInput } from "../builtin.ts";
import type { Gpu } from "./gpus.ts";

type Companion = GradeInput<unknown>["companion"];

const family = "aami_gpu_pci_device_info";
/** Others (vfio-pci, nouveau) have a GPU for a virtual machine or a screen. */
const ourDriver = "nvidia";
/** The driver starts one GPU after the other, and the first reading takes a while. */
const startSeconds = 90;

/** By PCI address, as the kernel log writes it: since when a GPU is plugged in and not among those of the driver. */
export type Waiting = Readonly<Record<string, number>>;

export function observeWaiting(
  before: Waiting,
  gpus: readonly Gpu[],
  { companion, nowSeconds }: { readonly companion: Companion; readonly nowSeconds: number },
): Waiting {
  const known = new Set(gpus.map(({ pciBusId }) => pciBusId));
  const addresses = companion(family)
    .filter(({ labels }) => labels["driver"] === ourDriver)
    .map(({ labels }) => (labels["pci_bus_id"] ?? "").replace(/\.\d$/, ""))
    .filter((address) => !known.has(address));
  return Object.fromEntries(addresses.map((address) => [address, before[address] ?? nowSeconds]));
}

/** GPUs whose initialisation has failed. The PCI bus names them; the driver at most knows how many there are. */
export function unstarted(waiting: Waiting, nowSeconds: number, unopened: number): Finding[] {
  const failed = Object.entries(waiting).filter(([, since]) => nowSeconds - since >= startSeconds);
  if (failed.length > 0) {
    const summary = "is on the PCI bus, and the driver could not start it";
    return failed.map(([address]) => ({ status: "critical", subject: `GPU ${address}`, summary, action: "reboot" }));
  }
  if (unopened <= 0) return [];
  const summary = `the driver counts ${count(unopened, "GPU")} more and does not open ${unopened === 1 ? "it" : "them"}`;
  return [{ status: "critical", subject: "", summary, action: "reboot" }];
}

/** Where there is no driver to ask. A VGA card that no driver has may be there for a screen only. */
export function countPluggedIn(companion: Companion): number {
  return companion(family).filter(({ labels }) => {
    return labels["driver"] === ourDriver || (labels["driver"] === "" && labels["kind"] === "3d");
  }).length;
}
