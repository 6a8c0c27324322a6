import { Value } from "@sinclair/typebox/value";
import { createEventLog, type EventLog } from "../../collectors/events.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";
import { filesystem } from "../../collectors/filesystem.ts";
import { FilesystemOptions } from "../../collectors/mounts/options.ts";
import { createLogger } from "../../runtime/log.ts";

export interface MountPage {
  readonly lines: readonly string[];
  /** The value of the series with this name and these labels; undefined when there is none. */
  value(name: string, mountPoint: string): number | undefined;
  /** A label of the series; undefined when there is no such series. */
  label(name: string, mountPoint: string, label: string): string | undefined;
}

export interface MountWatch extends AsyncDisposable {
  page(): Promise<MountPage>;
  /** Reads pages until one satisfies; each one on the way must pass `always`. */
  until(what: string, satisfies: (page: MountPage) => boolean, always?: (page: MountPage) => void): Promise<MountPage>;
  /** Waits for this many further good probes of a mount. */
  rounds(count: number, mountPoint: string, always?: (page: MountPage) => void): Promise<void>;
  /** What other collectors have seen. */
  readonly events: EventLog;
  /** Messages of the log at warn and above that name this mount. */
  warnings(mountPoint: string): readonly string[];
}

/** Longer than any state here takes on a slow machine. */
const patienceMs = 60_000;
/** The filesystem collector with real probe processes, on the mounts below `folder` and with short intervals. */
export function watchMounts(folder: string, options: Record<string, unknown> = {}): MountWatch {
  const records: { level: string; msg: string; mountpoint?: string }[] = [];
  const log = createLogger({ write: (line) => void records.push(JSON.parse(line)) });
  const collector = filesystem.create(
    Value.Default(FilesystemOptions, {
      mount_points_include: `^${folder}/`,
      probe_interval_seconds: 0.25,
      table_interval_seconds: 0.1,
      // What a busy machine may take to start the process that probes the other mounts.
      mount_timeout_seconds: 4,
      ...options,
    }) as FilesystemOptions,
  );
  const host = {
    procPath: "/proc",
    sysPath: "/sys",
    rootPath: "/",
    udevDataPath: "/run/udev/data",
    run: () => Promise.reject(new Error("no programs")),
    skipped: () => {},
  };
  const events = createEventLog({ log });
  collector.start({ host, log, events });
  let isFirstPage = true;
  const page = async (): Promise<MountPage> => {
    let hasWaited = false;
    const turn = setImmediate(() => (hasWaited = true));
    const families = encodeFamilies(await collector.collect(host, AbortSignal.timeout(60_000)));
    clearImmediate(turn);
    // Put together from memory, it is there before the event loop turns. The first one waits for the first probes.
    if (hasWaited && !isFirstPage) throw new Error("a page has waited for something");
    isFirstPage = false;
    return toMountPage(families.flatMap(({ text }) => text.trimEnd().split("\n")));
  };
  const until: MountWatch["until"] = async (what, satisfies, always = () => {}) => {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const current = await page();
      always(current);
      if (satisfies(current)) return current;
      if (performance.now() > deadline) throw new Error(`never came: ${what}\n${current.lines.join("\n")}`);
      await Bun.sleep(25);
    }
  };
  return {
    page,
    until,
    events,
    rounds: async (count, mountPoint, always) => {
      let last: number | undefined;
      let seen = -1;
      await until(
        `${count} rounds`,
        (current) => {
          const now = current.value("aami_mount_last_success_timestamp_seconds", mountPoint);
          if (now !== undefined && now !== last) seen++;
          last = now;
          return seen >= count;
        },
        always,
      );
    },
    warnings: (mountPoint) =>
      records.filter(({ level, mountpoint }) => level !== "info" && mountpoint === mountPoint).map(({ msg }) => msg),
    [Symbol.asyncDispose]: () => collector.stop(),
  };
}

export function toMountPage(lines: readonly string[]): MountPage {
  const find = (name: string, mountPoint: string): string | undefined =>
    lines.find((line) => line.startsWith(`${name}{`) && line.includes(`mountpoint="${mountPoint}"`));
  return {
    lines,
    value: (name, mountPoint) => {
      const line = find(name, mountPoint);
      return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(" ") + 1));
    },
    label: (name, mountPoint, label) => new RegExp(`[{,]${label}="([^"]*)"`).exec(find(name, mountPoint) ?? "")?.[1],
  };
}
