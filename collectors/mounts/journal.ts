import type { Logger } from "../../runtime/log.ts";
import type { StuckProcess } from "./probe-client.ts";
import { isRemote } from "./select.ts";
import type { MountState } from "./state.ts";
import type { Mount } from "./table.ts";

export interface Journal {
  /** Says what changed between two states of a mount; each episode of trouble is named once. */
  changed(mount: Mount, before: MountState, after: MountState, stuck?: StuckProcess): void;
  mounted(mount: Mount): void;
  unmounted(mount: Mount): void;
  readOnlyChanged(mount: Mount, readOnly: boolean): void;
}

export function createJournal(log: Logger, deadlineSeconds: number): Journal {
  return {
    changed: (mount, before, after, stuck) => {
      const facts = { ...nameOf(mount), step: after.step };
      const entered = after.health !== before.health;
      if (after.health === "stuck" && entered) {
        log.warn("mount is stuck, its probe cannot be killed", { ...facts, pid: stuck?.pid, wchan: stuck?.wchan });
      } else if (after.health === "slow" && entered && before.health !== "stuck") {
        log.warn("mount did not answer in time", { ...facts, deadline_seconds: deadlineSeconds });
      } else if (after.health === "failed" && (entered || after.errno !== before.errno)) {
        log.warn("mount answers with an error", { ...facts, errno: after.errno });
      } else if (after.health === "denied" && entered) {
        log.debug("mount may not be looked at", { ...facts, errno: after.errno });
      }
      if (hasTrouble(before) && !hasTrouble(after)) log.info("mount has recovered", nameOf(mount));
      if ((after.ext4Errors ?? 0) > (before.ext4Errors ?? 0)) {
        log.warn("filesystem has recorded errors", { ...nameOf(mount), errors: after.ext4Errors });
      }
    },
    mounted: (mount) => (isStorage(mount) ? log.info : log.debug)("mounted", nameOf(mount)),
    unmounted: (mount) => (isStorage(mount) ? log.info : log.debug)("unmounted", nameOf(mount)),
    readOnlyChanged: (mount, readOnly) =>
      readOnly
        ? log.warn("mount has become read-only", nameOf(mount))
        : log.info("mount has become writable", nameOf(mount)),
  };
}

export function nameOf({ mountPoint, source, fstype }: Mount): Record<string, string> {
  return { mountpoint: mountPoint, device: source, fstype };
}

// A login's tmpfs comes and goes; nobody looks for that in the log.
function isStorage({ fstype, source }: Mount): boolean {
  return isRemote(fstype) || source.startsWith("/dev/");
}

function hasTrouble({ health, unhealthy }: MountState): boolean {
  return unhealthy || health === "slow" || health === "stuck" || health === "failed";
}
