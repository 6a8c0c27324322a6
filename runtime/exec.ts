import { dlopen, ptr, read } from "bun:ffi";

const F_SETFD = 2;
const FD_CLOEXEC = 1;

export interface Program {
  readonly path: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Becomes another program that keeps these descriptors under their numbers, which process.execve does not: it closes all
 * but the standard ones. Throws where the kernel refuses; all is then as before.
 */
export function execKeeping(descriptors: readonly number[], { path, args, environment }: Program): never {
  const { symbols: libc } = dlopen("libc.so.6", {
    __errno_location: { args: [], returns: "ptr" },
    execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  });
  // Asked for before: nothing may come between the call and a look at its errno.
  const location = libc.__errno_location();
  const settings = Object.entries(environment).flatMap(([name, value]) =>
    value === undefined ? [] : `${name}=${value}`,
  );
  const [file, argv, envp] = [toBytes(path), toPointers(args), toPointers(settings)];
  // The runtime marks what it finds open at its start as close-on-exec.
  for (const fd of descriptors) libc.fcntl(fd, F_SETFD, 0);
  libc.execve(ptr(file), ptr(argv.pointers), ptr(envp.pointers));
  const errno = location === null ? 0 : read.i32(location);
  for (const fd of descriptors) libc.fcntl(fd, F_SETFD, FD_CLOEXEC);
  throw new Error(`execve ${path}: errno ${errno}`);
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
