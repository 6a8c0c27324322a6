import { dlopen, ptr } from "bun:ffi";
import type { Logger } from "../runtime/log.ts";

/** sd_notify(3) without libsystemd. Does nothing when the daemon was not started by a service manager. */
export interface ServiceManager {
  notify(state: "READY=1" | "STOPPING=1" | "RELOADING=1" | "WATCHDOG=1"): void;
  stop(): void;
}

const addressFamilyUnix = 1;
const socketDatagramCloseOnExec = 2 | 0o2000000;
const dontWaitNoSignal = 0x40 | 0x4000;

export function connectServiceManager(
  environment: Readonly<Record<string, string | undefined>>,
  log: Logger,
): ServiceManager {
  const path = environment.NOTIFY_SOCKET;
  if (path === undefined || path === "") return { notify: () => {}, stop: () => {} };
  const send = openDatagramSender(path, log);
  const monotonicMicroseconds = (): string => process.hrtime.bigint().toString().slice(0, -3);
  const watchdog = startWatchdog(environment, () => send("WATCHDOG=1"));
  return {
    // systemd 253 and later (Type=notify-reload) wants to know when the reload began.
    notify: (state) => send(state === "RELOADING=1" ? `${state}\nMONOTONIC_USEC=${monotonicMicroseconds()}` : state),
    stop: () => clearInterval(watchdog),
  };
}

/** WATCHDOG_USEC is the longest silence; half of it is what sd_watchdog_enabled(3) advises. */
function startWatchdog(
  environment: Readonly<Record<string, string | undefined>>,
  alive: () => void,
): Timer | undefined {
  const microseconds = Number(environment.WATCHDOG_USEC);
  const meant = environment.WATCHDOG_PID === undefined || environment.WATCHDOG_PID === String(process.pid);
  if (!(microseconds > 0) || !meant) return undefined;
  return setInterval(alive, microseconds / 2000).unref();
}

/** node:dgram has no Unix sockets, so this calls sendto(2). */
function openDatagramSender(path: string, log: Logger): (text: string) => void {
  try {
    const { symbols } = dlopen("libc.so.6", {
      socket: { args: ["i32", "i32", "i32"], returns: "i32" },
      sendto: { args: ["i32", "ptr", "usize", "i32", "ptr", "u32"], returns: "i64" },
    });
    const fd = symbols.socket(addressFamilyUnix, socketDatagramCloseOnExec, 0);
    const address = toSocketAddress(path);
    return (text) => {
      const bytes = Buffer.from(text);
      const sent = Number(symbols.sendto(fd, ptr(bytes), bytes.length, dontWaitNoSignal, ptr(address), address.length));
      if (sent !== bytes.length) log.warn("service manager cannot be notified", { socket: path, state: text });
    };
  } catch (error) {
    log.warn("service manager cannot be notified", { socket: path, error });
    return () => {};
  }
}

/** struct sockaddr_un; "@" stands for the zero byte of an abstract address. */
function toSocketAddress(path: string): Buffer {
  const name = Buffer.from(path.startsWith("@") ? `\0${path.slice(1)}` : `${path}\0`);
  const address = Buffer.alloc(2 + name.length);
  address.writeUInt16LE(addressFamilyUnix, 0);
  name.copy(address, 2);
  return address;
}
