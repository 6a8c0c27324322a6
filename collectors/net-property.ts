import { parseNumber } from "./fields.ts";
import type { Host } from "./host.ts";
import { isErrno, readText } from "./read.ts";

/**
 * A file of /sys/class/net/DEVICE. Many drivers refuse single attributes, a device that is down has neither carrier
 * nor speed, and a device may go while it is read: none of that is a failure.
 */
export function readNetProperty(host: Host, device: string, file: string): string | undefined {
  const path = `${host.sysPath}/class/net/${device}/${file}`;
  try {
    return readText(path).trim();
  } catch (error) {
    if (!isErrno(error, "ENOENT", "EACCES", "EPERM", "EINVAL", "EOPNOTSUPP", "ENOTSUP", "ENODEV")) {
      host.skipped(path, error);
    }
    return undefined;
  }
}

/** The same as a number, decimal or 0x. */
export function readNetNumber(host: Host, device: string, file: string): number | undefined {
  const text = readNetProperty(host, device, file);
  if (text === undefined) return undefined;
  try {
    return parseNumber(text);
  } catch (error) {
    host.skipped(`${host.sysPath}/class/net/${device}/${file}`, error);
    return undefined;
  }
}
