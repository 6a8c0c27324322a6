import { createDeviceFilter } from "../device-filter.ts";
import { defaultFsTypesExclude, defaultMountPointsExclude, type FilesystemOptions } from "./options.ts";

type FilterOptions = Pick<
  FilesystemOptions,
  | "mount_points_exclude"
  | "mount_points_include"
  | "fs_types_exclude"
  | "fs_types_include"
  | "ignored_mount_points"
  | "ignored_fs_types"
>;

/** Whether a mount is watched, by the host's name for it and its type; throws when the options contradict each other. */
export function createMountFilter(options: FilterOptions): (mountPoint: string, fstype: string) => boolean {
  const keepMountPoint = createDeviceFilter({
    flag: "collector.filesystem.mount-points",
    include: options.mount_points_include,
    exclude: pickExclude(
      options.mount_points_exclude,
      defaultMountPointsExclude,
      options.ignored_mount_points,
      "mount-points",
    ),
    exclusive: { defaultExclude: defaultMountPointsExclude },
  });
  const keepType = createDeviceFilter({
    flag: "collector.filesystem.fs-types",
    include: options.fs_types_include,
    exclude: pickExclude(options.fs_types_exclude, defaultFsTypesExclude, options.ignored_fs_types, "fs-types"),
    exclusive: { defaultExclude: defaultFsTypesExclude },
  });
  return (mountPoint, fstype) => keepMountPoint(mountPoint) && keepType(fstype);
}

/** The deprecated flag stands in for the default of the new one; both at once contradict each other. */
function pickExclude(exclude: string, defaultExclude: string, ignored: string, what: string): string {
  if (ignored === "") return exclude;
  if (exclude === defaultExclude) return ignored;
  throw new Error(
    `--collector.filesystem.ignored-${what} and --collector.filesystem.${what}-exclude are mutually exclusive`,
  );
}
