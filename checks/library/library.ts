import type { CheckLanguage, Permissions } from "../../protocol/manifest.ts";
import diskUsageScript from "./disk_usage.py" with { type: "text" };
import mountPointsScript from "./mount_points.sh" with { type: "text" };

/** A shipped script with the settings it starts with; the control server offers it as a template. Pure data. */
export interface LibraryCheck {
  readonly name: string;
  readonly scriptType: string;
  readonly description: string;
  readonly language: CheckLanguage;
  readonly version: string;
  readonly script: string;
  readonly defaultConfig: Readonly<Record<string, unknown>>;
  /** Without `paths` a node shows the check the mounts that its configuration names. */
  readonly permissions: Readonly<Partial<Permissions>>;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
}

export const checkLibrary: readonly LibraryCheck[] = [
  {
    name: "mount_points",
    scriptType: "mount",
    description: "Whether file systems are mounted, answer and can be written: mount_check{path} is 1 or 0.",
    language: "bash",
    version: "1.0.0",
    script: mountPointsScript,
    defaultConfig: { paths: ["/"] },
    permissions: {},
    intervalSeconds: 60,
    timeoutSeconds: 30,
  },
  {
    name: "disk_usage",
    scriptType: "disk",
    description:
      "How full file systems are: disk_usage_ratio, _size_bytes, _available_bytes and _inodes_ratio by path.",
    language: "python",
    version: "1.0.0",
    script: diskUsageScript,
    defaultConfig: { paths: ["/"] },
    permissions: {},
    intervalSeconds: 60,
    timeoutSeconds: 30,
  },
];
