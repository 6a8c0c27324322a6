/** QEMU's monitor and its guest agent speak the same: one JSON object a line, `{"execute": …, "id": …}`. */
export interface JsonSocket extends Disposable {
  call(command: string, parameters?: Readonly<Record<string, unknown>>, deadlineSeconds?: number): Promise<unknown>;
}

interface Reply {
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

export async function connectJsonSocket(path: string): Promise<JsonSocket> {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let lastId = 0;
  let rest = "";
  const decoder = new TextDecoder();
  const settle = (line: string): void => {
    // Greetings and events carry no id; an answer to a call that was given up finds nobody waiting.
    const { id = 0, error, return: value } = JSON.parse(line) as Reply;
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(value);
    else call?.reject(new Error(error.desc));
  };
  const failAll = (): void => {
    for (const call of waiting.values()) call.reject(new Error(`${path} was closed`));
    waiting.clear();
  };
  const socket = await Bun.connect({
    unix: path,
    socket: {
      data: (_, chunk) => {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line.trim() !== "") settle(line);
      },
      close: failAll,
    },
  });
  return {
    call: async (command, parameters = {}, deadlineSeconds = 120) => {
      const id = ++lastId;
      const answer = Promise.withResolvers<unknown>();
      waiting.set(id, answer);
      const timer = setTimeout(() => {
        waiting.delete(id);
        answer.reject(new Error(`${command}: no answer in ${deadlineSeconds} s`));
      }, deadlineSeconds * 1000);
      socket.write(`${JSON.stringify({ execute: command, arguments: parameters, id })}\n`);
      return answer.promise.finally(() => clearTimeout(timer));
    },
    [Symbol.dispose]: () => void socket.end(),
  };
}
