import { parseNumber } from "./fields.ts";
import type { Host } from "./host.ts";
import { isErrno, readIntegerOrText, readText } from "./read.ts";

/**
 * A file of /sys/class/net/DEVICE. Many drivers refuse single attributes, a device that is down has neither carrier
 * nor speed, and a device may go while it is read: none of that is a failure.
 */
export function readNetProperty(host: Host, device: string, file: string): string | undefined {
  return readIfAnswered(host, pathOf(host, device, file), readText)?.trim();
}

/** The same as a number, decimal or 0x. */
export function readNetNumber(host: Host, device: string, file: string): number | undefined {
  const path = pathOf(host, device, file);
  const reading = readIfAnswered(host, path, readIntegerOrText);
  if (typeof reading !== "string") return reading;
  try {
    return parseNumber(reading.trim());
  } catch (error) {
    host.skipped(path, error);
    return undefined;
  }
}

function pathOf({ sysPath }: Host, device: string, file: string): string {
  return `${sysPath}/class/net/${device}/${file}`;
}

function readIfAnswered<T>(host: Host, path: string, read: (path: string) => T): T | undefined {
  try {
    return read(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "EACCES", "EPERM", "EINVAL", "EOPNOTSUPP", "ENOTSUP", "ENODEV")) {
      host.skipped(path, error);
    }
    return undefined;
  }
}
