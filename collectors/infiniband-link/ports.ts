import type { Host } from "../host.ts";
import { listIfPresent, parseDecimal, readAttribute } from "../read.ts";

/** What one look at a port tells. Plain data: it travels from the probe process. */
export interface PortReading {
  readonly device: string;
  readonly port: string;
  /** 4 is ACTIVE. Undefined when it could not be read. */
  readonly state: number | undefined;
  /** 3 is Disabled, 5 LinkUp. */
  readonly physicalState: number | undefined;
  /** How often the link went down by itself; some ports do not count it. */
  readonly linkDowned: number | undefined;
}

export function listPorts(host: Host): PortReading[] {
  const folder = `${host.sysPath}/class/infiniband`;
  return listIfPresent(folder).flatMap((device) =>
    listIfPresent(`${folder}/${device}/ports`).map((port) => {
      const path = `${folder}/${device}/ports/${port}`;
      const number = (file: string): number | undefined =>
        parseDecimal(readAttribute(host, `${path}/${file}`)?.split(":")[0] ?? "");
      return {
        device,
        port,
        state: number("state"),
        physicalState: number("phys_state"),
        linkDowned: number("counters/link_downed"),
      };
    }),
  );
}
