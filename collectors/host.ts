/**
 * The only door to the machine. The roots move together, so a fixture tree replaces a whole host; `run` is the only
 * way to start a program.
 */
export interface Host {
  /** Usually /proc. */
  readonly procPath: string;
  /** Usually /sys. */
  readonly sysPath: string;
  /** Usually /. Prefix for host paths that are read; stripped again from what is published. */
  readonly rootPath: string;
  /** Usually /run/udev/data. */
  readonly udevDataPath: string;
  /** Standard output of a program that ended with 0; rejects on any other end, on the signal, and past 8 MiB. */
  run(argv: readonly string[], signal: AbortSignal): Promise<string>;
  /**
   * Says that one reading was left out (unreadable file, a line that does not parse): counted in
   * aami_collector_skipped_reads_total and logged once per `what`.
   */
  skipped(what: string, error: unknown): void;
}
