import { type Static, Type } from "@sinclair/typebox";
import { type BackgroundContext, defineBackgroundCollector } from "./collector.ts";
import { compilePattern } from "./pattern.ts";
import { createDiskLister } from "./smart/command.ts";
import { smartPage } from "./smart/page.ts";
import { createSmartPoller, type SmartPoller } from "./smart/poller.ts";
import { createSmartctl } from "./smart/smartctl.ts";

const SmartOptions = Type.Object(
  {
    smartctl_path: Type.String({
      default: "smartctl",
      description: "The smartctl program (smartmontools 7 or newer).",
    }),
    interval_seconds: Type.Number({
      default: 600,
      minimum: 10,
      maximum: 86400,
      description: "Between two polls of a disk.",
    }),
    deadline_seconds: Type.Number({ default: 30, minimum: 1, maximum: 120, description: "For one poll of a disk." }),
    rescan_seconds: Type.Number({
      default: 900,
      minimum: 30,
      maximum: 86400,
      description: "Between two scans for disks behind RAID controllers.",
    }),
    concurrency: Type.Integer({ default: 4, minimum: 1, maximum: 64, description: "Disks polled at once." }),
    device_include: Type.String({ default: "", description: "Regexp of the disks to poll; all when empty." }),
    device_exclude: Type.String({ default: "", description: "Regexp of the disks to leave out." }),
    keep_stale: Type.Boolean({
      default: false,
      description: "Show the last values of a disk that no longer answers for ever, as smartctl_exporter does.",
    }),
    devices: Type.Array(
      Type.Object(
        {
          path: Type.String({ pattern: "^/dev/", expects: "a path below /dev", description: "Device node." }),
          type: Type.String({ minLength: 1, description: "smartctl's device type, for example cciss,1." }),
        },
        { additionalProperties: false },
      ),
      { default: [], description: "Disks that cannot be found by themselves: behind hpsa, 3ware, areca, aacraid." },
    ),
  },
  { additionalProperties: false },
);
type SmartOptions = Static<typeof SmartOptions>;

const tickMs = 1000;

/** SMART by smartctl in the background: smartctl_exporter's families, how old they are, and in what state each disk is. */
export const smart = defineBackgroundCollector({
  name: "smart",
  description: "SMART values of disks by smartctl, polled in the background.",
  enabledByDefault: true,
  options: SmartOptions,
  create: (options) => {
    const isWatched = createFilter(options);
    let running: { poller: SmartPoller; stop(): void } | undefined;
    return {
      detect: async () =>
        Bun.which(options.smartctl_path) === null
          ? { supported: false, reason: `${options.smartctl_path} is not installed (package smartmontools)` }
          : { supported: true },
      start: (context) => {
        running = startPolling(options, isWatched, context);
      },
      stop: async () => {
        running?.stop();
        running = undefined;
      },
      collect: async () => {
        if (running === undefined) throw new Error("the disks are not polled yet");
        const { poller } = running;
        const { interval_seconds: intervalSeconds, keep_stale: keepStale } = options;
        const disappeared = poller.disappeared();
        return smartPage(poller.devices(), { nowMs: Date.now(), intervalSeconds, keepStale, disappeared });
      },
    };
  },
});

function createFilter({ device_include: include, device_exclude: exclude }: SmartOptions): (name: string) => boolean {
  if (include !== "" && exclude !== "") throw new Error("smart: device_include and device_exclude are both set");
  const included = include === "" ? undefined : compilePattern(include, "collectors.smart.device_include");
  const excluded = exclude === "" ? undefined : compilePattern(exclude, "collectors.smart.device_exclude");
  return (name) => (included?.test(name) ?? true) && !(excluded?.test(name) ?? false);
}

function startPolling(
  options: SmartOptions,
  isWatched: (name: string) => boolean,
  { host, log, events }: BackgroundContext,
): { poller: SmartPoller; stop(): void } {
  const smartctl = createSmartctl(options.smartctl_path, log);
  const disks = createDiskLister(host.sysPath, log);
  const poller = createSmartPoller({
    settings: {
      intervalSeconds: options.interval_seconds,
      deadlineSeconds: options.deadline_seconds,
      rescanSeconds: options.rescan_seconds,
      concurrency: options.concurrency,
      isWatched,
      configured: options.devices.map(({ path, type }) => ({ key: `${path} ${type}`, path, type })),
    },
    smartctl,
    listDisks: disks.list,
    events,
    log,
    now: Date.now,
    random: Math.random,
  });
  // The program may be installed later.
  const tick = (): void => void (Bun.which(options.smartctl_path) !== null && poller.tick());
  const timer = setInterval(tick, tickMs).unref();
  tick();
  return {
    poller,
    stop: () => {
      clearInterval(timer);
      smartctl.stop();
      disks.close();
    },
  };
}
