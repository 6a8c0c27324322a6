import { dlopen, ptr } from "bun:ffi";

const F_SETFD = 2;

export interface Program {
  readonly path: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Becomes another program that keeps these descriptors under their numbers, which process.execve does not: it closes all
 * but the standard ones. Returns only where the kernel refuses.
 */
export function execKeeping(descriptors: readonly number[], { path, args, environment }: Program): void {
  const { symbols: libc } = dlopen("libc.so.6", {
    execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  });
  // The runtime marks what it finds open at its start as close-on-exec.
  for (const fd of descriptors) libc.fcntl(fd, F_SETFD, 0);
  const settings = Object.entries(environment).flatMap(([name, value]) =>
    value === undefined ? [] : `${name}=${value}`,
  );
  const [file, argv, envp] = [toBytes(path), toPointers(args), toPointers(settings)];
  libc.execve(ptr(file), ptr(argv.pointers), ptr(envp.pointers));
}

/** A char *[] that ends with a null; the texts have to live as long as it is used. */
function toPointers(texts: readonly string[]): {
  readonly pointers: BigUint64Array;
  readonly texts: readonly Buffer[];
} {
  const buffers = texts.map(toBytes);
  return { pointers: new BigUint64Array([...buffers.map((text) => BigInt(ptr(text))), 0n]), texts: buffers };
}

function toBytes(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}
