/** Reports in smartctl's form, written by hand: only the fields a test looks at. */
export interface ReportOptions {
  readonly path?: string;
  readonly type?: string;
  readonly exitStatus?: number;
  readonly message?: { readonly string: string; readonly severity: string };
  readonly fields?: Readonly<Record<string, unknown>>;
}

export function report({
  path = "/dev/sda",
  type = "sat",
  exitStatus = 0,
  message,
  fields = {},
}: ReportOptions = {}): string {
  return JSON.stringify({
    json_format_version: [1, 0],
    smartctl: {
      version: [7, 4],
      svn_revision: "5530",
      build_info: "(test)",
      exit_status: exitStatus,
      ...(message === undefined ? {} : { messages: [message] }),
    },
    ...(exitStatus === 2 && message?.severity === "error" ? {} : { device: { name: path, type, protocol: "ATA" } }),
    ...fields,
  });
}

export const standby = (mode = "STANDBY"): string =>
  report({ exitStatus: 3, message: { string: `Device is in ${mode} mode, exit(3)`, severity: "information" } });

export const notOpened = (why: string): string =>
  report({ exitStatus: 2, message: { string: `Smartctl open device: /dev/sda failed: ${why}`, severity: "error" } });
