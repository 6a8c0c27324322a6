import { Type } from "@sinclair/typebox";
import { compilePattern } from "./pattern.ts";

export interface DeviceFilterOptions {
  /** The flag without its `-include` or `-exclude`, for the message: "collector.netdev.device". */
  readonly flag: string;
  readonly include: string;
  readonly exclude: string;
  /** A default exclude pattern gives way to an include pattern; any other one beside it is an error. */
  readonly defaultExclude?: string;
}

/** Says which names to keep: those that `include` finds, or those that `exclude` does not. Empty patterns keep all. */
export function createDeviceFilter(options: DeviceFilterOptions): (name: string) => boolean {
  const { flag, include, exclude, defaultExclude } = options;
  if (include !== "") {
    if (exclude !== "" && exclude !== defaultExclude) {
      throw new Error(`--${flag}-include and --${flag}-exclude are mutually exclusive`);
    }
    const wanted = compilePattern(include, `--${flag}-include`);
    return (name) => wanted.test(name);
  }
  if (exclude === "") return () => true;
  const unwanted = compilePattern(exclude, `--${flag}-exclude`);
  return (name) => !unwanted.test(name);
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
