import { Value } from "@sinclair/typebox/value";
import { expect, test } from "bun:test";
import { createMountFilter } from "../../collectors/mounts/filter.ts";
import { defaultMountPointsExclude, FilesystemOptions } from "../../collectors/mounts/options.ts";

const filterOf = (options: Partial<FilesystemOptions> = {}): ReturnType<typeof createMountFilter> =>
  createMountFilter(Value.Default(FilesystemOptions, { ...options }) as FilesystemOptions);

test.each<[string, Partial<FilesystemOptions>, mountPoint: string, fstype: string, watched: boolean]>([
  ["a disk", {}, "/data", "xfs", true],
  ["memory", {}, "/run", "tmpfs", true],
  ["a network mount", {}, "/models", "nfs4", true],
  ["another user's FUSE mount", {}, "/run/user/1000/gvfs", "fuse.gvfsd-fuse", true],
  ["a container's layers", {}, "/var/lib/docker/overlay2/abc/merged", "ext4", false],
  ["a folder that only begins alike", {}, "/system", "ext4", true],
  ["a kernel filesystem", {}, "/somewhere", "cgroup2", false],
  ["an automount", {}, "/home", "autofs", false],
  ["an included mount point", { mount_points_include: "^/data$" }, "/data", "xfs", true],
  ["any other beside an include pattern", { mount_points_include: "^/data$" }, "/", "ext4", false],
  ["an included type that the default leaves out", { fs_types_include: "^overlay$" }, "/", "overlay", true],
  ["the older flag in place of the default", { ignored_mount_points: "^/data" }, "/data", "xfs", false],
  ["what the default left out, with the older flag", { ignored_mount_points: "^/data" }, "/dev/shm", "tmpfs", true],
  ["the older flag for types", { ignored_fs_types: "^xfs$" }, "/data", "xfs", false],
])("%s", (_, options, mountPoint, fstype, watched) => {
  expect(filterOf(options)(mountPoint, fstype)).toBe(watched);
});

test.each<[string, Partial<FilesystemOptions>]>([
  ["include and exclude", { mount_points_include: "^/a", mount_points_exclude: "^/b" }],
  ["old and new exclude", { ignored_fs_types: "^a$", fs_types_exclude: "^b$" }],
  ["old exclude and include", { ignored_mount_points: "^/a", mount_points_include: "^/b" }],
])("%s contradict each other", (_, options) => {
  expect(() => filterOf(options)).toThrow("mutually exclusive");
});

test("the default is node_exporter's", () => {
  const upstream = "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
  expect(defaultMountPointsExclude).toBe(upstream);
});
