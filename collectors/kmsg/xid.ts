/** A report of the NVIDIA driver about a GPU, "NVRM: Xid (PCI:0000:3b:00): 79, …". */
export interface Xid {
  /** Domain, bus and device, lower case: "0000:3b:00". The driver leaves the function out. */
  readonly pciBusId: string;
  readonly code: number;
  /** GPU instance and compute instance of a MIG slice. */
  readonly gpuInstance: number | undefined;
  readonly computeInstance: number | undefined;
  readonly pid: number | undefined;
  readonly processName: string | undefined;
  readonly message: string;
  /** This one only follows from another. */
  readonly causedBy: number | undefined;
}

const parts = [
  /NVRM: Xid \((?:PCI:)?(?<bus>[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2})(?:\.[0-7])?/,
  /(?: GPU-I:(?<gi>\d+))?(?: GPU-CI:(?<ci>\d+))?\): (?<code>\d+)/,
  /(?:, pid='?(?<pid>[^,']+)'?)?(?:, name=(?<name>[^,]*))?(?:, (?<message>.*))?$/s,
];
/** Very old drivers leave out "PCI:"; newer ones add the MIG instances, which simpler expressions stumble over. */
export const xidPattern = new RegExp(parts.map(({ source }) => source).join(""), "s");

export function parseXid(text: string): Xid | undefined {
  const groups = xidPattern.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const { bus = "", code, gi, ci, pid, name, message = "" } = groups;
  const causedBy = /caused by previous Xid (\d+)\s*$/.exec(message)?.[1];
  const count = (digits: string | undefined): number | undefined =>
    digits !== undefined && /^\d+$/.test(digits) ? Number(digits) : undefined;
  return {
    pciBusId: bus.toLowerCase(),
    code: Number(code),
    gpuInstance: count(gi),
    computeInstance: count(ci),
    pid: count(pid),
    processName: name === "" ? undefined : name,
    message,
    causedBy: count(causedBy),
  };
}
