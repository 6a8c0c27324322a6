import { chmodSync, writeFileSync } from "node:fs";

const health = {
  critical_warning: 0,
  temperature: 38,
  available_spare: 100,
  available_spare_threshold: 10,
  percentage_used: 3,
  data_units_read: 1_234_567,
  data_units_written: 2_345_678,
  host_reads: 34_567_890,
  host_writes: 45_678_901,
  controller_busy_time: 123,
  power_cycles: 17,
  power_on_hours: 8760,
  unsafe_shutdowns: 2,
  media_errors: 0,
  num_err_log_entries: 0,
};

/** Test equipment: a smartctl that has an answer for any NVMe drive, the same but for its name and serial number. */
export function writeScriptedSmartctl(file: string): void {
  const report = {
    json_format_version: [1, 0],
    smartctl: { version: [7, 4], exit_status: 0 },
    device: { name: "@PATH@", type: "nvme", protocol: "NVMe" },
    model_name: "SYNTHETIC 3.84TB",
    serial_number: "@PATH@",
    firmware_version: "GDC5302Q",
    user_capacity: { blocks: 7_501_476_528, bytes: 3_840_755_982_336 },
    logical_block_size: 512,
    smart_status: { passed: true, nvme: { value: 0 } },
    nvme_smart_health_information_log: health,
    temperature: { current: 38 },
    power_cycle_count: 17,
    power_on_time: { hours: 8760 },
  };
  const script = `#!/bin/bash
report='${JSON.stringify(report)}'
case "\${*: -1}" in
  --scan) echo '{"smartctl":{"version":[7,4],"exit_status":0}}' ;;
  *) echo "\${report//@PATH@/\${*: -1}}" ;;
esac
`;
  writeFileSync(file, script);
  chmodSync(file, 0o755);
}
