import { Type as t } from "@sinclair/typebox";
import { readConfigFile } from "../runtime/config.ts";
import { ChecksConfig } from "./config.ts";

/** The other sections are the daemon's to judge. */
const DaemonFile = t.Object({ checks: ChecksConfig });

/** The `checks:` section of this machine's daemon.yaml; its defaults where there is no such file. */
export function readLimits(file: string): ChecksConfig {
  return readConfigFile(DaemonFile, file, { missing: "empty" }).checks;
}
