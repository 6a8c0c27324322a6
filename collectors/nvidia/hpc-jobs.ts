import { listIfPresent, readTextIfPresent } from "../read.ts";

/** Job ids by GPU, "3", or by GPU instance, "3.7". */
export type HpcJobs = Readonly<Record<string, readonly string[]>>;

const jobsMost = 64;
const jobIdMost = 256;

/** The mapping folder that a Slurm prolog keeps for dcgm-exporter: a file per GPU, a job id per line. */
export function readHpcJobs(folder: string): HpcJobs {
  const jobs: Record<string, readonly string[]> = {};
  for (const name of listIfPresent(folder)) {
    if (!/^\d+(\.\d+)?$/.test(name)) continue;
    const lines = (readTextIfPresent(`${folder}/${name}`) ?? "").split("\n").map((line) => line.trim());
    const ids = lines.filter((line) => line !== "" && line.length <= jobIdMost);
    if (ids.length > 0) jobs[name] = [...new Set(ids)].slice(0, jobsMost);
  }
  return jobs;
}
