import { writeSync } from "node:fs";

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFormat = "json" | "logfmt";
export type LogFields = Readonly<Record<string, unknown>>;

/** Constant lower-case messages, facts as fields with units in their names. Passed in, never imported as state. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger whose every line carries these fields as well. */
  with(fields: LogFields): Logger;
}

export interface LoggerOptions {
  readonly level?: LogLevel;
  readonly format?: LogFormat;
  readonly write?: (line: string) => void;
  readonly now?: () => Date;
}

const severity: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

export function createLogger(options: LoggerOptions = {}): Logger {
  const { level = "info", format = "json", now = () => new Date(), write = writeToStderr } = options;
  const encode = format === "json" ? JSON.stringify : toLogfmt;

  const child = (bound: LogFields): Logger => {
    const at = (lineLevel: LogLevel) => (message: string, fields?: LogFields) => {
      if (severity[lineLevel] < severity[level]) return;
      const record = { ts: now().toISOString(), level: lineLevel, msg: message, ...bound, ...fields };
      write(`${encode(mapErrors(record))}\n`);
    };
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      with: (fields) => child({ ...bound, ...fields }),
    };
  };
  return child({});
}

/** For tests and for places where a log is optional. */
export const silentLogger: Logger = createLogger({ write: () => {} });

// A pipe that nobody empties or a full disk must not stop the daemon: a line that cannot be written is lost.
function writeToStderr(line: string): void {
  try {
    writeSync(2, line);
  } catch (error) {
    if (!(error instanceof Error && "errno" in error)) throw error;
  }
}

function mapErrors(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, describeError(value)]));
}

/** "outer message: cause message", nothing said twice; anything but an Error is returned as it is. */
export function describeError(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  if (value.cause === undefined) return value.message;
  const cause = String(describeError(value.cause));
  if (value.message.includes(cause)) return value.message;
  return cause.startsWith(value.message) ? cause : `${value.message}: ${cause}`;
}

function toLogfmt(record: Record<string, unknown>): string {
  return Object.entries(record)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${quoteLogfmt(typeof value === "object" ? JSON.stringify(value) : String(value))}`)
    .join(" ");
}

function quoteLogfmt(text: string): string {
  return /[\s"=\\]|^$/.test(text) ? JSON.stringify(text) : text;
}
