/** One array of /proc/mdstat. Blocks are of 1 KiB. */
export interface MdArray {
  readonly name: string;
  /** active, inactive, broken; recovering, reshaping, resyncing, checking while that goes on. */
  readonly activity: string;
  readonly disksActive: number;
  readonly disksRequired: number;
  readonly disksFailed: number;
  readonly disksSpare: number;
  readonly blocks: number;
  readonly blocksSynced: number;
}

const activities = { recovery: "recovering", reshape: "reshaping", check: "checking", resync: "resyncing" } as const;

/** An array whose lines do not parse is handed to `reject` and left out. */
export function parseMdstat(text: string, reject: (name: string, error: unknown) => void): MdArray[] {
  const arrays: MdArray[] = [];
  for (const [header, ...body] of splitArrays(text)) {
    if (header === undefined) continue;
    const [name = ""] = header.split(" ");
    try {
      arrays.push(parseArray(name, header, body));
    } catch (error) {
      reject(name, error);
    }
  }
  return arrays;
}

/** "md0 : active …" and the indented lines below it. */
function splitArrays(text: string): string[][] {
  const arrays: string[][] = [];
  let current: string[] | undefined;
  for (const line of text.split("\n")) {
    if (/^\S+ : /.test(line) && !line.startsWith("Personalities ")) arrays.push((current = [line]));
    else if (/^\s+\S/.test(line)) current?.push(line.trim());
    else current = undefined;
  }
  return arrays;
}

function parseArray(name: string, header: string, [status = "", ...progress]: readonly string[]): MdArray {
  const blocks = Number(/^(\d+) /.exec(status)?.[1] ?? Number.NaN);
  if (Number.isNaN(blocks)) throw new Error(`unexpected status line: ${status}`);
  const sync = progress.map(parseProgress).find((found) => found !== undefined);
  return {
    name,
    activity: sync?.activity ?? header.split(/\s+/)[2] ?? "",
    ...countDisks(header, status),
    disksFailed: header.split("(F)").length - 1,
    disksSpare: header.split("(S)").length - 1,
    blocks,
    blocksSynced: sync === undefined ? blocks : sync.blocksSynced,
  };
}

function countDisks(header: string, status: string): { disksActive: number; disksRequired: number } {
  if (/raid0|linear/.test(header)) {
    // No [n/m] in these: each member is listed with its number in brackets, and all are needed.
    const members = header.split("[").length - 1;
    return { disksActive: members, disksRequired: members };
  }
  if (header.includes("inactive")) return { disksActive: 0, disksRequired: 0 };
  const [, required, working] = /\[(\d+)\/(\d+)\] \[[U_]+\]/.exec(status) ?? [];
  if (required === undefined) throw new Error(`unexpected status line: ${status}`);
  return { disksActive: Number(working), disksRequired: Number(required) };
}

/** "[=>…]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec", or "resync=PENDING". */
function parseProgress(line: string): { activity: string; blocksSynced: number } | undefined {
  const verb = /\b(recovery|reshape|check|resync)\s*=/.exec(line)?.[1] as keyof typeof activities | undefined;
  if (verb === undefined) return undefined;
  return { activity: activities[verb], blocksSynced: Number(/\((\d+)\/\d+\)/.exec(line)?.[1] ?? 0) };
}
