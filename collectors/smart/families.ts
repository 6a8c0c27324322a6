import type { Labels, MetricFamily } from "../collector.ts";
import { counter, createFamilySet, type FamilyHead, type FamilySet, gauge } from "../families.ts";
import { entriesAt, field, type Json, listAt, numberAt, textAt } from "./json.ts";

/** smartctl_exporter 0.14's names, types and rules, so that its dashboards keep working. */
const head = {
  device: gauge("smartctl_device", "Device info"),
  exitStatus: gauge("smartctl_device_smartctl_exit_status", "Exit status of smartctl on device"),
  smartStatus: gauge("smartctl_device_smart_status", "General smart status"),
  capacityBlocks: gauge("smartctl_device_capacity_blocks", "Device capacity in blocks"),
  capacityBytes: gauge("smartctl_device_capacity_bytes", "Device capacity in bytes"),
  nvmeCapacityBytes: gauge("smartctl_device_nvme_capacity_bytes", "NVMe device total capacity bytes"),
  blockSize: gauge("smartctl_device_block_size", "Device block size"),
  interfaceSpeed: gauge("smartctl_device_interface_speed", "Device interface speed, bits per second"),
  attribute: gauge("smartctl_device_attribute", "Device attributes"),
  powerOnSeconds: counter("smartctl_device_power_on_seconds", "Device power on seconds"),
  rotationRate: gauge("smartctl_device_rotation_rate", "Device rotation rate"),
  temperature: gauge("smartctl_device_temperature", "Device temperature celsius"),
  powerCycleCount: counter("smartctl_device_power_cycle_count", "Device power cycle count"),
  state: gauge("smartctl_device_state", "Device state (0=active, 1=standby, 2=sleep, 3=dst, 4=offline, 5=sct)"),
  statistics: gauge("smartctl_device_statistics", "Device statistics"),
  errorLogCount: gauge("smartctl_device_error_log_count", "Device SMART error log count"),
  selfTestLogCount: gauge("smartctl_device_self_test_log_count", "Device SMART self test log count"),
  selfTestLogErrors: gauge("smartctl_device_self_test_log_error_count", "Device SMART self test log error count"),
  ercSeconds: gauge("smartctl_device_erc_seconds", "Device SMART Error Recovery Control Seconds"),
  bytesRead: counter("smartctl_device_bytes_read", ""),
  bytesWritten: counter("smartctl_device_bytes_written", ""),
  grownDefects: gauge("smartctl_scsi_grown_defect_list", "Device SCSI grown defect list counter"),
};

/** Fields of the NVMe health log that are published as they are (typed counter by the exporter, so by us). */
const nvmeHealth: readonly (readonly [key: string, family: FamilyHead])[] = [
  ["percentage_used", counter("smartctl_device_percentage_used", "Device write percentage used")],
  [
    "available_spare",
    counter(
      "smartctl_device_available_spare",
      "Normalized percentage (0 to 100%) of the remaining spare capacity available",
    ),
  ],
  [
    "available_spare_threshold",
    counter(
      "smartctl_device_available_spare_threshold",
      "When the Available Spare falls below the threshold indicated in this field, an asynchronous event completion may occur. The value is indicated as a normalized percentage (0 to 100%)",
    ),
  ],
  [
    "critical_warning",
    counter(
      "smartctl_device_critical_warning",
      "This field indicates critical warnings for the state of the controller",
    ),
  ],
  [
    "media_errors",
    counter(
      "smartctl_device_media_errors",
      "Contains the number of occurrences where the controller detected an unrecovered data integrity error. Errors such as uncorrectable ECC, CRC checksum failure, or LBA tag mismatch are included in this field",
    ),
  ],
  [
    "num_err_log_entries",
    counter(
      "smartctl_device_num_err_log_entries",
      "Contains the number of Error Information log entries over the life of the controller",
    ),
  ],
];

const scsiErrorFields: readonly (readonly [key: string, suffix: string, words: string])[] = [
  [
    "errors_corrected_by_rereads_rewrites",
    "errors_corrected_by_rereads_rewrites",
    "Errors Corrected by ReReads/ReWrites",
  ],
  ["errors_corrected_by_eccfast", "errors_corrected_by_eccfast", "Errors Corrected by ECC Fast"],
  ["errors_corrected_by_eccdelayed", "errors_corrected_by_eccdelayed", "Errors Corrected by ECC Delayed"],
  ["total_uncorrected_errors", "total_uncorrected_errors", "Total Uncorrected Errors"],
];

const attributeFlags = ["prefailure", "updated_online", "performance", "error_rate", "event_count", "auto_keep"];
const statisticFlags = ["valid", "normalized", "supports_dsn", "monitored_condition_met"];

/** One data unit of the NVMe health log is 1000 blocks of 512 bytes, whatever the namespace's block size. */
const nvmeDataUnitBytes = 512_000;

/** The exporter's `device` label: no /dev/, no slash, and the type as well where several disks share one node. */
export function deviceLabel(report: Json): string {
  const type = textAt(report, "device", "type") ?? "";
  const name = (textAt(report, "device", "name") ?? "")
    .replace(/^\/dev\/(disk\/by-id\/|disk\/by-path\/|)/, "")
    .replaceAll("/", "_");
  return type.includes(",") ? `${name}_${type.replaceAll(",", "_")}` : name;
}

/** All families of one device's report under `device`. */
export function smartFamilies(report: Json, device: string): MetricFamily[] {
  const set = createFamilySet();
  addIdentity(set, report, device);
  addCommon(set, report, device);
  addAta(set, report, device);
  const type = textAt(report, "device", "type");
  if (type === "nvme") addNvme(set, report, device);
  if (type === "scsi") addScsi(set, report, device);
  return set.list();
}

function addIdentity(set: FamilySet, report: Json, device: string): void {
  const text = (...keys: string[]): string => textAt(report, ...keys) ?? "";
  const labels: Labels = {
    device,
    interface: text("device", "type"),
    protocol: text("device", "protocol"),
    model_family: textAt(report, "model_family") ?? "unknown",
    model_name: textAt(report, "model_name") ?? textAt(report, "scsi_model_name") ?? "unknown",
    serial_number: text("serial_number"),
    ata_additional_product_id: textAt(report, "ata_additional_product_id") ?? "unknown",
    firmware_version: text("firmware_version"),
    ata_version: text("ata_version", "string"),
    sata_version: text("sata_version", "string"),
    form_factor: text("form_factor", "name"),
    scsi_vendor: text("scsi_vendor"),
    scsi_product: text("scsi_product"),
    scsi_revision: text("scsi_revision"),
    scsi_version: text("scsi_version"),
  };
  set.add(head.device, labels, 1);
}

function addCommon(set: FamilySet, report: Json, device: string): void {
  const labels = { device };
  set.add(head.exitStatus, labels, numberAt(report, "smartctl", "exit_status"));
  // RAID volumes and some controllers give no verdict: that is "unknown", never "failed".
  const passed = field(report, "smart_status", "passed");
  if (typeof passed === "boolean") set.add(head.smartStatus, labels, passed ? 1 : 0);
  set.add(head.capacityBlocks, labels, numberAt(report, "user_capacity", "blocks") ?? 0);
  set.add(head.capacityBytes, labels, numberAt(report, "user_capacity", "bytes") ?? 0);
  set.add(head.nvmeCapacityBytes, labels, numberAt(report, "nvme_total_capacity"));
  for (const kind of ["logical", "physical"]) {
    set.add(head.blockSize, { device, blocks_type: kind }, numberAt(report, `${kind}_block_size`) ?? 0);
  }
  for (const kind of ["max", "current"]) {
    const units = numberAt(report, "interface_speed", kind, "units_per_second");
    const bits = numberAt(report, "interface_speed", kind, "bits_per_unit");
    if (units !== undefined && bits !== undefined) {
      set.add(head.interfaceSpeed, { device, speed_type: kind }, units * bits);
    }
  }
  const hours = numberAt(report, "power_on_time", "hours");
  if (hours !== undefined) {
    set.add(head.powerOnSeconds, labels, hours * 3600 + (numberAt(report, "power_on_time", "minutes") ?? 0) * 60);
  }
  const rotationRate = numberAt(report, "rotation_rate");
  if (rotationRate !== undefined && rotationRate > 0) set.add(head.rotationRate, labels, rotationRate);
  for (const [kind, value] of entriesAt(report, "temperature")) {
    if (typeof value === "number") set.add(head.temperature, { device, temperature_type: kind }, value);
  }
  const cycles =
    numberAt(report, "power_cycle_count") ??
    numberAt(report, "scsi_start_stop_cycle_counter", "accumulated_start_stop_cycles");
  set.add(head.powerCycleCount, labels, cycles);
}

function addAta(set: FamilySet, report: Json, device: string): void {
  for (const attribute of listAt(report, "ata_smart_attributes", "table")) addAttribute(set, attribute, device);
  // smartctl_exporter publishes 0 whatever the state, since it reads the object as a number; this is the number.
  set.add(head.state, { device }, numberAt(report, "ata_sct_status", "device_state", "value"));
  addStatistics(set, report, device);
  for (const [kind, log] of entriesAt(report, "ata_smart_error_log")) {
    set.add(head.errorLogCount, { device, error_log_type: kind }, numberAt(log, "count"));
  }
  // An empty self-test log has no error total, and a disabled recovery limit no time: both are 0 to the exporter.
  for (const [kind, log] of entriesAt(report, "ata_smart_self_test_log")) {
    if (kind !== "standard" && kind !== "extended") continue;
    const labels = { device, self_test_log_type: kind };
    set.add(head.selfTestLogCount, labels, numberAt(log, "count"));
    set.add(head.selfTestLogErrors, labels, numberAt(log, "error_count_total") ?? 0);
  }
  for (const [operation, limit] of entriesAt(report, "ata_sct_erc")) {
    if (operation !== "read" && operation !== "write") continue;
    set.add(head.ercSeconds, { device, op_type: operation }, (numberAt(limit, "deciseconds") ?? 0) / 10);
  }
}

function addAttribute(set: FamilySet, attribute: Json, device: string): void {
  const labels: Labels = {
    device,
    attribute_name: textAt(attribute, "name") ?? "",
    attribute_flags_short: textAt(attribute, "flags", "string") ?? "",
    attribute_flags_long: trueFlags(field(attribute, "flags"), attributeFlags),
    attribute_id: String(numberAt(attribute, "id") ?? ""),
  };
  for (const kind of ["value", "worst", "thresh"]) {
    set.add(head.attribute, { ...labels, attribute_value_type: kind }, numberAt(attribute, kind));
  }
  set.add(head.attribute, { ...labels, attribute_value_type: "raw" }, numberAt(attribute, "raw", "value"));
}

function addStatistics(set: FamilySet, report: Json, device: string): void {
  for (const page of listAt(report, "ata_device_statistics", "pages")) {
    const table = textAt(page, "name") ?? "";
    if (table === "Vendor Specific Statistics") continue;
    for (const row of listAt(page, "table")) {
      const labels: Labels = {
        device,
        statistic_table: table,
        statistic_name: textAt(row, "name") ?? "",
        statistic_flags_short: textAt(row, "flags", "string") ?? "",
        statistic_flags_long: trueFlags(field(row, "flags"), statisticFlags),
      };
      set.add(head.statistics, labels, numberAt(row, "value"));
    }
  }
  for (const row of listAt(report, "sata_phy_event_counters", "table")) {
    const labels: Labels = {
      device,
      statistic_table: "SATA PHY Event Counters",
      statistic_name: textAt(row, "name") ?? "",
      statistic_flags_short: "V---",
      statistic_flags_long: "valid",
    };
    set.add(head.statistics, labels, numberAt(row, "value"));
  }
}

function addNvme(set: FamilySet, report: Json, device: string): void {
  const labels = { device };
  const log = field(report, "nvme_smart_health_information_log");
  for (const [key, family] of nvmeHealth) set.add(family, labels, numberAt(log, key));
  const bytes = (key: string): number | undefined => {
    const units = numberAt(log, key);
    return units === undefined || units === 0 ? undefined : units * nvmeDataUnitBytes;
  };
  set.add(head.bytesRead, labels, bytes("data_units_read"));
  set.add(head.bytesWritten, labels, bytes("data_units_written"));
}

function addScsi(set: FamilySet, report: Json, device: string): void {
  const labels = { device };
  set.add(head.grownDefects, labels, numberAt(report, "scsi_grown_defect_list"));
  const log = field(report, "scsi_error_counter_log");
  if (log === undefined) return;
  for (const [direction, family] of [
    ["read", head.bytesRead],
    ["write", head.bytesWritten],
  ] as const) {
    // A decimal string, e.g. "111593.179".
    const gigabytes = Number(textAt(log, direction, "gigabytes_processed") ?? Number.NaN);
    if (!Number.isNaN(gigabytes)) set.add(family, labels, gigabytes * 1e9);
    for (const [key, suffix, words] of scsiErrorFields) {
      const title = direction === "read" ? "Read" : "Write";
      set.add(
        gauge(`smartctl_${direction}_${suffix}`, `${title} ${words}`),
        labels,
        numberAt(log, direction, key) ?? 0,
      );
    }
  }
}

function trueFlags(flags: Json, names: readonly string[]): string {
  return names.filter((name) => field(flags, name) === true).join(",");
}
