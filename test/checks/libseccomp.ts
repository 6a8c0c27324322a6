import { dlopen, ptr } from "bun:ffi";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seccompArchitecture, seccompRules, type SeccompRule } from "../../checks/sandbox/seccomp.ts";
import type { Architecture } from "../../checks/sandbox/syscalls.ts";

export const libseccompPath = "libseccomp.so.2";
const scmpArch: Record<Architecture, number> = { x86_64: 0xc000003e, aarch64: 0xc00000b7 };
/** Newer than libseccomp 2.5, which Debian 12 has: it cannot compile rules for them. */
export const tooNew: Readonly<Record<string, number>> = { fchmodat2: 452, open_tree_attr: 467 };
const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const errno = (code: number) => 0x00050000 | code;
const [NE, GE, MASKED_EQ] = [1, 5, 7] as const;

type Comparison = readonly [argument: number, op: number, a: bigint, b: bigint];

export function openLibseccomp() {
  return dlopen(libseccompPath, {
    seccomp_init: { args: ["u32"], returns: "u64" },
    seccomp_release: { args: ["u64"], returns: "void" },
    seccomp_attr_set: { args: ["u64", "i32", "u32"], returns: "i32" },
    seccomp_arch_native: { args: [], returns: "u32" },
    seccomp_arch_add: { args: ["u64", "u32"], returns: "i32" },
    seccomp_arch_remove: { args: ["u64", "u32"], returns: "i32" },
    seccomp_rule_add_array: { args: ["u64", "u32", "i32", "u32", "ptr"], returns: "i32" },
    seccomp_export_bpf: { args: ["u64", "i32"], returns: "i32" },
    seccomp_syscall_resolve_name_arch: { args: ["u32", "cstring"], returns: "i32" },
  }).symbols;
}

export type Libseccomp = ReturnType<typeof openLibseccomp>;

export function resolveSyscall(lib: Libseccomp, architecture: Architecture, name: string): number {
  return lib.seccomp_syscall_resolve_name_arch(scmpArch[architecture], Buffer.from(`${name}\0`));
}

/** The same rules, compiled by libseccomp. */
export function compileWithLibseccomp(lib: Libseccomp, architecture: Architecture, allowUnixSockets: boolean) {
  const context = lib.seccomp_init(ALLOW);
  if (context === 0n) throw new Error("seccomp_init failed");
  const must = (what: string, result: number) => {
    if (result !== 0) throw new Error(`${what}: ${result}`);
  };
  must("badarch", lib.seccomp_attr_set(context, 2, KILL_PROCESS));
  const wanted = scmpArch[architecture];
  if (wanted !== lib.seccomp_arch_native()) {
    must("arch_add", lib.seccomp_arch_add(context, wanted));
    must("arch_remove", lib.seccomp_arch_remove(context, lib.seccomp_arch_native()));
  }
  const native = seccompArchitecture();
  if (native === undefined) throw new Error("no table for this machine");
  for (const rule of seccompRules()) {
    // It takes the numbers of this machine and translates them to the other architecture.
    const number = rule.syscall[native];
    if (number === undefined || Object.values(tooNew).includes(number)) continue;
    for (const comparisons of alternatives(rule)) {
      must(`rule ${number}`, addRule(lib, context, errno(rule.errno), number, comparisons));
    }
  }
  const socket = resolveSyscall(lib, native, "socket");
  const allowed = allowUnixSockets ? [1, 2, 10, 16] : [2, 10, 16];
  for (let family = 0; family < 46; family++) {
    if (allowed.includes(family)) continue;
    const equal: Comparison = [0, MASKED_EQ, 0xffffffffn, BigInt(family)];
    must("family", addRule(lib, context, errno(97), socket, [equal]));
  }
  must("families", addRule(lib, context, errno(97), socket, [[0, GE, 46n, 0n]]));
  const program = exportProgram(lib, context);
  lib.seccomp_release(context);
  return program;
}

/** libseccomp has "all of these bits" only, so "any of them" becomes one rule per bit. */
function alternatives({ when }: SeccompRule): Comparison[][] {
  return when.reduce<Comparison[][]>(
    (sets, { argument, test, mask = 0, value = 0 }) => {
      const choices: Comparison[] =
        test === "nonzero-64"
          ? [[argument, NE, 0n, 0n]]
          : test === "equal"
            ? [[argument, MASKED_EQ, 0xffffffffn, BigInt(value)]]
            : bitsOf(mask).map((bit) => [argument, MASKED_EQ, bit, bit]);
      return sets.flatMap((set) => choices.map((choice) => [...set, choice]));
    },
    [[]],
  );
}

function bitsOf(mask: number): bigint[] {
  return Array.from({ length: 32 }, (_, bit) => 1n << BigInt(bit)).filter((bit) => (BigInt(mask >>> 0) & bit) !== 0n);
}

function addRule(lib: Libseccomp, context: bigint, action: number, nr: number, comparisons: readonly Comparison[]) {
  const array = new DataView(new ArrayBuffer(Math.max(1, comparisons.length) * 24));
  for (const [index, [argument, op, a, b]] of comparisons.entries()) {
    array.setUint32(index * 24, argument, true);
    array.setUint32(index * 24 + 4, op, true);
    array.setBigUint64(index * 24 + 8, a, true);
    array.setBigUint64(index * 24 + 16, b, true);
  }
  return lib.seccomp_rule_add_array(context, action, nr, comparisons.length, ptr(new Uint8Array(array.buffer)));
}

function exportProgram(lib: Libseccomp, context: bigint): Uint8Array {
  const path = join(tmpdir(), `aami-libseccomp-${process.pid}-${Bun.nanoseconds()}`);
  const file = openSync(path, "wx+", 0o600);
  try {
    if (lib.seccomp_export_bpf(context, file) !== 0) throw new Error("seccomp_export_bpf failed");
    return new Uint8Array(readFileSync(path));
  } finally {
    closeSync(file);
    rmSync(path);
  }
}
