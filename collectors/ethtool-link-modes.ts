import type { EthtoolLink } from "./ethtool-ioctl.ts";
import { type FamilyHead, type FamilySet, gauge } from "./families.ts";

const port = gauge("node_network_supported_port_info", "Type of ports or PHYs supported by network device");

interface Direction {
  readonly speed: FamilyHead;
  readonly autonegotiate: FamilyHead;
  readonly pause: FamilyHead;
  readonly asymmetricPause: FamilyHead;
}

const direction = (what: string, verb: string, asked: string, pause: string): Direction => ({
  speed: gauge(`node_network_${what}_speed_bytes`, `Combination of speeds and features ${asked} by network device`),
  autonegotiate: gauge(`node_network_autonegotiate_${what}`, `If this port device ${verb} autonegotiate`),
  pause: gauge(`node_network_pause_${what}`, `If this port device ${verb} pause ${pause}`),
  asymmetricPause: gauge(
    `node_network_asymmetricpause_${what}`,
    `If this port device ${verb} asymmetric pause ${pause}`,
  ),
});
const supported = direction("supported", "supports", "supported", "frames");
const advertised = direction("advertised", "offers", "offered", "capability");

/** Bits of enum ethtool_link_mode_bit_indices in linux/ethtool.h; these 32 fit into the old ETHTOOL_GSET. */
const bits = { autonegotiate: 6, pause: 13, asymmetricPause: 14 } as const;
const ports = { TP: 7, AUI: 8, MII: 9, FIBRE: 10, BNC: 11, Backplane: 16 } as const;
const modes: Readonly<Record<number, readonly [megabits: number, duplex: "half" | "full", medium: string]>> = {
  0: [10, "half", "T"],
  1: [10, "full", "T"],
  2: [100, "half", "T"],
  3: [100, "full", "T"],
  4: [1000, "half", "T"],
  5: [1000, "full", "T"],
  12: [10000, "full", "T"],
  17: [1000, "full", "KX"],
  18: [10000, "full", "KX4"],
  19: [10000, "full", "KR"],
  20: [10000, "full", "R_FEC"],
  21: [20000, "full", "MLD2"],
  22: [20000, "full", "KR2"],
  23: [40000, "full", "KR4"],
  24: [40000, "full", "CR4"],
  25: [40000, "full", "SR4"],
  26: [40000, "full", "LR4"],
  27: [56000, "full", "KR4"],
  28: [56000, "full", "CR4"],
  29: [56000, "full", "SR4"],
  30: [56000, "full", "LR4"],
  31: [25000, "full", "CR"],
};

export function addLinkModes(families: FamilySet, device: string, link: EthtoolLink): void {
  addDirection(families, device, supported, link.supported);
  addDirection(families, device, advertised, link.advertised);
  for (const [type, bit] of Object.entries(ports)) {
    families.add(port, { device, type }, hasBit(link.supported, bit) ? 1 : undefined);
  }
}

function addDirection(families: FamilySet, device: string, of: Direction, mask: number): void {
  for (const [bit, [megabits, duplex, medium]] of Object.entries(modes)) {
    const labels = { device, duplex, mode: `${megabits}base${medium}` };
    families.add(of.speed, labels, hasBit(mask, Number(bit)) ? (megabits * 1e6) / 8 : undefined);
  }
  families.add(of.autonegotiate, { device }, Number(hasBit(mask, bits.autonegotiate)));
  families.add(of.pause, { device }, Number(hasBit(mask, bits.pause)));
  families.add(of.asymmetricPause, { device }, Number(hasBit(mask, bits.asymmetricPause)));
}

function hasBit(mask: number, bit: number): boolean {
  return ((mask >>> bit) & 1) === 1;
}
