// Child process of sick-disk.test.ts: prints what a daemon would find after opening its state.
import { openNodeStore } from "../../../daemon/node/store.ts";
import { createLogger } from "../../../runtime/log.ts";

const [directory = ""] = process.argv.slice(2);
const lines: string[] = [];
try {
  const log = createLogger({ write: (line) => lines.push(line) });
  const store = openNodeStore({ directory, log, programVersion: "1.0.0", machine: { machineId: "m" } });
  const { isPersistent, state, identity } = store;
  const found = { isPersistent, nodeId: identity.registration?.nodeId, version: state.bundle("active")?.version };
  store.close();
  console.log(JSON.stringify({ ...found, lines }));
} catch (error) {
  console.log(JSON.stringify({ error: String(error), lines }));
}
