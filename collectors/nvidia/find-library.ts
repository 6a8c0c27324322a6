import { existsSync } from "node:fs";

export interface FoundLibrary {
  /** Undefined when there is nothing to load. */
  readonly library: string | undefined;
  readonly reason: string;
}

const name = "libnvidia-ml.so.1";
/** Where distributions, the driver's own installer, containers and WSL put it. */
const folders = [
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/usr/lib64",
  "/usr/lib",
  "/usr/local/nvidia/lib64",
  "/run/nvidia/driver/usr/lib/x86_64-linux-gnu",
  "/run/nvidia/driver/usr/lib/aarch64-linux-gnu",
  "/run/nvidia/driver/usr/lib64",
  "/run/opengl-driver/lib",
  "/usr/lib/wsl/lib",
];
/** The driver's control node; under WSL the paravirtual one. */
const deviceNodes = ["/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg"];

/** Looks without loading anything. A library that was named is taken at its word, device nodes or not. */
export function findNvml(configured: string): FoundLibrary {
  if (configured !== "") {
    return existsSync(configured)
      ? { library: configured, reason: "" }
      : { library: undefined, reason: `${configured} is not there` };
  }
  const found = folders.map((folder) => `${folder}/${name}`).find((path) => existsSync(path));
  if (found === undefined) return { library: undefined, reason: `${name} is not installed` };
  if (!deviceNodes.some((node) => existsSync(node))) {
    return { library: undefined, reason: "no NVIDIA device node, the driver is not loaded" };
  }
  return { library: found, reason: "" };
}
