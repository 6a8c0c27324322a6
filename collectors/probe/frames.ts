/**
 * What goes over the pipe from a probe process to the daemon: a line of JSON, followed by as many bytes as its `bytes`
 * says. The payload stays bytes, so pages are put together without decoding them.
 */
export interface Frame {
  readonly header: FrameHeader;
  readonly payload: Uint8Array;
}

export interface FrameHeader {
  readonly event: string;
  readonly id?: number;
  readonly bytes?: number;
  readonly [key: string]: unknown;
}

export interface FrameLimits {
  readonly headerBytes: number;
  readonly payloadBytes: number;
}

export class FrameError extends Error {
  override readonly name = "FrameError";
}

const newline = 0x0a;
const empty = new Uint8Array(0);
export const defaultFrameLimits: FrameLimits = { headerBytes: 1024 * 1024, payloadBytes: 64 * 1024 * 1024 };

export function encodeFrame(header: FrameHeader, payload: Uint8Array = empty): Uint8Array {
  const line = Buffer.from(`${JSON.stringify(payload.length === 0 ? header : { ...header, bytes: payload.length })}\n`);
  return payload.length === 0 ? line : Buffer.concat([line, payload]);
}

/**
 * Takes the chunks of one pipe and returns the frames that are complete; throws FrameError once it makes no sense.
 * Nothing returned or kept points into a chunk, so its buffer may be filled again.
 */
export function createFrameReader(limits: FrameLimits = defaultFrameLimits): (chunk: Uint8Array) => Frame[] {
  let chunks: Uint8Array[] = [];
  let length = 0;
  // Bytes that must be there before another look is worth it, so that a large payload is joined once.
  let wanted = 1;
  return (chunk) => {
    length += chunk.length;
    if (length < wanted) {
      chunks.push(chunk.slice());
      return [];
    }
    const buffer = chunks.length === 0 ? chunk : Buffer.concat([...chunks, chunk]);
    const { frames, used, missing } = splitFrames(buffer, limits);
    const rest = buffer.subarray(used);
    chunks = rest.length === 0 ? [] : [rest.slice()];
    length = rest.length;
    wanted = length + missing;
    return frames;
  };
}

function splitFrames(buffer: Uint8Array, limits: FrameLimits): { frames: Frame[]; used: number; missing: number } {
  const frames: Frame[] = [];
  let used = 0;
  for (;;) {
    const end = buffer.indexOf(newline, used);
    if (end < 0) {
      if (buffer.length - used > limits.headerBytes) throw new FrameError("a header line is too long");
      return { frames, used, missing: 1 };
    }
    const header = parseHeader(buffer.subarray(used, end), limits);
    const payloadStart = end + 1;
    const payloadEnd = payloadStart + (header.bytes ?? 0);
    if (payloadEnd > buffer.length) return { frames, used, missing: payloadEnd - buffer.length };
    const payload = payloadEnd === payloadStart ? empty : buffer.slice(payloadStart, payloadEnd);
    frames.push({ header, payload });
    used = payloadEnd;
  }
}

function parseHeader(line: Uint8Array, { headerBytes, payloadBytes }: FrameLimits): FrameHeader {
  if (line.length > headerBytes) throw new FrameError("a header line is too long");
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.length).toString("utf8"));
  } catch (error) {
    throw new FrameError("a header line is not JSON", { cause: error });
  }
  if (!isHeader(header)) throw new FrameError("a header line lacks its event");
  const { bytes = 0 } = header;
  if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes > payloadBytes) throw new FrameError("a payload is too large");
  return header;
}

function isHeader(value: unknown): value is FrameHeader {
  return typeof value === "object" && value !== null && typeof (value as { event?: unknown }).event === "string";
}
