/** The table of sensor values that the SMU firmware fills, /sys/class/drm/card<n>/device/gpu_metrics, little endian. */
export interface GpuMetrics {
  /** "1.4": format and content revision. */
  readonly version: string;
  /** Undefined when this version has no such field, or the firmware says that it has no value. */
  value(field: string): number | undefined;
  /** Elements of an array field; undefined ones keep their place. Empty when this version has no such field. */
  list(field: string): readonly (number | undefined)[];
}

export class GpuMetricsError extends Error {
  override readonly name = "GpuMetricsError";
}

type Width = 2 | 4 | 8;
interface Field {
  readonly offset: number;
  readonly width: Width;
  readonly count: number;
}
interface Layout {
  readonly size: number;
  readonly fields: Readonly<Record<string, Field>>;
}

/** "40:u32 throttle_status, 104:u64 xgmi_read_data_acc[8]", as in the kernel's kgd_pp_interface.h; offsets are natural. */
function layout(size: number, declarations: string): Layout {
  const fields: Record<string, Field> = {};
  for (const [, offset, bits, name = "", count] of declarations.matchAll(/(\d+):u(16|32|64) (\w+)(?:\[(\d+)\])?/g)) {
    fields[name] = { offset: Number(offset), width: (Number(bits) / 8) as Width, count: Number(count ?? 1) };
  }
  return { size, fields };
}

/** Versions by number and size: one kernel's early 1.6 was laid out differently. 2.x and 3.x are those of APUs. */
const layouts: Readonly<Record<string, Layout>> = {
  // MI200 and Radeon
  "1.3": layout(
    120,
    `4:u16 temperature_edge 6:u16 temperature_hotspot 8:u16 temperature_mem 16:u16 average_gfx_activity
     18:u16 average_umc_activity 22:u16 average_socket_power 24:u64 energy_accumulator 54:u16 current_gfxclk[1]
     56:u16 current_socclk[1] 58:u16 current_uclk 60:u16 current_vclk0[1] 62:u16 current_dclk0[1] 68:u32 throttle_status
     88:u16 temperature_hbm[4]`,
  ),
  // MI300
  "1.4": layout(
    288,
    `4:u16 temperature_hotspot 6:u16 temperature_mem 10:u16 current_socket_power 12:u16 average_gfx_activity
     14:u16 average_umc_activity 16:u16 vcn_activity[4] 24:u64 energy_accumulator 40:u32 throttle_status
     48:u16 pcie_link_width 50:u16 pcie_link_speed 64:u64 pcie_bandwidth_acc 72:u64 pcie_bandwidth_inst
     80:u64 pcie_l0_to_recov_count_acc 88:u64 pcie_replay_count_acc 96:u64 pcie_replay_rover_count_acc
     104:u64 xgmi_read_data_acc[8] 168:u64 xgmi_write_data_acc[8] 240:u16 current_gfxclk[8] 256:u16 current_socclk[4]
     264:u16 current_vclk0[4] 272:u16 current_dclk0[4] 280:u16 current_uclk`,
  ),
  "1.5": layout(
    360,
    `4:u16 temperature_hotspot 6:u16 temperature_mem 10:u16 current_socket_power 12:u16 average_gfx_activity
     14:u16 average_umc_activity 16:u16 vcn_activity[4] 24:u16 jpeg_activity[32] 88:u64 energy_accumulator
     104:u32 throttle_status 112:u16 pcie_link_width 114:u16 pcie_link_speed 128:u64 pcie_bandwidth_acc
     136:u64 pcie_bandwidth_inst 144:u64 pcie_l0_to_recov_count_acc 152:u64 pcie_replay_count_acc
     160:u64 pcie_replay_rover_count_acc 168:u32 pcie_nak_sent_count_acc 172:u32 pcie_nak_rcvd_count_acc
     176:u64 xgmi_read_data_acc[8] 240:u64 xgmi_write_data_acc[8] 312:u16 current_gfxclk[8] 328:u16 current_socclk[4]
     336:u16 current_vclk0[4] 344:u16 current_dclk0[4] 352:u16 current_uclk`,
  ),
  "1.6": layout(
    1664,
    `4:u16 temperature_hotspot 6:u16 temperature_mem 10:u16 current_socket_power 12:u16 average_gfx_activity
     14:u16 average_umc_activity 16:u64 energy_accumulator 32:u32 accumulation_counter 36:u32 prochot_residency_acc
     40:u32 ppt_residency_acc 44:u32 socket_thm_residency_acc 48:u32 vr_thm_residency_acc 52:u32 hbm_thm_residency_acc
     60:u16 pcie_link_width 62:u16 pcie_link_speed 80:u64 pcie_bandwidth_acc 88:u64 pcie_bandwidth_inst
     96:u64 pcie_l0_to_recov_count_acc 104:u64 pcie_replay_count_acc 112:u64 pcie_replay_rover_count_acc
     120:u32 pcie_nak_sent_count_acc 124:u32 pcie_nak_rcvd_count_acc 128:u64 xgmi_read_data_acc[8]
     192:u64 xgmi_write_data_acc[8] 264:u16 current_gfxclk[8] 280:u16 current_socclk[4] 288:u16 current_vclk0[4]
     296:u16 current_dclk0[4] 304:u16 current_uclk 306:u16 num_partition ${partitionFields()}`,
  ),
};

/** What 1.6 tells of each of up to eight partitions: gfx_busy_inst_0[8], jpeg_busy_0[32], vcn_busy_0[4], … */
function partitionFields(): string {
  const [first, stride] = [312, 168];
  return Array.from({ length: 8 }, (_, index) => {
    const at = first + index * stride;
    return `${at}:u32 gfx_busy_inst_${index}[8] ${at + 32}:u16 jpeg_busy_${index}[32] ${at + 96}:u16 vcn_busy_${index}[4]`;
  }).join(" ");
}

/** Throws GpuMetricsError for a table of another version or size: offsets may only be used where they are known. */
export function parseGpuMetrics(bytes: Buffer): GpuMetrics {
  if (bytes.length < 4) throw new GpuMetricsError(`gpu_metrics has only ${bytes.length} bytes`);
  const size = bytes.readUInt16LE(0);
  const version = `${bytes[2]}.${bytes[3]}`;
  const known = layouts[version];
  if (known === undefined || known.size !== size) {
    throw new GpuMetricsError(`gpu_metrics version ${version} of ${size} bytes is not known`);
  }
  if (bytes.length < size) throw new GpuMetricsError(`gpu_metrics says ${size} bytes and has ${bytes.length}`);
  const list = (name: string): (number | undefined)[] => {
    const field = known.fields[name];
    if (field === undefined) return [];
    return Array.from({ length: field.count }, (_, index) =>
      readElement(bytes, field.offset + index * field.width, field.width),
    );
  };
  return { version, list, value: (name) => list(name)[0] };
}

/** All bits set means that there is no value. */
function readElement(bytes: Buffer, at: number, width: Width): number | undefined {
  if (width === 8) {
    const value = bytes.readBigUInt64LE(at);
    return value === 0xffff_ffff_ffff_ffffn ? undefined : Number(value);
  }
  const value = bytes.readUIntLE(at, width);
  return value === 256 ** width - 1 ? undefined : value;
}
