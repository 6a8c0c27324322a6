import { describe, expect, test } from "bun:test";
import { assembleSeccomp, seccompArchitecture } from "../../checks/sandbox/seccomp.ts";
import { absentSyscalls, type Architecture, forbiddenSyscalls, judgedSyscalls } from "../../checks/sandbox/syscalls.ts";
import { runSeccomp } from "./bpf.ts";
import { compileWithLibseccomp, type Libseccomp, openLibseccomp, resolveSyscall, tooNew } from "./libseccomp.ts";

const architectures = ["x86_64", "aarch64"] as const;
const audit: Record<Architecture, number> = { x86_64: 0xc000003e, aarch64: 0xc00000b7 };
const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const EAFNOSUPPORT = 0x00050061;
const zeros = [0n, 0n, 0n, 0n, 0n, 0n];

function verdict(architecture: Architecture, nr: number, args: readonly bigint[] = zeros, allowUnixSockets = false) {
  const program = assembleSeccomp({ architecture, allowUnixSockets });
  return runSeccomp(program, { nr, arch: audit[architecture], args: [...args, ...zeros].slice(0, 6) });
}

describe.each(architectures)("%s", (architecture) => {
  test.each(Object.entries(forbiddenSyscalls))("%s is refused", (_name, numbers) => {
    const number = numbers[architecture];
    if (number !== undefined) expect(verdict(architecture, number)).toBe(EPERM);
  });

  test.each(Object.entries(absentSyscalls))("%s is said not to exist", (_name, numbers) => {
    const number = numbers[architecture];
    if (number !== undefined) expect(verdict(architecture, number)).toBe(ENOSYS);
  });

  test.each<[string, keyof typeof judgedSyscalls, bigint[], number]>([
    ["an ordinary fork", "clone", [0x1200011n], ALLOW],
    ["a thread", "clone", [0x3d0f00n], ALLOW],
    ["a user namespace", "clone", [0x10000011n], EPERM],
    ["a mount namespace", "clone", [0x20011n], EPERM],
    ["a network namespace", "clone", [0x40000011n], EPERM],
    ["a namespace flag hidden in the high word is none", "clone", [0x1000000000000011n], ALLOW],
    ["the usual personality", "personality", [0n], ALLOW],
    ["no address randomisation", "personality", [0x40000n], EPERM],
    ["a personality in the high word", "personality", [1n << 32n], EPERM],
    ["an ordinary mode", "fchmod", [3n, 0o755n], ALLOW],
    ["set-user-id", "fchmod", [3n, 0o4755n], EPERM],
    ["set-group-id", "fchmodat", [3n, 0n, 0o2755n], EPERM],
    ["the sticky bit", "fchmod", [3n, 0o1777n], ALLOW],
    ["opening with garbage for a mode", "openat", [3n, 0n, 0n, 0o6755n], ALLOW],
    ["creating a set-user-id file", "openat", [3n, 0n, 0o101n, 0o4755n], EPERM],
    ["creating a file", "openat", [3n, 0n, 0o101n, 0o644n], ALLOW],
    ["terminal size", "ioctl", [0n, 0x5413n], ALLOW],
    ["TIOCSTI", "ioctl", [0n, 0x5412n], EPERM],
    ["TIOCSTI with something in the high word", "ioctl", [0n, 0x100005412n], EPERM],
    ["TIOCLINUX", "ioctl", [0n, 0x541cn], EPERM],
    ["IPv4", "socket", [2n], ALLOW],
    ["IPv6", "socket", [10n], ALLOW],
    ["netlink", "socket", [16n], ALLOW],
    ["a Unix socket", "socket", [1n], EAFNOSUPPORT],
    ["AF_PACKET", "socket", [17n], EAFNOSUPPORT],
    ["AF_ALG", "socket", [38n], EAFNOSUPPORT],
    ["AF_VSOCK", "socket", [40n], EAFNOSUPPORT],
    ["a family to come", "socket", [77n], EAFNOSUPPORT],
  ])("%s: %s", (_what, name, args, expected) => {
    const number = judgedSyscalls[name][architecture];
    if (number !== undefined) expect(verdict(architecture, number, args)).toBe(expected);
  });

  test("Unix sockets when they are granted", () => {
    expect(verdict(architecture, judgedSyscalls.socket[architecture], [1n], true)).toBe(ALLOW);
    expect(verdict(architecture, judgedSyscalls.socket[architecture], [40n], true)).toBe(EAFNOSUPPORT);
  });

  test("another architecture's calls kill", () => {
    const program = assembleSeccomp({ architecture, allowUnixSockets: false });
    expect(runSeccomp(program, { nr: 1, arch: 0x40000003, args: zeros })).toBe(KILL);
  });
});

test("x32 calls kill", () => expect(verdict("x86_64", 0x40000000 + 39)).toBe(KILL));
test("machines without a table get no filter, and so no checks", () => {
  expect(seccompArchitecture("riscv64")).toBeUndefined();
});

// Debian: libseccomp2. CI has it (packages that only tests need); elsewhere its absence only costs this comparison.
function libseccompIfPresent(): Libseccomp | undefined {
  try {
    return openLibseccomp();
  } catch (error) {
    if (process.env["CI"]) throw error;
    console.warn("skipped: libseccomp.so.2 is not here, the filter is not compared with libseccomp's");
    return undefined;
  }
}
const lib = libseccompIfPresent();
// Some old calls exist on x86_64 only, so from there libseccomp can be asked for both.
const comparable = process.arch === "x64" ? architectures : (["aarch64"] as const);

describe.skipIf(lib === undefined).each(comparable)("compared with libseccomp on %s", (architecture) => {
  const must = (): Libseccomp => {
    if (lib === undefined) throw new Error("no libseccomp");
    return lib;
  };
  const numbered = { ...forbiddenSyscalls, ...absentSyscalls, ...judgedSyscalls };

  test.each(Object.entries(numbered))("the number of %s", (name, numbers) => {
    const resolved = resolveSyscall(must(), architecture, name);
    if (resolved === -1 && name in tooNew) return;
    // libseccomp gives calls that an architecture lacks a negative number of its own.
    expect(numbers[architecture] ?? -1).toBe(resolved < 0 ? -1 : resolved);
  });

  test.each([true, false])("every call and a grid of arguments, Unix sockets: %p", (allowUnixSockets) => {
    const theirs = compileWithLibseccomp(must(), architecture, allowUnixSockets);
    const ours = assembleSeccomp({ architecture, allowUnixSockets });
    const arch = audit[architecture];
    const interesting = [0n, 1n, 2n, 10n, 16n, 40n, 45n, 46n, 0o101n, 0o644n, 0o4755n, 0o2755n, 0o20000000n];
    interesting.push(0x5412n, 0x541cn, 0x11n, 0x3d0f00n, 0x10000011n, 0x40000000n, 0xffffffffn, 0x100005412n);
    const judged = new Set(Object.values(judgedSyscalls).map((numbers): number | undefined => numbers[architecture]));
    const differences: string[] = [];
    const compare = (nr: number, args: bigint[]) => {
      const call = { nr, arch, args };
      const [a, b] = [runSeccomp(ours, call), runSeccomp(theirs, call)];
      if (a !== b) differences.push(`${nr}(${args.join()}): ${a.toString(16)}, libseccomp ${b.toString(16)}`);
    };
    for (let nr = 0; nr < 480; nr++) {
      if (Object.values(tooNew).includes(nr)) continue;
      compare(nr, zeros);
      compare(nr, Array(6).fill(0xffffffffffffffffn));
      if (!judged.has(nr)) continue;
      for (const a of interesting) for (const b of interesting) compare(nr, [a, b, a, b, 0n, 0n]);
    }
    compare(0x40000000 + 1, zeros);
    expect(differences).toEqual([]);
    expect(runSeccomp(theirs, { nr: 1, arch: 0x40000003, args: zeros })).toBe(KILL);
  });
});
