import { hostname } from "node:os";
import { createBackoff } from "./backoff.ts";
import { tokenFileStamp } from "./bootstrap-file.ts";
import { createNodeClient } from "./client.ts";
import { applyChecks, keepTrustedKeys, type NodeContext, noteFault, recordEvent } from "./context.ts";
import { endTrialLater } from "./trial.ts";
import { discardToken, enrol, waitForToken } from "./enrol.ts";
import type { Registration } from "./identity.ts";
import type { MachineDescription } from "./inventory.ts";
import { type NodeFacts, registerOnce, type RegisterOptions, type RegistrationFailure, toFailure } from "./register.ts";
import { runSync, type SyncEvents } from "./sync.ts";
import type { RefusedError } from "./transport.ts";

const restartMs = 60_000;
const clockToleranceSeconds = 30;

/** Registers and syncs until the signal ends it. A fault of this program is logged and costs a minute, not the daemon. */
export async function liveInFleet(context: NodeContext, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await registerAndSync(context, signal);
    } catch (error) {
      context.log.error("connection to the control server broke off", { error, retry_seconds: restartMs / 1000 });
      await context.sleep(restartMs, signal);
    }
  }
}

async function registerAndSync(context: NodeContext, signal: AbortSignal): Promise<void> {
  const { store, config, sleep, random } = context;
  const options = registerOptions(context, signal);
  const refusals = createBackoff({ firstMs: 30_000, limitMs: 900_000, random });
  while (!signal.aborted) {
    if (!store.identity.registration) await registerFirst(context, options);
    const { registration } = store.identity;
    if (!registration) return;
    const refusal = await syncAsNode(context, registration, signal);
    if (!refusal) return;
    // A node that the server does not know keeps running its checks; only a token lets it register again.
    const stamp = tokenFileStamp(config.token_file);
    if (!stamp.endsWith("/-1") && (await registerAgain(context, options))) continue;
    const waitMs = refusals.next(refusal.retryAfterMs);
    noteRefusal(context, refusal, waitMs);
    await waitForToken(config.token_file, { stamp, waitMs, sleep, signal });
  }
}

function registerOptions(context: NodeContext, signal: AbortSignal): RegisterOptions {
  const { config, store, transport, now, describeMachine } = context;
  let description: Promise<MachineDescription> | undefined;
  const facts = async (): Promise<NodeFacts> => {
    description ??= describeMachine(signal);
    const { bootId, daemonVersion } = context;
    const { instanceId = store.machine.virtualMachineUuid ?? store.machine.machineId } = store.machine;
    const exporters = await context.exporters();
    return { hostname: hostname(), instanceId, bootId, daemonVersion, exporters, description: await description };
  };
  return { config, identity: store.identity, transport, facts, now, signal };
}

async function registerFirst(context: NodeContext, options: RegisterOptions): Promise<void> {
  const { log, sleep, random } = context;
  const { isPersistent } = context.store;
  const failed = (failure: RegistrationFailure) => noteFailure(context, failure);
  const registration = await enrol({ ...options, log, sleep, random, failed, isPersistent });
  if (registration) becomeNode(context, registration);
}

async function registerAgain(context: NodeContext, options: RegisterOptions): Promise<boolean> {
  try {
    becomeNode(context, await registerOnce(options));
    return true;
  } catch (error) {
    if (!options.signal.aborted) noteFailure(context, toFailure(error, context.config));
    return false;
  }
}

function becomeNode(context: NodeContext, registration: Registration): void {
  const { store, config, log, memory, transport } = context;
  const before = store.identity.registration;
  store.identity.register(registration);
  if (before && before.fleet !== registration.fleet) {
    log.warn("node belongs to another fleet now, forgetting the old one's bundle", { before: before.fleet });
    store.state.reset();
    memory.active = undefined;
    memory.state = "unset";
    applyChecks(context, undefined);
  }
  const { nodeId, fleet } = registration;
  const facts = { node_id: nodeId, fleet, clock_skew_seconds: (transport.clockSkewMs ?? 0) / 1000 };
  log.info("registered", facts);
  memory.isRegistered = true;
  memory.isReachable = true;
  memory.fault = undefined;
  recordEvent(context, "registered", facts);
  noteClock(context);
  // Last: should the daemon die before this line, the next attempt is answered with the same node.
  discardToken(config.token_file, log);
}

async function syncAsNode(
  context: NodeContext,
  registration: Registration,
  signal: AbortSignal,
): Promise<RefusedError | undefined> {
  const { store, config, memory, reporter, log } = context;
  const client = createNodeClient({ ...context, identity: store.identity, registration });
  const ended = new AbortController();
  const reporting = reporter
    .run(client, AbortSignal.any([signal, ended.signal]))
    .catch((error: unknown) => log.error("status reports broke off", { error }));
  try {
    return await runSync(
      {
        ...context,
        state: store.state,
        // Read anew for every bundle: a key that a bundle retired is worth nothing from then on.
        get registration() {
          return store.identity.registration ?? registration;
        },
        client,
        active: () => memory.active,
        isRolledBack: () => memory.state === "rolled_back",
        events: syncEvents(context, signal),
        pollWaitSeconds: config.poll_wait_seconds,
      },
      signal,
    );
  } finally {
    ended.abort();
    await reporting;
  }
}

function syncEvents(context: NodeContext, signal: AbortSignal): SyncEvents {
  const { memory, reporter, now, log } = context;
  return {
    activate: (bundle) => {
      memory.active = bundle;
      memory.state = "applied";
      applyChecks(context, bundle);
      void endTrialLater(context, signal);
      keepTrustedKeys(context);
      const { epoch, version, hash, checks, refused, source } = bundle;
      recordEvent(context, "activated", {
        epoch,
        version,
        hash,
        source,
        checks: checks.length,
        refused: refused.length,
      });
      for (const { name, code, message } of refused) log.warn("check refused", { check: name, code, reason: message });
      reporter.changed();
    },
    succeeded: () => {
      if (memory.fault) reporter.changed();
      if (memory.state === "failed") memory.state = "applied";
      memory.isRegistered = true;
      memory.isReachable = true;
      memory.fault = undefined;
      memory.lastSuccessAt = now();
      noteClock(context);
    },
    failed: (fault) => noteFault(context, fault),
  };
}

/** Said once when it begins and once when it is over; the metric has the figure. */
function noteClock({ memory, transport, log }: NodeContext): void {
  const skewSeconds = (transport.clockSkewMs ?? 0) / 1000;
  const isOff = Math.abs(skewSeconds) > clockToleranceSeconds;
  if (isOff === memory.isClockOff) return;
  memory.isClockOff = isOff;
  const facts = { clock_skew_seconds: Math.round(skewSeconds) };
  if (isOff) log.warn("clock differs from the control server's, check the time service", facts);
  else log.info("clock agrees with the control server's again", facts);
}

function noteFailure(context: NodeContext, { code, message }: RegistrationFailure): void {
  const { registrationFailures } = context.memory;
  registrationFailures.set(code, (registrationFailures.get(code) ?? 0) + 1);
  noteFault(context, { kind: code === "unreachable" || code === "timeout" ? "unreachable" : "answer", code, message });
}

function noteRefusal(context: NodeContext, { code, message }: RefusedError, waitMs: number): void {
  const { memory, log, config } = context;
  memory.isRegistered = false;
  const reason = `${message}: to register again, write a new bootstrap token to ${config.token_file}`;
  const level = memory.fault?.code === code ? "debug" : "warn";
  log[level]("control server refuses this node, its checks go on", {
    code,
    reason,
    retry_seconds: Math.round(waitMs / 1000),
  });
  noteFault(context, { kind: "answer", code, message: reason });
}
