/** One record of /dev/kmsg; see Documentation/ABI/testing/dev-kmsg of the kernel. */
export interface KernelRecord {
  /** 0 for the kernel itself; programs that write to /dev/kmsg get 1 or more. */
  readonly facility: number;
  /** 0 emergency … 7 debug. */
  readonly level: number;
  readonly sequence: number;
  /** Seconds since boot, by a clock that stands still during suspend. */
  readonly uptimeSeconds: number;
  readonly text: string;
  /** SUBSYSTEM, DEVICE, … of the continuation lines. */
  readonly properties: Readonly<Record<string, string>>;
}

export class RecordError extends Error {
  override readonly name = "RecordError";
}

/** "<prio>,<seq>,<usec>,<flags>[,…];<text>\n KEY=value\n …"; throws RecordError on anything else. */
export function parseRecord(bytes: Uint8Array): KernelRecord {
  const [head = "", ...continuation] = Buffer.from(bytes).toString("utf8").split("\n");
  const semicolon = head.indexOf(";");
  const [priority = Number.NaN, sequence = Number.NaN, microseconds = Number.NaN] = head
    .slice(0, Math.max(semicolon, 0))
    .split(",")
    .map(Number);
  if (!Number.isInteger(priority) || !Number.isSafeInteger(sequence) || Number.isNaN(microseconds)) {
    throw new RecordError(`not a kernel log record: ${JSON.stringify(head.slice(0, 80))}`);
  }
  return {
    facility: priority >> 3,
    level: priority & 7,
    sequence,
    uptimeSeconds: microseconds / 1e6,
    text: unescape(head.slice(semicolon + 1)),
    properties: parseProperties(continuation),
  };
}

function parseProperties(lines: readonly string[]): Record<string, string> {
  const pairs = lines.flatMap((line) => {
    const equals = line.indexOf("=");
    return line.startsWith(" ") && equals > 1 ? [[line.slice(1, equals), unescape(line.slice(equals + 1))]] : [];
  });
  return Object.fromEntries(pairs);
}

/** The kernel writes control characters, bytes above 0x7e and backslashes as \xNN. */
function unescape(text: string): string {
  if (!text.includes("\\x")) return text;
  const bytes = text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8");
}
