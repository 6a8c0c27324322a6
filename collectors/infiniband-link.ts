import { Type } from "@sinclair/typebox";
import { describeError } from "../runtime/log.ts";
import { defineBackgroundCollector } from "./collector.ts";
import { compilePattern } from "./pattern.ts";
import { createPortLister } from "./infiniband-link/command.ts";
import { createLinkWatch, type LinkWatch } from "./infiniband-link/watch.ts";
import { listIfPresent, readTextIfPresent } from "./read.ts";

const seconds = (value: number, description: string) =>
  Type.Number({ default: value, minimum: 1, maximum: 7 * 86400, description });

/** InfiniBand and RoCE links over time: drops and flaps happen between scrapes. */
export const infinibandLink = defineBackgroundCollector({
  name: "infiniband_link",
  description: "InfiniBand and RoCE ports that drop out or flap, watched in the background.",
  enabledByDefault: true,
  options: Type.Object(
    {
      interval_seconds: seconds(15, "Between two looks at the ports."),
      drop_after_seconds: seconds(240, "A port that stays down for so long has dropped out."),
      flap_down_seconds: seconds(
        25,
        "A port that was down for so long and came back has flapped; so has one that has counted a loss.",
      ),
      flap_count: Type.Integer({ default: 3, minimum: 1, maximum: 1000, description: "So many flaps are flapping." }),
      flap_window_seconds: seconds(43_200, "Flaps are counted over this time."),
      device_include: Type.String({ default: "", description: "Regexp of the devices to watch; all when empty." }),
      device_exclude: Type.String({ default: "", description: "Regexp of the devices to leave out." }),
    },
    { additionalProperties: false },
  ),
  create: (options) => {
    const { device_include: include, device_exclude: exclude } = options;
    const included = compilePattern(include, "collectors.infiniband_link.device_include");
    const excluded = exclude === "" ? undefined : compilePattern(exclude, "collectors.infiniband_link.device_exclude");
    const isWatched = (name: string): boolean => included.test(name) && excluded?.test(name) !== true;
    const rules = {
      dropAfterMs: options.drop_after_seconds * 1000,
      flapDownMs: options.flap_down_seconds * 1000,
      flapWindowMs: options.flap_window_seconds * 1000,
      flapCount: options.flap_count,
    };
    let watch: LinkWatch | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    // Listing this folder asks no driver.
    const hasDevice = (sysPath: string): boolean => listIfPresent(`${sysPath}/class/infiniband`).some(isWatched);
    return {
      detect: async ({ sysPath }) =>
        hasDevice(sysPath) || watch?.knowsPorts() === true
          ? { supported: true }
          : { supported: false, reason: "no InfiniBand or RoCE device" },
      start: ({ host, log, events }) => {
        const bootId = readTextIfPresent(`${host.procPath}/sys/kernel/random/boot_id`)?.trim() ?? "";
        const lister = createPortLister(host.sysPath, log);
        const started = createLinkWatch({ rules, isWatched, lister, bootId, events, log, now: Date.now });
        watch = started;
        // What has worked before a restart or a reboot may be gone.
        let hadDevice = started.knowsPorts();
        const turn = async (): Promise<void> => {
          const has = hasDevice(host.sysPath);
          if (has || hadDevice) await started.look();
          hadDevice = has || started.knowsPorts();
          if (watch === started) timer = setTimeout(begin, options.interval_seconds * 1000).unref();
        };
        const begin = (): void =>
          void turn().catch((error: unknown) =>
            log.error("ports are no longer watched", { error: describeError(error) }),
          );
        begin();
      },
      stop: async () => {
        clearTimeout(timer);
        watch?.stop();
        watch = undefined;
      },
      collect: async () => {
        const error = watch?.error();
        if (error !== undefined) throw new Error("the ports cannot be read", { cause: error });
        return watch?.families() ?? [];
      },
    };
  },
});
