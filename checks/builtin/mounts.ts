import { Type as t } from "@sinclair/typebox";
import type { Labels, Sample } from "../../collectors/collector.ts";
import type { Finding } from "../verdict.ts";
import { count, defineBuiltin, timeOf } from "./builtin.ts";

export const mounts = defineBuiltin({
  name: "mounts",
  description: "Mounts that hang, fail, are missing, are read-only against the rules, or have no inodes left.",
  explanation: [
    "Every mount is probed by a process of its own. One that does not answer (hung) has processes waiting in state D; " +
      "they go on when its server or disk is back. `umount -f` ends an NFS mount with errors for who uses it.",
    "Which mounts have to be there, and how, is set in daemon.yaml under collectors.filesystem.expected. A file system " +
      "that has become read-only by itself has met errors: the kernel log of that time names the disk.",
  ],
  source: "filesystem",
  intervalSeconds: 30,
  parameters: t.Object(
    {
      ignore: t.Array(t.String({ pattern: "^/", expects: "a path that begins with /" }), {
        default: [],
        description: "Mount points that are not judged.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples }) => {
    const judged = (family: string): readonly Sample[] =>
      samples(family).filter(({ labels }) => !parameters.ignore.includes(mountPointOf(labels)));
    const findings = [
      ...missing(judged),
      ...unhealthy(judged),
      ...unanswered(judged),
      ...readOnlyMismatch(judged),
      ...judged("aami_mount_inodes_exhausted").flatMap(inodesExhausted),
      ...judged("aami_mount_filesystem_errors").flatMap(filesystemErrors),
    ];
    return { findings, summary: `${count(judged("aami_mount_healthy").length, "mount")} probed, all answer` };
  },
});

function mountPointOf(labels: Labels): string {
  return labels["mountpoint"] ?? "";
}

function levelOf(labels: Labels): "warning" | "critical" {
  return labels["level"] === "warning" ? "warning" : "critical";
}

function missing(judged: (family: string) => readonly Sample[]): Finding[] {
  const mounted = new Map(judged("aami_mount_probe_info").map(({ labels }) => [mountPointOf(labels), labels]));
  return judged("aami_mount_expected_present").flatMap(({ labels, value }) => {
    if (value === 1) return [];
    const subject = mountPointOf(labels);
    const other = mounted.get(subject);
    const summary =
      other === undefined
        ? "expected and not mounted"
        : `another file system than the expected is mounted there (${sourceOf(other)})`;
    return [{ status: levelOf(labels), subject, summary, action: "check_storage" }];
  });
}

function sourceOf({ fstype = "", device = "" }: Labels): string {
  return `${fstype} from ${device}`;
}

function unhealthy(judged: (family: string) => readonly Sample[]): Finding[] {
  const byMount = (family: string): Map<string, number> =>
    new Map(judged(family).map(({ labels, value }) => [mountPointOf(labels), value]));
  const states = new Map(judged("aami_mount_probe_info").map(({ labels }) => [mountPointOf(labels), labels]));
  const stuck = byMount("aami_mount_stuck_seconds");
  const stuckWrites = byMount("aami_mount_write_test_stuck_seconds");
  const answers = byMount("aami_mount_last_success_timestamp_seconds");
  return judged("aami_mount_healthy").flatMap(({ labels, value }) => {
    if (value === 1) return [];
    const subject = mountPointOf(labels);
    const how = describeTrouble(states.get(subject) ?? {}, {
      isStuck: (stuck.get(subject) ?? 0) > 0,
      isWriteStuck: (stuckWrites.get(subject) ?? 0) > 0,
      lastAnswer: answers.get(subject),
    });
    const summary = `${how} (${sourceOf(labels)})`;
    return [{ status: "critical", subject, summary, action: "check_storage" }];
  });
}

interface Trouble {
  readonly isStuck: boolean;
  readonly isWriteStuck: boolean;
  readonly lastAnswer: number | undefined;
}

function describeTrouble(probe: Labels, { isStuck, isWriteStuck, lastAnswer }: Trouble): string {
  const { state, step = "", error = "" } = probe;
  if (isStuck) return `hangs in ${step}${lastAnswer === undefined ? "" : `, last answer at ${timeOf(lastAnswer)}`}`;
  if (isWriteStuck) return "a write does not come back: is it frozen?";
  if (state === "slow") return "answers too late";
  if (state === "ok") return "answers again, and has to do so once more";
  return error === "" ? "fails" : `fails with ${error}`;
}

/** The prober has a state of it and says nothing about its health: the last probe is too long ago. */
function unanswered(judged: (family: string) => readonly Sample[]): Finding[] {
  const known = new Set(judged("aami_mount_healthy").map(({ labels }) => mountPointOf(labels)));
  return judged("aami_mount_probe_info").flatMap(({ labels }) => {
    const isProbed = labels["state"] !== "denied" && labels["state"] !== "held_back";
    const summary = "no probe has come to an end for a while";
    return isProbed && !known.has(mountPointOf(labels))
      ? [{ status: "unknown", subject: mountPointOf(labels), summary, action: "none" }]
      : [];
  });
}

/** A mount that is not probed has no state of its own: then only that it differs is known. */
function readOnlyMismatch(judged: (family: string) => readonly Sample[]): Finding[] {
  const states = new Map(judged("aami_mount_readonly").map(({ labels, value }) => [mountPointOf(labels), value]));
  return judged("aami_mount_readonly_expected_mismatch").flatMap(({ labels, value }) => {
    if (value === 0) return [];
    const subject = mountPointOf(labels);
    const state = states.get(subject);
    const summary =
      state === undefined
        ? "not mounted as expected, read-only or writable"
        : state === 1
          ? "read-only, and expected to be writable"
          : "writable, and expected to be read-only";
    return [{ status: levelOf(labels), subject, summary, action: "check_storage" }];
  });
}

function inodesExhausted({ labels, value }: Sample): Finding[] {
  if (value === 0) return [];
  const summary = "no inode left: no file can be created";
  return [{ status: "critical", subject: mountPointOf(labels), summary, action: "free_space" }];
}

function filesystemErrors({ labels, value }: Sample): Finding[] {
  if (value === 0) return [];
  const summary = `ext4 has recorded ${count(value, "error")} since its last fsck`;
  return [{ status: "warning", subject: mountPointOf(labels), summary, action: "check_storage" }];
}
