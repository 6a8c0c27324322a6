import { type CommandDef, defineCommand } from "citty";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import {
  defaultReleaseFile,
  readReleaseState,
  type ReleaseState,
  removeReleaseRequest,
  writeReleaseRequest,
} from "./release.ts";

const file = {
  type: "string",
  default: defaultReleaseFile,
  description: "File that the daemon looks at (collectors.nvidia.release_file)",
  valueHint: "FILE",
} as const;

const waitMs = 15_000;
const pollMs = 100;

const release = defineCommand({
  meta: { description: "Let the daemon close the NVIDIA devices: for a driver upgrade, a reset, a MIG change." },
  args: {
    file,
    minutes: {
      type: "string",
      default: "10",
      description: "The daemon takes the devices back after this long",
      valueHint: "MINUTES",
    },
  },
  run: async ({ args }) => {
    const minutes = Number(args.minutes);
    if (!(minutes > 0 && minutes <= 24 * 60)) throw new ExitError(ExitCode.usage, "--minutes: between 0 and 1440");
    const untilMs = Date.now() + Math.round(minutes * 60_000);
    writeReleaseRequest(args.file, { untilMs });
    const state = await waitForState(args.file, (told) => told.released && told.untilMs === untilMs);
    if (state?.abandoned !== 0) removeReleaseRequest(args.file); // what has failed must not happen later
    if (state === undefined) {
      const remedy = `is it running, with NVIDIA GPUs, and may it write beside ${args.file}?`;
      throw new ExitError(ExitCode.failure, `the daemon has not answered within ${waitMs / 1000} s: ${remedy}`);
    }
    if (state.abandoned > 0) {
      const what = `${state.abandoned} process(es) of the daemon are stuck in the driver and keep their handles`;
      throw new ExitError(ExitCode.failure, `${what}: only a reboot helps`);
    }
    process.stdout.write(`The NVIDIA devices are released until ${new Date(untilMs).toISOString()}.\n`);
  },
});

const acquire = defineCommand({
  meta: { description: "Let the daemon take the NVIDIA devices back before the time is over." },
  args: { file },
  run: async ({ args }) => {
    removeReleaseRequest(args.file);
    const state = await waitForState(args.file, (told) => !told.released);
    if (state === undefined) throw new ExitError(ExitCode.failure, "the daemon has not answered: is it running?");
    process.stdout.write("The daemon reads the NVIDIA devices again.\n");
  },
});

/** `aami gpu`. */
export const gpuCommand: CommandDef = defineCommand({
  meta: { description: "Let go of the NVIDIA devices, and take them back." },
  subCommands: { release, acquire },
});

async function waitForState(
  path: string,
  isWanted: (state: ReleaseState) => boolean,
): Promise<ReleaseState | undefined> {
  for (let waited = 0; waited < waitMs; waited += pollMs) {
    const state = readReleaseState(path);
    if (state !== undefined && isWanted(state)) return state;
    await Bun.sleep(pollMs);
  }
  return undefined;
}
