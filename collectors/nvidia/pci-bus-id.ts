/** "00000000:3B:00.0" of NVML is "0000:3b:00" in an Xid line, and so in aami_gpu_xid_errors_total. */
export function toKernelBusId(pciBusId: string): string {
  const [domain = "", bus = "", device = ""] = pciBusId.toLowerCase().split(":");
  const number = Number.parseInt(domain, 16);
  return `${(Number.isNaN(number) ? 0 : number).toString(16).padStart(4, "0")}:${bus}:${device.split(".", 1)[0]}`;
}
