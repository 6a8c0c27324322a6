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
  /** Of an NVLink 5 error, codes 144 to 150. */
  readonly link: LinkError | undefined;
}

/** What "NETIR_LINK_EVT Fatal XC0 i0 Link 08 (0x004505c6 0x00000000 …)" says; only the two words are always there. */
export interface LinkError {
  /** The driver's own word. */
  readonly severity: "fatal" | "nonfatal" | "unknown";
  /** "0x004001c6": the unit and its sub-code. The bits that number link and instance are cleared. */
  readonly info: string;
  /** "0x00000001" */
  readonly status: string;
}

const parts = [
  /^NVRM: Xid \((?:PCI:)?(?<bus>[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2})(?:\.[0-7])?/,
  /(?: GPU-I:(?<gi>\d+))?(?: GPU-CI:(?<ci>\d+))?\): (?<code>\d+)/,
  /(?:, pid='?(?<pid>[^,']+)'?)?(?:, name=(?<name>[^,]*))?(?:, (?<message>.*))?$/s,
];
/** Very old drivers leave out "PCI:"; newer ones add the MIG instances, which simpler expressions stumble over. */
export const xidPattern = new RegExp(parts.map(({ source }) => source).join(""), "s");

/** Bits 20 to 25 are the sub-code, the lowest ten name the unit. */
const infoMask = 0x03f003ff;
const linkWords = /(?:\b(?<word>Fatal|Nonfatal)\b.*)?\(0x(?<info>[0-9a-f]{8}) 0x(?<status>[0-9a-f]{8})\b/i;

function parseLinkError(code: number, message: string): LinkError | undefined {
  const groups = code >= 144 && code <= 150 ? linkWords.exec(message)?.groups : undefined;
  if (groups === undefined) return undefined;
  const { word = "unknown", info = "", status = "" } = groups;
  const masked = (Number.parseInt(info, 16) & infoMask).toString(16).padStart(8, "0");
  const severity = word.toLowerCase() as LinkError["severity"];
  return { severity, info: `0x${masked}`, status: `0x${status.toLowerCase()}` };
}

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
    link: parseLinkError(Number(code), message),
  };
}
