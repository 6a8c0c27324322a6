/**
 * What goes over the pipe from a probe process to the daemon: lines of words, "ready", 'step 5 "open"'. `done` has the
 * results of the jobs since the last one; it says how many bytes of payload follow its line. What a job has to say is
 * JSON; payloads stay bytes, so pages are put together without decoding them.
 */
export type Frame =
  | { readonly event: "ready" }
  | { readonly event: "yield" }
  | { readonly event: "step"; readonly id: number; readonly step: string }
  | { readonly event: "done"; readonly results: readonly Result[] };

export type Result =
  | { readonly id: number; readonly header: FrameHeader; readonly payload: Uint8Array }
  | { readonly id: number; readonly error: string };

export type FrameHeader = Readonly<Record<string, unknown>>;

/** A result as it is written: a text is a payload too. */
export type OutgoingResult =
  | { readonly id: number; readonly header: FrameHeader; readonly payload: Uint8Array | string }
  | { readonly id: number; readonly error: string };

export type OutgoingFrame =
  Exclude<Frame, { event: "done" }> | { readonly event: "done"; readonly results: readonly OutgoingResult[] };

export interface FrameLimits {
  readonly headerBytes: number;
  readonly payloadBytes: number;
}

export class FrameError extends Error {
  override readonly name = "FrameError";
}

const newline = 0x0a;
export const defaultFrameLimits: FrameLimits = { headerBytes: 1024 * 1024, payloadBytes: 64 * 1024 * 1024 };

/** Writes a frame. */
export type FrameWriter = (frame: OutgoingFrame) => void;

const ordinaryBytes = 64 * 1024;
/** A larger buffer is not kept for the next frame. */
const keptBytes = 1024 * 1024;

/** The frames share one buffer: the `bytes` that `write` gets are valid for the time of the call only. */
export function createFrameWriter(write: (bytes: Uint8Array, length: number) => void): FrameWriter {
  let buffer = Buffer.allocUnsafeSlow(ordinaryBytes);
  return (frame) => {
    const { line, payloadBytes } = encodeLine(frame);
    const length = Buffer.byteLength(line) + payloadBytes;
    if (length > buffer.length) buffer = Buffer.allocUnsafeSlow(Math.ceil(1.25 * length));
    let used = buffer.write(line);
    if (frame.event === "done") {
      for (const result of frame.results) if ("payload" in result) used += put(buffer, result.payload, used);
    }
    write(buffer, length);
    if (buffer.length > keptBytes) buffer = Buffer.allocUnsafeSlow(ordinaryBytes);
  };
}

function put(buffer: Buffer, payload: Uint8Array | string, offset: number): number {
  if (typeof payload === "string") return buffer.write(payload, offset);
  buffer.set(payload, offset);
  return payload.length;
}

/** A result in the line of `done`; the payloads follow in the same order. */
type ResultEntry =
  readonly [id: number, header: FrameHeader, payloadBytes: number] | readonly [id: number, error: string];

function encodeLine(frame: OutgoingFrame): { readonly line: string; readonly payloadBytes: number } {
  switch (frame.event) {
    case "step":
      return { line: `step ${frame.id} ${JSON.stringify(frame.step)}\n`, payloadBytes: 0 };
    case "done":
      return encodeResults(frame.results);
    default:
      return { line: `${frame.event}\n`, payloadBytes: 0 };
  }
}

function encodeResults(results: readonly OutgoingResult[]): { readonly line: string; readonly payloadBytes: number } {
  let payloadBytes = 0;
  const entries = results.map((result): ResultEntry => {
    if ("error" in result) return [result.id, result.error];
    const length = Buffer.byteLength(result.payload);
    payloadBytes += length;
    return [result.id, result.header, length];
  });
  return { line: `done ${payloadBytes} ${JSON.stringify(entries)}\n`, payloadBytes };
}

const nothing = Buffer.alloc(0);

/**
 * Takes the chunks of one pipe and returns the frames that are complete; throws FrameError once it makes no sense.
 * Nothing returned or kept points into a chunk, so its buffer may be filled again.
 */
export function createFrameReader(limits: FrameLimits = defaultFrameLimits): (chunk: Buffer) => Frame[] {
  /** The beginning of a line. */
  let begun = nothing;
  let payload: PartialPayload | undefined;
  return (chunk) => {
    const frames: Frame[] = [];
    const buffer = begun.length === 0 ? chunk : Buffer.concat([begun, chunk]);
    let used = 0;
    for (;;) {
      if (payload !== undefined) {
        used += fill(payload, buffer.subarray(used));
        if (payload.filled < payload.bytes.length) break;
        frames.push(toDone(payload));
        payload = undefined;
      }
      const end = buffer.indexOf(newline, used);
      if ((end < 0 ? buffer.length : end) - used > limits.headerBytes)
        throw new FrameError("a header line is too long");
      if (end < 0) break;
      const line = parseLine(buffer.toString("utf8", used, end));
      used = end + 1;
      if (line.event === "other") {
        frames.push(line.frame);
        continue;
      }
      const { payloadBytes, entries } = line;
      if (payloadBytes > limits.payloadBytes) throw new FrameError("a payload is too large");
      payload = { entries, bytes: Buffer.allocUnsafeSlow(payloadBytes), filled: 0 };
    }
    begun = used === buffer.length ? nothing : Buffer.from(buffer.subarray(used));
    return frames;
  };
}

/** Of a `done`, as it comes in: what each job's payload is a part of. */
interface PartialPayload {
  readonly entries: readonly ResultEntry[];
  readonly bytes: Buffer;
  filled: number;
}

/** How many bytes of `chunk` belong to it. */
function fill(payload: PartialPayload, chunk: Buffer): number {
  const taken = chunk.copy(payload.bytes, payload.filled);
  payload.filled += taken;
  return taken;
}

type DoneLine = { readonly event: "done"; readonly payloadBytes: number; readonly entries: readonly ResultEntry[] };
type OtherLine = { readonly event: "other"; readonly frame: Frame };

function parseLine(line: string): DoneLine | OtherLine {
  const [event, facts] = cut(line);
  const other = (frame: Frame): OtherLine => ({ event: "other", frame });
  switch (event) {
    case "ready":
    case "yield":
      return other({ event });
    case "step": {
      const [id, step] = cut(facts);
      return other({ event, id: parseCount(id), step: String(parseJson(step)) });
    }
    case "done": {
      const [bytes, entries] = cut(facts);
      return { event, payloadBytes: parseCount(bytes), entries: parseEntries(entries) };
    }
    default:
      throw new FrameError(`a header line has no known event: ${JSON.stringify(line.slice(0, 40))}`);
  }
}

/** The first word and what follows it. */
function cut(text: string): [string, string] {
  const at = text.indexOf(" ");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function parseCount(text: string): number {
  const count = text === "" ? Number.NaN : Number(text);
  if (!isCount(count)) throw new FrameError("a header line has a wrong number");
  return count;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FrameError("a header line is not JSON", { cause: error });
  }
}

function parseEntries(text: string): readonly ResultEntry[] {
  const entries = parseJson(text);
  if (!Array.isArray(entries) || !entries.every(isEntry)) throw new FrameError("a header line has no results");
  return entries;
}

function isEntry(entry: unknown): entry is ResultEntry {
  if (!Array.isArray(entry) || !isCount(entry[0])) return false;
  const [, header, bytes] = entry as readonly unknown[];
  return typeof header === "string" || (typeof header === "object" && header !== null && isCount(bytes));
}

function toDone({ entries, bytes }: PartialPayload): Frame {
  let used = 0;
  const results = entries.map((entry): Result => {
    const [id, header, length = 0] = entry;
    if (typeof header === "string") return { id, error: header };
    used += length;
    return { id, header, payload: bytes.subarray(used - length, used) };
  });
  if (used !== bytes.length) throw new FrameError("payloads and their lengths do not agree");
  return { event: "done", results };
}
