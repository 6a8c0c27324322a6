/** One NFS entry of mountstats (the kernel's nfs_show_stats and rpc_clnt_show_stats). Numbers stay text: some exceed 2^53. */
export interface NfsMount {
  /** Position among all mounts of the file: the same entry of mountinfo has the same one. */
  readonly index: number;
  readonly device: string;
  readonly mountPoint: string;
  readonly age: string;
  readonly bytes: readonly string[];
  readonly events: readonly string[];
  readonly transports: readonly Transport[];
  readonly operations: readonly { readonly name: string; readonly counters: readonly string[] }[];
}

export interface Transport {
  readonly protocol: string;
  /** In the layout of TCP: UDP has no connect count, connect time and idle time; absent ones are "0". */
  readonly fields: readonly string[];
}

type Skip = (what: string, error: unknown) => void;

/** Entries of other filesystems and entries that do not parse are left out; the latter are reported by `skip`. */
export function parseMountStats(text: string, skip: Skip): NfsMount[] {
  const entries: string[][] = [];
  for (const line of text.split("\n")) {
    // "no device mounted on …" is an entry as well, and counts in the order that mountinfo shares; so does a first line
    // that cannot be read, whose body must not go to the entry above it.
    if (/^\S/.test(line)) entries.push([line]);
    else if (line.trim() !== "") entries.at(-1)?.push(line);
  }
  return entries.flatMap(([head = "", ...body], index) => {
    const [, device, , , mountPoint, , , , version] = head.split(/\s+/);
    if (!version?.startsWith("statvers=") || device === undefined || mountPoint === undefined) return [];
    try {
      return [{ index, device, mountPoint, ...parseBody(body) }];
    } catch (error) {
      skip(`mountstats of ${mountPoint}`, error);
      return [];
    }
  });
}

function parseBody(lines: readonly string[]): Omit<NfsMount, "index" | "device" | "mountPoint"> {
  const rows = lines.map((line) => line.trim().split(/\s+/));
  const perOperation = rows.findIndex(([key]) => key === "per-op");
  const head = perOperation < 0 ? rows : rows.slice(0, perOperation);
  const line = (key: string, length: number): string[] => {
    const fields = head.find(([name]) => name === key)?.slice(1) ?? [];
    if (fields.length < length || !fields.every(isUnsigned))
      throw new Error(`unexpected line ${key} ${fields.join(" ")}`);
    return fields;
  };
  return {
    age: line("age:", 1)[0] ?? "0",
    bytes: line("bytes:", 8),
    events: line("events:", 27),
    transports: head
      .filter(([key]) => key === "xprt:")
      .map(([, protocol = "", ...fields]) => toTransport(protocol, fields)),
    operations: perOperation < 0 ? [] : rows.slice(perOperation + 1).map(toOperation),
  };
}

function toTransport(protocol: string, fields: readonly string[]): Transport {
  if (!fields.every(isUnsigned)) throw new Error(`unexpected transport line ${protocol} ${fields.join(" ")}`);
  if (protocol === "udp") return { protocol, fields: [...fields.slice(0, 2), "0", "0", "0", ...fields.slice(2)] };
  // After the ten common fields RDMA goes on with counters of its own instead of slots and queues.
  return { protocol, fields: protocol === "rdma" ? fields.slice(0, 10) : fields };
}

function toOperation([name = "", ...counters]: readonly string[]): NfsMount["operations"][number] {
  if (counters.length < 8 || !counters.every(isUnsigned)) {
    throw new Error(`unexpected operation line ${name} ${counters.join(" ")}`);
  }
  return { name: name.replace(/:$/, ""), counters };
}

function isUnsigned(field: string): boolean {
  return /^\d+$/.test(field);
}
