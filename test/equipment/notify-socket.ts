/** The service manager's end of sd_notify(3): a Unix datagram socket, which Bun does not have and Python does. */
export interface NotifySocket extends AsyncDisposable {
  /** The first line of each message so far. */
  soFar(): string[];
  /** Of the first `count` messages; resolves with the last of them. */
  readonly heard: Promise<string[]>;
}

export const hasNotifySocket = Bun.which("python3") !== null;

const receiver = `import socket,sys
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.bind(sys.argv[1]); print("bound",flush=True)
for _ in range(int(sys.argv[2])): print(s.recv(4096).decode().split("\\n")[0],flush=True)`;

export async function openNotifySocket(path: string, count: number): Promise<NotifySocket> {
  const listener = Bun.spawn(["python3", "-c", receiver, path, String(count)], { stdout: "pipe" });
  const reader = listener.stdout.getReader();
  let text = "";
  const readOn = async (): Promise<boolean> => {
    const { done, value } = await reader.read();
    text += Buffer.from(value ?? []).toString();
    return !done;
  };
  while (!text.includes("bound\n") && (await readOn()));
  const soFar = (): string[] => text.trim().split("\n").slice(1);
  const readAll = async (): Promise<string[]> => {
    while (await readOn());
    return soFar();
  };
  return {
    soFar,
    heard: readAll(),
    [Symbol.asyncDispose]: async () => {
      listener.kill();
      await listener.exited;
    },
  };
}
