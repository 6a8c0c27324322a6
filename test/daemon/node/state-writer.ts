// Child process of kill.test.ts: opens the state as a daemon does and writes without pause until it is killed.
import { openIdentity } from "../../../daemon/node/identity.ts";
import { openState } from "../../../daemon/node/state.ts";
import { sha256Hex } from "../../../protocol/keys.ts";
import { createLogger } from "../../../runtime/log.ts";

const directory = process.argv[2] ?? "";
const log = createLogger();
const identity = openIdentity({ directory, machine: { machineId: "m" }, log });
const state = openState({ directory, log, programVersion: "1.0.0" });

const first = (state.mark()?.version ?? 0) + 1;
for (let version = first; ; version++) {
  const script = `echo ${version} ${"#".repeat((version * 7919) % 60_000)}`;
  const hash = sha256Hex(script);
  const previous = state.bundle("active");
  state.install({
    bundle: {
      epoch: 1,
      version,
      // The manifest's hash would be here; the script's lets the test see that both belong together.
      hash,
      bytes: new TextEncoder().encode(script),
      source: "server",
      etag: undefined,
      acceptedAt: version,
    },
    blobs: new Map([[hash, new TextEncoder().encode(script)]]),
    keepBlobs: new Set([hash, ...(previous ? [previous.hash] : [])]),
    mark: { epoch: 1, version, hash, clockFloor: version },
  });
  state.rememberEtag(`"${version}"`);
  state.saveResults([{ checkKey: `check-${version % 50}`, finishedAt: version, result: `{"version":${version}}` }], []);
  state.recordEvent("activated", { version });
  if (version === first) console.log("writing");
  identity.register({ nodeId: "n", fleet: "f", serverUrl: "u", trustedKeys: [], registeredAt: version });
}
