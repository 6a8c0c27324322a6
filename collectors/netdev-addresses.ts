import { networkInterfaces } from "node:os";
import type { FamilySet } from "./families.ts";

/** One series per address of a device, with the prefix length as netmask. */
export function addAddressInfo(out: FamilySet, keep: (device: string) => boolean): void {
  for (const [device, addresses = []] of Object.entries(networkInterfaces())) {
    if (!keep(device)) continue;
    for (const { address, cidr } of addresses) {
      const labels = { device, address, netmask: cidr?.split("/")[1] ?? "", scope: scopeOf(address) };
      out.gauge("node_network_address_info", "node network address by device", 1, labels);
    }
  }
}

/** As node_exporter words it: loopback and link-local are both "link-local", anything else routable is "global". */
export function scopeOf(address: string): string {
  if (address.includes(":")) {
    const first = Number.parseInt(address.split(":")[0] || "0", 16);
    if (address === "::1" || (first & 0xffc0) === 0xfe80 || (first & 0xff0f) === 0xff02) return "link-local";
    if ((first & 0xff0f) === 0xff01) return "interface-local";
    return address === "::" || first >= 0xff00 ? "" : "global";
  }
  const [a = 0, b = 0, c = 0] = address.split(".").map(Number);
  if (a === 127 || (a === 169 && b === 254) || (a === 224 && b === 0 && c === 0)) return "link-local";
  return address === "0.0.0.0" || address === "255.255.255.255" || (a >= 224 && a < 240) ? "" : "global";
}
