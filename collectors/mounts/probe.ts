import { readlinkSync, statfsSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { errnoOf, readTextIfPresent } from "../read.ts";
import { readFirstEntries } from "./first-entry.ts";
import { runWriteTest, type WriteTest } from "./write-test.ts";

/** In this order: each later step asks the server for something that the earlier ones may get from a cache. */
export type ProbeStep = "statfs" | "stat" | "readdir" | "write";

/** What a probe process is asked to do; goes over a pipe as JSON. */
export interface ProbeRequest {
  /** The kernel's id of the mount. */
  readonly id: number;
  /** Where to reach the mount, container root included. */
  readonly path: string;
  readonly device: string;
  readonly fstype: string;
  readonly sysPath: string;
  readonly write?: WriteTest;
}

export interface SpaceReading {
  readonly sizeBytes: number;
  readonly freeBytes: number;
  readonly availBytes: number;
  /** 0 where the filesystem has no fixed number of inodes (btrfs, some FUSE filesystems). */
  readonly files: number;
  readonly filesFree: number;
}

/** A probe that came to an end. One that did not leaves only its last announced step. */
export interface ProbeReading {
  readonly durationSeconds: number;
  readonly space?: SpaceReading;
  readonly failure?: { readonly step: ProbeStep; readonly errno: string };
  /** Errors that ext4 has recorded since the last e2fsck; kernels before 6.15 show an emergency read-only only here. */
  readonly ext4Errors?: number;
  /** Whether the write step ran; it is left out where it could only say what is known. */
  readonly wrote?: boolean;
}

// Less than this and a write test could be the one that fills the filesystem.
const writeTestMinimumBytes = 1024 * 1024;

/**
 * The only code that touches a mount, run in a process of its own: any of these calls may never return. Each step is
 * announced before it begins, so whoever watches knows where a silent process is stuck.
 */
export function probeMount(request: ProbeRequest, announce: (step: ProbeStep) => void): ProbeReading {
  const started = performance.now();
  let isFolder = false;
  const reading: { -readonly [Key in keyof ProbeReading]: ProbeReading[Key] } = { durationSeconds: 0 };
  const steps: readonly (readonly [ProbeStep, () => void])[] = [
    ["statfs", () => void (reading.space = readSpace(request.path))],
    ["stat", () => void (isFolder = statSync(request.path).isDirectory())],
    // Container runtimes mount single files (/etc/hosts).
    ["readdir", () => (isFolder ? readFirstEntries(request.path) : undefined)],
    ["write", () => void (reading.wrote = writeIfRoom(request.write, reading.space))],
  ];
  for (const [step, run] of steps.slice(0, request.write === undefined ? 3 : 4)) {
    announce(step);
    try {
      run();
    } catch (error) {
      reading.failure = { step, errno: errnoOf(error) ?? String(error) };
      break;
    }
  }
  const ext4Errors = readExt4Errors(request);
  if (ext4Errors !== undefined) reading.ext4Errors = ext4Errors;
  reading.durationSeconds = (performance.now() - started) / 1000;
  return reading;
}

function readSpace(path: string): SpaceReading {
  // As BigInt, because a plain number would already be rounded; the products are rounded as node_exporter's are.
  const { blocks, bfree, bavail, bsize, files, ffree } = statfsSync(path, { bigint: true });
  const toBytes = (count: bigint): number => Number(count) * Number(bsize);
  return {
    sizeBytes: toBytes(blocks),
    freeBytes: toBytes(bfree),
    availBytes: toBytes(bavail),
    files: Number(files),
    filesFree: Number(ffree),
  };
}

function writeIfRoom(test: WriteTest | undefined, space: SpaceReading | undefined): boolean {
  if (test === undefined || space === undefined || space.availBytes < writeTestMinimumBytes) return false;
  runWriteTest(test);
  return true;
}

function readExt4Errors({ fstype, device, sysPath }: ProbeRequest): number | undefined {
  if (!/^ext[234]$/.test(fstype)) return undefined;
  try {
    const name = basename(readlinkSync(join(sysPath, "dev/block", device)));
    const text = readTextIfPresent(join(sysPath, "fs/ext4", name, "errors_count"));
    return text === undefined ? undefined : Number(text);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined; // a container without the host's sysfs
  }
}
