import {
  absentSyscalls,
  type Architecture,
  forbiddenSyscalls,
  judgedSyscalls,
  type SyscallNumbers,
} from "./syscalls.ts";

/**
 * The filter of a check's system calls: classic BPF as seccomp(2) wants it, made here so that the binary needs no
 * library and no file for it. Default allow: the namespaces and the missing capabilities are the wall, the filter takes
 * away what is left of the kernel's surface that no check needs.
 */
export interface SeccompOptions {
  readonly architecture: Architecture;
  /** Unix sockets reach services of the host through any path that is shown, read-only or not. */
  readonly allowUnixSockets: boolean;
}

/** One condition on a 64-bit argument. `mask` is applied to its low 32 bits, which is all the kernel looks at there. */
interface Condition {
  readonly argument: number;
  readonly mask?: number;
  /** `any-bit`: some bit of the mask is set. `equal`/`not-equal`: the masked value against `value`. */
  readonly test: "any-bit" | "equal" | "nonzero-64";
  readonly value?: number;
}

export interface SeccompRule {
  readonly syscall: SyscallNumbers;
  /** All of them must hold; none: the rule always applies. */
  readonly when: readonly Condition[];
  readonly errno: number;
}

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

const CLONE_NEW = 0x7e020000; // NS, CGROUP, UTS, IPC, USER, PID, NET; NEWTIME exists in clone3 and unshare only
const O_CREAT = 0o100;
const O_TMPFILE = 0o20000000;
const SET_ID_BITS = 0o6000;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
const AF_UNIX = 1;
/** IPv4, IPv6 and netlink are bound to the network namespace; AF_VSOCK, AF_ALG, AF_PACKET … are not, or need no check. */
const namespacedFamilies = [2, 10, 16];

/** All rules, for both architectures; the family rule is apart because it lists what is allowed. */
export function seccompRules(): SeccompRule[] {
  const { clone, personality, chmod, fchmod, fchmodat, open, openat, creat, ioctl } = judgedSyscalls;
  const deny = (syscall: SyscallNumbers, ...when: Condition[]): SeccompRule => ({ syscall, when, errno: EPERM });
  const setId = (argument: number): Condition => ({ argument, mask: SET_ID_BITS, test: "any-bit" });
  const creates = (argument: number): Condition => ({ argument, mask: O_CREAT | O_TMPFILE, test: "any-bit" });
  const command = (value: number): Condition => ({ argument: 1, test: "equal", value });
  return [
    ...Object.values(forbiddenSyscalls).map((syscall) => deny(syscall)),
    ...Object.values(absentSyscalls).map((syscall) => ({ syscall, when: [], errno: ENOSYS })),
    deny(clone, { argument: 0, mask: CLONE_NEW, test: "any-bit" }),
    deny(personality, { argument: 0, test: "nonzero-64" }),
    // A set-id file in a granted directory would hand the check's uid to other users of the host.
    deny(chmod, setId(1)),
    deny(fchmod, setId(1)),
    deny(fchmodat, setId(2)),
    deny(open, creates(1), setId(2)),
    deny(openat, creates(2), setId(3)),
    deny(creat, setId(1)),
    // Typing into the terminal of whoever started the daemon.
    deny(ioctl, command(TIOCSTI)),
    deny(ioctl, command(TIOCLINUX)),
  ];
}

const BPF_LD_W_ABS = 0x20;
const BPF_ALU_AND_K = 0x54;
const BPF_JMP_JEQ_K = 0x15;
const BPF_JMP_JGE_K = 0x35;
const BPF_RET_K = 0x06;
const KILL_PROCESS = 0x80000000;
const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;

// struct seccomp_data: nr, arch, instruction pointer, six 64-bit arguments. Both architectures are little-endian.
const NR = 0;
const ARCH = 4;
const lowWord = (argument: number) => 16 + 8 * argument;
const highWord = (argument: number) => lowWord(argument) + 4;

const auditArch: Record<Architecture, number> = { x86_64: 0xc000003e, aarch64: 0xc00000b7 };
const x32Bit = 0x40000000;

interface Instruction {
  readonly code: number;
  readonly jt?: number;
  readonly jf?: number;
  readonly k: number;
}

/** The program as bubblewrap's --seccomp reads it: struct sock_filter, eight bytes each. */
export function assembleSeccomp(options: SeccompOptions): Uint8Array<ArrayBuffer> {
  const { architecture, allowUnixSockets } = options;
  const program: Instruction[] = [
    load(ARCH),
    { code: BPF_JMP_JEQ_K, k: auditArch[architecture], jt: 1, jf: 0 },
    ret(KILL_PROCESS),
    load(NR),
  ];
  // int 0x80 was refused by its architecture; x32 shares x86_64's and sets a bit in the number.
  if (architecture === "x86_64") program.push({ code: BPF_JMP_JGE_K, k: x32Bit, jt: 0, jf: 1 }, ret(KILL_PROCESS));
  for (const rule of seccompRules()) {
    const number = rule.syscall[architecture];
    if (number !== undefined) program.push(...forSyscall(number, refuse(rule)));
  }
  const families = allowUnixSockets ? [AF_UNIX, ...namespacedFamilies] : namespacedFamilies;
  const socket = judgedSyscalls.socket[architecture];
  program.push(...forSyscall(socket, allowOnly(families)), ret(ALLOW));
  return encode(program);
}

/** Runs `body` if the accumulator holds this number; afterwards it holds the number of the call again. */
function forSyscall(number: number, body: readonly Instruction[]): Instruction[] {
  const touchesAccumulator = body.some(({ code }) => code === BPF_LD_W_ABS);
  const restored = touchesAccumulator ? [...body, load(NR)] : body;
  return [{ code: BPF_JMP_JEQ_K, k: number, jt: 0, jf: restored.length }, ...restored];
}

function refuse({ when, errno }: SeccompRule): Instruction[] {
  // Built from the end: a condition that fails jumps over everything behind it.
  return when.reduceRight<Instruction[]>(
    (rest, condition) => [...test(condition, rest.length), ...rest],
    [ret(ERRNO | errno)],
  );
}

/** Falls through when the condition holds, else jumps over the `skip` instructions that follow. */
function test({ argument, mask, test, value = 0 }: Condition, skip: number): Instruction[] {
  if (test === "nonzero-64") {
    return [
      load(lowWord(argument)),
      { code: BPF_JMP_JEQ_K, k: 0, jt: 0, jf: 2 },
      load(highWord(argument)),
      { code: BPF_JMP_JEQ_K, k: 0, jt: skip, jf: 0 },
    ];
  }
  const masked = mask === undefined ? [] : [{ code: BPF_ALU_AND_K, k: mask }];
  const jump = test === "any-bit" ? { k: 0, jt: skip, jf: 0 } : { k: value, jt: 0, jf: skip };
  return [load(lowWord(argument)), ...masked, { code: BPF_JMP_JEQ_K, ...jump }];
}

function allowOnly(families: readonly number[]): Instruction[] {
  const comparisons = families.map((family, index) => ({
    code: BPF_JMP_JEQ_K,
    k: family,
    jt: families.length - index,
    jf: 0,
  }));
  return [load(lowWord(0)), ...comparisons, ret(ERRNO | EAFNOSUPPORT)];
}

function load(offset: number): Instruction {
  return { code: BPF_LD_W_ABS, k: offset };
}

function ret(action: number): Instruction {
  return { code: BPF_RET_K, k: action };
}

function encode(program: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, { code, jt = 0, jf = 0, k }] of program.entries()) {
    if (jt > 255 || jf > 255) throw new Error(`seccomp: jump too long at instruction ${index}`);
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, jt);
    view.setUint8(index * 8 + 3, jf);
    view.setUint32(index * 8 + 4, k >>> 0, true);
  }
  return bytes;
}

/** Undefined on a machine the filter has no numbers for; then nothing may run. */
export function seccompArchitecture(arch: string = process.arch): Architecture | undefined {
  return arch === "x64" ? "x86_64" : arch === "arm64" ? "aarch64" : undefined;
}
