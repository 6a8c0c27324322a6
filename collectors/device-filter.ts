import { Type } from "@sinclair/typebox";
import { compilePattern } from "./pattern.ts";

export interface DeviceFilterOptions {
  /** The flag without its `-include` or `-exclude`, for the message: "collector.netdev.device". */
  readonly flag: string;
  readonly include: string;
  readonly exclude: string;
  /** Where node_exporter refuses both at once. A default exclude pattern then gives way to an include pattern. */
  readonly exclusive?: { readonly defaultExclude: string };
}

/** Says which names to keep: those that `include` finds and `exclude` does not. Empty patterns keep all. */
export function createDeviceFilter({
  flag,
  include,
  exclude,
  exclusive,
}: DeviceFilterOptions): (name: string) => boolean {
  if (include !== "" && exclude !== "" && exclusive !== undefined) {
    if (exclude === exclusive.defaultExclude) return createDeviceFilter({ flag, include, exclude: "" });
    throw new Error(`--${flag}-include and --${flag}-exclude are mutually exclusive`);
  }
  const wanted = compilePattern(include, `--${flag}-include`);
  const unwanted = exclude === "" ? undefined : compilePattern(exclude, `--${flag}-exclude`);
  return (name) => wanted.test(name) && unwanted?.test(name) !== true;
}

/** The option behind a flag that node_exporter renamed: still accepted, with a warning. */
export function deprecatedPattern(flag: string, newer: string) {
  return Type.String({
    default: "",
    flag,
    hidden: true,
    deprecated: true,
    replacedBy: newer,
    description: `Older name of ${newer}.`,
  });
}

interface RenamedFlags {
  readonly flag: string;
  readonly older: string;
  readonly defaultValue?: string;
}

/** A value under the older flag stands in for the newer one's default; both at once contradict each other. */
export function pickRenamed(
  value: string,
  olderValue: string,
  { flag, older, defaultValue = "" }: RenamedFlags,
): string {
  if (olderValue === "") return value;
  if (value === defaultValue) return olderValue;
  throw new Error(`--${older} and --${flag} are mutually exclusive`);
}
