import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { counter, createFamilySet, type FamilyHead } from "./families.ts";
import { listIfPresent, parseDecimal, readAttribute } from "./read.ts";

const total = (name: string, help: string): FamilyHead => counter(`node_xfs_${name}_total`, help);

/** Families by first word of a line of /sys/fs/xfs/<device>/stats/stats, in the order of the numbers that follow it. */
const lines: Readonly<Record<string, readonly FamilyHead[]>> = {
  extent_alloc: [
    total("extent_allocation_extents_allocated", "Number of extents allocated for a filesystem."),
    total("extent_allocation_blocks_allocated", "Number of blocks allocated for a filesystem."),
    total("extent_allocation_extents_freed", "Number of extents freed for a filesystem."),
    total("extent_allocation_blocks_freed", "Number of blocks freed for a filesystem."),
  ],
  abt: [
    total("allocation_btree_lookups", "Number of allocation B-tree lookups for a filesystem."),
    total("allocation_btree_compares", "Number of allocation B-tree compares for a filesystem."),
    total("allocation_btree_records_inserted", "Number of allocation B-tree records inserted for a filesystem."),
    total("allocation_btree_records_deleted", "Number of allocation B-tree records deleted for a filesystem."),
  ],
  blk_map: [
    total("block_mapping_reads", "Number of block map for read operations for a filesystem."),
    total("block_mapping_writes", "Number of block map for write operations for a filesystem."),
    total("block_mapping_unmaps", "Number of block unmaps (deletes) for a filesystem."),
    total("block_mapping_extent_list_insertions", "Number of extent list insertions for a filesystem."),
    total("block_mapping_extent_list_deletions", "Number of extent list deletions for a filesystem."),
    total("block_mapping_extent_list_lookups", "Number of extent list lookups for a filesystem."),
    total("block_mapping_extent_list_compares", "Number of extent list compares for a filesystem."),
  ],
  bmbt: [
    total("block_map_btree_lookups", "Number of block map B-tree lookups for a filesystem."),
    total("block_map_btree_compares", "Number of block map B-tree compares for a filesystem."),
    total("block_map_btree_records_inserted", "Number of block map B-tree records inserted for a filesystem."),
    total("block_map_btree_records_deleted", "Number of block map B-tree records deleted for a filesystem."),
  ],
  dir: [
    total(
      "directory_operation_lookup",
      "Number of file name directory lookups which miss the operating systems directory name lookup cache.",
    ),
    total("directory_operation_create", "Number of times a new directory entry was created for a filesystem."),
    total("directory_operation_remove", "Number of times an existing directory entry was created for a filesystem."),
    total(
      "directory_operation_getdents",
      "Number of times the directory getdents operation was performed for a filesystem.",
    ),
  ],
  ig: [
    total("inode_operation_attempts", "Number of times the OS looked for an XFS inode in the inode cache."),
    total("inode_operation_found", "Number of times the OS looked for and found an XFS inode in the inode cache."),
    total(
      "inode_operation_recycled",
      "Number of times the OS found an XFS inode in the cache, but could not use it as it was being recycled.",
    ),
    total(
      "inode_operation_missed",
      "Number of times the OS looked for an XFS inode in the cache, but did not find it.",
    ),
    total(
      "inode_operation_duplicates",
      "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it had already been added by another process.",
    ),
    total(
      "inode_operation_reclaims",
      "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for another purpose.",
    ),
    total(
      "inode_operation_attribute_changes",
      "Number of times the OS explicitly changed the attributes of an XFS inode.",
    ),
  ],
  rw: [
    total("write_calls", "Number of write(2) system calls made to files in a filesystem."),
    total("read_calls", "Number of read(2) system calls made to files in a filesystem."),
  ],
  vnodes: [
    total("vnode_active", "Number of vnodes not on free lists for a filesystem."),
    total("vnode_allocate", "Number of times vn_alloc called for a filesystem."),
    total("vnode_get", "Number of times vn_get called for a filesystem."),
    total("vnode_hold", "Number of times vn_hold called for a filesystem."),
    total("vnode_release", "Number of times vn_rele called for a filesystem."),
    total("vnode_reclaim", "Number of times vn_reclaim called for a filesystem."),
    total("vnode_remove", "Number of times vn_remove called for a filesystem."),
  ],
};

export const xfs = defineCollector({
  name: "xfs",
  description: "XFS statistics of each mounted filesystem.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host): Promise<MetricFamily[]> => {
      const families = createFamilySet();
      const folder = `${host.sysPath}/fs/xfs`;
      for (const device of listIfPresent(folder)) {
        const text = readAttribute(host, `${folder}/${device}/stats/stats`) ?? "";
        for (const { family, value } of parseXfsStats(text)) {
          if (value === undefined) host.skipped(`${family.name} of ${device}`, new Error("not a number"));
          families.add(family, { device }, value);
        }
      }
      return families.list();
    },
  }),
});

/** Lines and numbers of newer kernels are passed over, those that an older one lacks are left out. */
export function parseXfsStats(text: string): { family: FamilyHead; value: number | undefined }[] {
  return text.split("\n").flatMap((line) => {
    const [word = "", ...numbers] = line.trim().split(/\s+/);
    const families = (lines[word] ?? []).slice(0, numbers.length);
    return families.map((family, index) => ({ family, value: parseDecimal(numbers[index] ?? "") }));
  });
}
