import { isNumberedType, type PolledDevice } from "./device.ts";
import { field, type Json, numberAt, textAt } from "./json.ts";

/**
 * The devices to publish. A disk that is seen twice, passed through by a RAID controller and as a disk of the kernel, or
 * over two paths, is shown once, under the kernel's first name that answers. A RAID volume has no SMART of its own: its
 * disks do.
 */
export function visibleDevices(devices: readonly PolledDevice[]): PolledDevice[] {
  const seen = new Set<string>();
  return devices
    .filter(({ report }) => !isRaidVolume(report))
    .toSorted((a, b) => Number(isNumberedType(a)) - Number(isNumberedType(b)) || compareNames(a, b))
    .filter((device) => {
      // A path that is lost is trouble to be shown, and hides no other path to the same disk.
      if (!isNumberedType(device) && device.state !== "ok" && device.state !== "standby") return true;
      const { names, serial } = identify(device.report);
      // Cheap disks and bridges share serial numbers, so between two disks of the kernel a serial number says nothing.
      const asked = isNumberedType(device) ? [...names, ...serial] : names;
      const isKnown = asked.some((name) => seen.has(name));
      for (const name of [...names, ...serial]) seen.add(name);
      return !isKnown;
    });
}

/** sda before sdb before sdaa. */
function compareNames({ target: { key: a } }: PolledDevice, { target: { key: b } }: PolledDevice): number {
  return a.length - b.length || (a < b ? -1 : 1);
}

function identify(report: Json): { readonly names: string[]; readonly serial: string[] } {
  const unit = textAt(report, "logical_unit_id");
  const [naa, oui, id] = ["naa", "oui", "id"].map((part) => numberAt(report, "wwn", part));
  const names = unit === undefined ? [] : [`unit ${unit}`];
  if (id !== undefined && id > 0) names.push(`wwn ${naa}:${oui}:${id}`);
  const serialNumber = textAt(report, "serial_number");
  const model = textAt(report, "model_name") ?? textAt(report, "scsi_model_name") ?? "";
  return { names, serial: serialNumber === undefined ? [] : [`serial ${model} ${serialNumber}`] };
}

const raidVolume = /^(LSI|AVAGO|BROADCOM|DELL PERC|INTEL RAID|HPE? LOGICAL VOLUME)/i;

function isRaidVolume(report: Json): boolean {
  if (report === undefined || field(report, "smart_status") !== undefined) return false;
  const name = [textAt(report, "scsi_vendor"), textAt(report, "scsi_product")].filter(Boolean).join(" ");
  return raidVolume.test(name);
}
