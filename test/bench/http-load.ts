import type { Socket } from "bun";

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Answers by status code. */
  readonly statuses: ReadonlyMap<number, number>;
  readonly latencySeconds: { readonly p50: number; readonly p99: number };
}

interface Load {
  readonly hostname: string;
  readonly port: number;
  /** Complete HTTP/1.1 requests, each sent once. */
  readonly requests: readonly Uint8Array[];
  readonly connections: number;
}

/** Keep-alive connections with one request in flight each. Plain sockets, so that the generator costs little itself. */
export async function runLoad({ hostname, port, requests, connections }: Load): Promise<LoadResult> {
  const statuses = new Map<number, number>();
  const latencies = new Float64Array(requests.length);
  let sent = 0;
  let answered = 0;
  const finished = Promise.withResolvers<void>();
  const startedAt = performance.now();

  interface State {
    pending: Buffer;
    sentAt: number;
  }
  const sendNext = (socket: Socket<State>): void => {
    const request = requests[sent++];
    if (request === undefined) return void socket.end();
    socket.data.sentAt = performance.now();
    socket.write(request);
  };
  const onAnswer = (socket: Socket<State>, status: number) => {
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    latencies[answered++] = performance.now() - socket.data.sentAt;
    if (answered === requests.length) finished.resolve();
    sendNext(socket);
  };
  const open = () =>
    Bun.connect<State>({
      hostname,
      port,
      data: { pending: Buffer.alloc(0), sentAt: 0 },
      socket: {
        open: sendNext,
        data: (socket, chunk) => {
          const bytes = socket.data.pending.length === 0 ? chunk : Buffer.concat([socket.data.pending, chunk]);
          const status = completeAnswer(bytes);
          socket.data.pending = status === undefined ? Buffer.from(bytes) : Buffer.alloc(0);
          if (status !== undefined) onAnswer(socket, status);
        },
        close: () => {
          if (answered < requests.length && sent < requests.length) finished.reject(new Error("the server hung up"));
        },
      },
    });
  await Promise.all(Array.from({ length: connections }, open));
  await finished.promise;
  const sorted = latencies.toSorted();
  const at = (share: number) => (sorted[Math.floor(sorted.length * share)] ?? 0) / 1000;
  return {
    requests: answered,
    seconds: (performance.now() - startedAt) / 1000,
    statuses,
    latencySeconds: { p50: at(0.5), p99: at(0.99) },
  };
}

/** The status once head and body have arrived whole. */
function completeAnswer(bytes: Buffer): number | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = bytes.toString("latin1", 0, end);
  const status = Number(head.slice(9, 12));
  const length = status === 304 ? 0 : Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
  return bytes.length >= end + 4 + length ? status : undefined;
}
