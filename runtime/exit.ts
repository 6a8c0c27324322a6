/** Exit codes of every `aami` command. Only main.ts exits. */
export const ExitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  /** `aami status`: the daemon does not answer, so nothing is known. */
  unreachable: 2,
  /** EX_CONFIG of sysexits.h; the units carry RestartPreventExitStatus=78, so a bad file does not become a restart loop. */
  badConfiguration: 78,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Ends a command with a one-line message for the operator and an exit code; `main.ts` prints it, nobody else. */
export class ExitError extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ExitError";
    this.exitCode = exitCode;
  }
}
