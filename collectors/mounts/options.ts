import { type Static, Type } from "@sinclair/typebox";

export const defaultMountPointsExclude =
  "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
export const defaultFsTypesExclude =
  "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|" +
  "proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$";

const absolutePath = { pattern: "^/", expects: "a path that begins with /" } as const;

const ExpectedMount = Type.Object(
  {
    mount_point: Type.String({ ...absolutePath, description: "Where it has to be mounted." }),
    fs_types: Type.Optional(Type.Array(Type.String(), { minItems: 1, description: "Filesystem types, any of them." })),
    source: Type.Optional(
      Type.String({
        description: "Device or export as mount(8) shows it, or UUID=…, LABEL=…, PARTUUID=…, PARTLABEL=….",
      }),
    ),
    read_only: Type.Optional(Type.Boolean({ description: "Whether it has to be read-only or writable." })),
    level: Type.Union([Type.Literal("critical"), Type.Literal("warning")], {
      default: "critical",
      description: "How bad it is when the mount is missing.",
    }),
  },
  { additionalProperties: false },
);

const WriteTests = Type.Object(
  {
    mount_points: Type.Array(Type.String(absolutePath), {
      default: [],
      description: "Mounts to write to; none by default.",
    }),
    interval_seconds: Type.Number({ default: 600, minimum: 1, description: "Between two tests of a mount, ±20 %." }),
    timeout_seconds: Type.Number({ default: 10, minimum: 0.1, description: "After this a write counts as blocked." }),
    directory: Type.String({
      default: ".aami",
      pattern: "^(?!(.*/)?\\.\\.(/|$))[^/]",
      expects: 'a path below the mount point, without ".."',
      description: "Below the mount point; each node writes in a folder of its own there.",
    }),
    node_name: Type.String({
      default: "",
      pattern: "^(?!\\.{1,2}$)[^/]*$",
      expects: "the name of a folder",
      description: "Name of this node's folder; the host name when empty.",
    }),
    uid: Type.Optional(
      Type.Integer({ minimum: 1, description: "User (and group) to write as, where root is mapped to nobody." }),
    ),
  },
  { additionalProperties: false, default: {} },
);

/** The options with a flag are node_exporter's, with its defaults. */
export const FilesystemOptions = Type.Object(
  {
    mount_points_exclude: Type.String({
      default: defaultMountPointsExclude,
      flag: "collector.filesystem.mount-points-exclude",
      description: "Regexp of mount points to leave out; excludes mount_points_include.",
    }),
    mount_points_include: Type.String({
      default: "",
      flag: "collector.filesystem.mount-points-include",
      description: "Regexp of mount points to watch; excludes mount_points_exclude.",
    }),
    fs_types_exclude: Type.String({
      default: defaultFsTypesExclude,
      flag: "collector.filesystem.fs-types-exclude",
      description: "Regexp of filesystem types to leave out; excludes fs_types_include.",
    }),
    fs_types_include: Type.String({
      default: "",
      flag: "collector.filesystem.fs-types-include",
      description: "Regexp of filesystem types to watch; excludes fs_types_exclude.",
    }),
    ignored_mount_points: Type.String({
      default: "",
      flag: "collector.filesystem.ignored-mount-points",
      hidden: true,
      deprecated: true,
      replacedBy: "mount_points_exclude",
      description: "Older name of mount_points_exclude.",
    }),
    ignored_fs_types: Type.String({
      default: "",
      flag: "collector.filesystem.ignored-fs-types",
      hidden: true,
      deprecated: true,
      replacedBy: "fs_types_exclude",
      description: "Older name of fs_types_exclude.",
    }),
    mount_timeout_seconds: Type.Number({
      default: 5,
      minimum: 0.1,
      maximum: 300,
      flag: "collector.filesystem.mount-timeout",
      // The flag's value is a duration with a unit: "5s", "500ms".
      duration: true,
      hidden: true,
      description: "How long a mount may take to answer a probe.",
    }),
    stat_workers: Type.Integer({
      default: 4,
      minimum: 1,
      flag: "collector.filesystem.stat-workers",
      hidden: true,
      description: "Accepted for node_exporter's sake and without effect: mounts are probed in the background.",
    }),
    probe_interval_seconds: Type.Number({
      default: 30,
      minimum: 0.1,
      description: "Between two probes of a mount, ±10 %.",
    }),
    table_interval_seconds: Type.Number({
      default: 5,
      minimum: 0.05,
      description: "Between two looks at the mount table.",
    }),
    max_stuck_probes: Type.Integer({
      default: 8,
      minimum: 1,
      maximum: 64,
      description: "With this many probes stuck in the kernel no further remote mount is probed.",
    }),
    expected: Type.Array(ExpectedMount, { default: [], description: "Mounts that have to be there." }),
    expect_fstab: Type.Boolean({ default: false, description: "Expect the mounts of /etc/fstab as well." }),
    write_tests: WriteTests,
  },
  { additionalProperties: false },
);
export type FilesystemOptions = Static<typeof FilesystemOptions>;
