/** A classic BPF machine: just what seccomp programs use. Throws on anything the kernel would refuse. */
export interface SeccompCall {
  readonly nr: number;
  readonly arch: number;
  readonly args: readonly bigint[];
}

export function runSeccomp(program: Uint8Array, { nr, arch, args }: SeccompCall): number {
  const memory = new DataView(new ArrayBuffer(64));
  memory.setUint32(0, nr >>> 0, true);
  memory.setUint32(4, arch >>> 0, true);
  for (const [index, value] of args.entries()) memory.setBigUint64(16 + 8 * index, BigInt.asUintN(64, value), true);
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const length = program.byteLength / 8;
  let accumulator = 0;
  let x = 0;
  const scratch = new Uint32Array(16);
  for (let at = 0; at < length; at++) {
    const [op, jt, jf, k] = [
      code.getUint16(at * 8, true),
      code.getUint8(at * 8 + 2),
      code.getUint8(at * 8 + 3),
      code.getUint32(at * 8 + 4, true),
    ];
    const jump = (holds: boolean) => void (at += holds ? jt : jf);
    if (op === 0x20) accumulator = memory.getUint32(k, true);
    else if (op === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (op === 0x15) jump(accumulator === k);
    else if (op === 0x25) jump(accumulator > k);
    else if (op === 0x35) jump(accumulator >= k);
    else if (op === 0x45) jump((accumulator & k) !== 0);
    else if (op === 0x05) at += k;
    else if (op === 0x02) scratch[k] = accumulator;
    else if (op === 0x60) accumulator = scratch[k] ?? 0;
    else if (op === 0x61) x = scratch[k] ?? 0;
    else if (op === 0x07) x = accumulator;
    else if (op === 0x87) accumulator = x;
    else if (op === 0x06) return k;
    else throw new Error(`instruction ${at}: unknown code ${op.toString(16)}`);
  }
  throw new Error("ran past the end of the program");
}
