import { dlopen, ptr } from "bun:ffi";

export interface EthtoolLink {
  readonly supported: number;
  readonly advertised: number;
  readonly autonegotiate: number;
}

/** Label names of node_ethtool_info. */
export interface EthtoolDriver {
  readonly driver: string;
  readonly version: string;
  readonly firmware_version: string;
  readonly bus_info: string;
  readonly expansion_rom_version: string;
}

/** What the kernel answers for one interface; a part that the driver does not know is undefined or empty. */
export interface EthtoolDevice {
  readonly link: EthtoolLink | undefined;
  readonly driver: EthtoolDriver | undefined;
  readonly statistics: readonly (readonly [name: string, value: number])[];
}

export interface Ethtool extends Disposable {
  read(device: string): EthtoolDevice;
}

/** SIOCETHTOOL of linux/sockios.h and the commands of linux/ethtool.h. */
const request = 0x8946;
const commands = { getSettings: 0x1, getDriver: 0x3, getStrings: 0x1b, getStatistics: 0x1d } as const;
const statisticsSet = 1;
const nameBytes = 32;
const ifreqBytes = 40;

function openLibc() {
  return dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
  }).symbols;
}

let opened: ReturnType<typeof openLibc> | undefined;

export function openEthtool(): Ethtool {
  const libc = (opened ??= openLibc());
  const [inet, datagram, closeOnExec] = [2, 2, 0o2000000];
  const descriptor = libc.socket(inet, datagram | closeOnExec, 0);
  if (descriptor < 0) throw new Error("socket(2) failed");
  /** True when the driver knows the command; the answer is then in `command`. */
  const ask = (device: string, command: Buffer): boolean => {
    const ifreq = Buffer.alloc(ifreqBytes);
    ifreq.write(device.slice(0, 15), "utf8");
    ifreq.writeBigUInt64LE(BigInt(ptr(command)), 16);
    return libc.ioctl(descriptor, request, ptr(ifreq)) === 0;
  };
  return {
    read: (device) => {
      const driver = readDriver((command) => ask(device, command));
      return {
        link: readLink((command) => ask(device, command)),
        driver: driver?.labels,
        statistics: driver === undefined ? [] : readStatistics((command) => ask(device, command), driver.statistics),
      };
    },
    [Symbol.dispose]: () => void libc.close(descriptor),
  };
}

type Ask = (command: Buffer) => boolean;

function createCommand(bytes: number, ...words: readonly number[]): Buffer {
  const command = Buffer.alloc(bytes);
  words.forEach((word, index) => command.writeUInt32LE(word, 4 * index));
  return command;
}

/** struct ethtool_cmd */
function readLink(ask: Ask): EthtoolLink | undefined {
  const command = createCommand(44, commands.getSettings);
  if (!ask(command)) return undefined;
  return {
    supported: command.readUInt32LE(4),
    advertised: command.readUInt32LE(8),
    autonegotiate: command.readUInt8(18),
  };
}

/** struct ethtool_drvinfo */
function readDriver(ask: Ask): { labels: EthtoolDriver; statistics: number } | undefined {
  const command = createCommand(196, commands.getDriver);
  if (!ask(command)) return undefined;
  const labels = {
    driver: readName(command, 4),
    version: readName(command, 36),
    firmware_version: readName(command, 68),
    bus_info: readName(command, 100),
    expansion_rom_version: readName(command, 132),
  };
  return { labels, statistics: command.readUInt32LE(180) };
}

/** struct ethtool_gstrings and struct ethtool_stats: names, then as many 64-bit numbers. */
function readStatistics(ask: Ask, count: number): [string, number][] {
  // The number of queues may change in between: newer kernels then write nothing, older ones more than was asked for.
  const room = count + 1024;
  const names = createCommand(12 + room * nameBytes, commands.getStrings, statisticsSet, count);
  const values = createCommand(8 + room * 8, commands.getStatistics, count);
  if (count === 0 || !ask(names) || !ask(values)) return [];
  const found = Math.min(names.readUInt32LE(8), values.readUInt32LE(4), room);
  return Array.from({ length: found }, (_, index) => [
    readName(names, 12 + index * nameBytes),
    Number(values.readBigUInt64LE(8 + index * 8)),
  ]);
}

function readName(buffer: Buffer, offset: number): string {
  const bytes = buffer.subarray(offset, offset + nameBytes);
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? nameBytes : end);
}
