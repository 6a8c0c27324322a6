import { statSync } from "node:fs";
import type { Logger } from "../../runtime/log.ts";
import { errnoOf, readTextIfPresent } from "../read.ts";
import type { ExpectedStatus } from "./status.ts";
import { isReadOnly, type Mount, unescape } from "./table.ts";

export type ExpectationLevel = "critical" | "warning";

/** A mount that has to be there, from the policy or from /etc/fstab. */
export interface ExpectedMount {
  readonly mountPoint: string;
  /** Any of them, where given. */
  readonly fstypes?: readonly string[];
  /** As mount(8) shows it, or UUID=…, LABEL=…, PARTUUID=…, PARTLABEL=…, /dev/…. */
  readonly source?: string;
  readonly readOnly?: boolean;
  readonly level: ExpectationLevel;
}

export type Presence =
  | { readonly present: true; readonly mount: Mount }
  | { readonly present: false; readonly reason: "not mounted" | "other filesystem type" | "other source" };

/**
 * Judged by the mount table alone. A look at the path could hang or trigger an automount, and an empty folder on the
 * root filesystem looks fine until writers have filled it. `mount` is what covers the mount point.
 */
export function findExpected(
  expected: ExpectedMount,
  mount: Mount | undefined,
  isSameDevice: (source: string, mount: Mount) => boolean,
): Presence {
  if (mount === undefined) return { present: false, reason: "not mounted" };
  if (expected.fstypes !== undefined && !expected.fstypes.includes(mount.fstype)) {
    return { present: false, reason: "other filesystem type" };
  }
  const { source } = expected;
  if (source !== undefined && unescape(mount.source) !== source && !isSameDevice(source, mount)) {
    return { present: false, reason: "other source" };
  }
  return { present: true, mount };
}

export interface Expectations {
  /** Compares with a new table, and says in the log what went missing or came back. */
  update(table: readonly Mount[]): void;
  status(): readonly ExpectedStatus[];
}

export interface ExpectationsOptions {
  readonly expected: readonly ExpectedMount[];
  readonly isSameDevice: (source: string, mount: Mount) => boolean;
  readonly toHostPath: (mountPoint: string) => string;
  readonly log: Logger;
}

export function createExpectations({ expected, isSameDevice, toHostPath, log }: ExpectationsOptions): Expectations {
  let states: readonly ExpectedStatus[] = [];
  return {
    status: () => states,
    update: (table) => {
      const top = new Map(table.map((mount) => [toHostPath(mount.mountPoint), mount]));
      states = expected.map((expectation, index) => {
        const { level, readOnly } = expectation;
        const mountPoint = withoutTrailingSlash(expectation.mountPoint);
        const found = findExpected(expectation, top.get(mountPoint), isSameDevice);
        const before = states[index]?.present ?? true;
        const facts = { mountpoint: mountPoint, expected_level: level };
        if (before && !found.present) log.warn("expected mount is missing", { ...facts, reason: found.reason });
        if (!before && found.present) log.info("expected mount is there", facts);
        if (!found.present || readOnly === undefined) return { mountPoint, level, present: found.present };
        return { mountPoint, level, present: true, readOnlyMismatch: isReadOnly(found.mount) !== readOnly };
      });
    },
  };
}

export function withoutTrailingSlash(path: string): string {
  return path === "/" ? path : path.replace(/\/+$/, "");
}

const tagFolders: Readonly<Record<string, string>> = {
  UUID: "by-uuid",
  LABEL: "by-label",
  PARTUUID: "by-partuuid",
  PARTLABEL: "by-partlabel",
};

/** Compares by device number, as one disk has many names. /dev is devtmpfs: looking there cannot hang. */
export function createDeviceComparison(rootPath: string): (source: string, mount: Mount) => boolean {
  const root = rootPath.replace(/\/+$/, "");
  return (source, mount) => {
    const [, tag = "", value = ""] = /^([A-Z]+)="?([^"]*)"?$/.exec(source) ?? [];
    const folder = tagFolders[tag];
    const path = folder === undefined ? source : `/dev/disk/${folder}/${value}`;
    if (!path.startsWith("/dev/")) return false;
    try {
      const { rdev } = statSync(root + path);
      return mount.device === `${(rdev >> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >> 12) & 0xfff00)}`;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return false; // no such device now: then it is not what is mounted
    }
  };
}

// Filesystems of these types are not mounted on a path that could be checked, or come and go by design.
const notExpected = new Set(["swap", "none", "proc", "sysfs", "devpts"]);

/**
 * The lines of fstab(5) that are mounted at boot. `nofail` says that the host may run without it. Of a systemd
 * automount the autofs entry is what has to exist.
 */
export function parseFstab(text: string): ExpectedMount[] {
  return text.split("\n").flatMap((line) => {
    const [source, mountPoint, fstype, optionText = ""] = line.trim().split(/\s+/);
    if (source === undefined || source.startsWith("#") || mountPoint === undefined || fstype === undefined) return [];
    const options = optionText.split(",");
    if (options.includes("noauto") || notExpected.has(fstype) || !mountPoint.startsWith("/")) return [];
    return [
      {
        mountPoint: unescape(mountPoint),
        level: options.includes("nofail") ? "warning" : "critical",
        ...(options.includes("ro") ? { readOnly: true } : {}),
      },
    ];
  });
}

/** The policy's list; fstab adds only mount points that the policy does not mention. */
export function readExpected(policy: readonly ExpectedMount[], fstabPath: string | undefined): ExpectedMount[] {
  const fstab = fstabPath === undefined ? [] : parseFstab(readTextIfPresent(fstabPath) ?? "");
  const known = new Set(policy.map(({ mountPoint }) => withoutTrailingSlash(mountPoint)));
  return [...policy, ...fstab.filter(({ mountPoint }) => !known.has(withoutTrailingSlash(mountPoint)))];
}
