import { statSync } from "node:fs";
import { binaryPath, ensureBinary } from "./binary.ts";
import { runScript, say } from "./terminal.ts";

await runScript(async () => {
  await ensureBinary();
  say(`dist/aami is ready (${Math.round(statSync(binaryPath).size / 2 ** 20)} MiB)`);
  return 0;
});
