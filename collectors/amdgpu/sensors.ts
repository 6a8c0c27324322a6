import { parseDecimal } from "../read.ts";
import type { AmdGpu } from "./device.ts";

/** What the driver's hwmon says, in the units of the exporter: °C and watts. */
export interface Sensors {
  readonly edge: number | undefined;
  readonly junction: number | undefined;
  readonly memory: number | undefined;
  readonly averageWatts: number | undefined;
  readonly instantWatts: number | undefined;
  readonly limitWatts: number | undefined;
  readonly thresholds: readonly TemperatureThreshold[];
}

export interface TemperatureThreshold {
  readonly sensor: "edge" | "junction" | "memory";
  /** At `critical` the GPU slows down, at `emergency` it switches itself off. */
  readonly threshold: "critical" | "emergency";
  readonly celsius: number;
}

const sensorOfLabel = { edge: "edge", junction: "junction", mem: "memory" } as const;
const fileOfThreshold = { critical: "crit", emergency: "emergency" } as const;

/** Sensors go by label: an MI300 has no edge sensor, and the numbers of the others start at 2. */
export function readSensors(gpu: AmdGpu): Sensors {
  const { hwmon } = gpu;
  if (hwmon === undefined) return none;
  const labels = new Map(
    [1, 2, 3].map((number) => [gpu.text(`${hwmon}/temp${number}_label`) ?? "", `${hwmon}/temp${number}`]),
  );
  const celsius = (label: string, kind = "input"): number | undefined => {
    const files = labels.get(label);
    return scaled(files === undefined ? undefined : gpu.number(`${files}_${kind}`), 1e3);
  };
  const thresholds = Object.entries(sensorOfLabel).flatMap(([label, sensor]) =>
    (["critical", "emergency"] as const).flatMap((threshold) => {
      const limit = celsius(label, fileOfThreshold[threshold]);
      return limit === undefined ? [] : [{ sensor, threshold, celsius: limit }];
    }),
  );
  const watts = (file: string): number | undefined => scaled(gpu.number(`${hwmon}/${file}`), 1e6);
  return {
    edge: celsius("edge"),
    junction: celsius("junction"),
    memory: celsius("mem"),
    averageWatts: watts("power1_average"),
    instantWatts: watts("power1_input"),
    limitWatts: watts("power1_cap"),
    thresholds,
  };
}

const none: Sensors = {
  edge: undefined,
  junction: undefined,
  memory: undefined,
  averageWatts: undefined,
  instantWatts: undefined,
  limitWatts: undefined,
  thresholds: [],
};

function scaled(value: number | undefined, unit: number): number | undefined {
  return value === undefined ? undefined : value / unit;
}

export interface DpmClock {
  readonly current: number | undefined;
  readonly min: number | undefined;
  readonly max: number | undefined;
}

/** "0: 132Mhz\n1: 2100Mhz *\n", in MHz; a line "S: 19Mhz *" is deep sleep and no state of its own. */
export function parseDpmClock(text: string): DpmClock {
  const states = [...text.matchAll(/^(\w+): (\d+)Mhz( \*)?$/gim)];
  const regular = states.filter(([, name]) => name !== "S").map(([, , mhz]) => Number(mhz));
  const current = states.find(([, , , star]) => star !== undefined)?.[2];
  return {
    current: current === undefined ? undefined : Number(current),
    min: regular.length === 0 ? undefined : Math.min(...regular),
    max: regular.length === 0 ? undefined : Math.max(...regular),
  };
}

/** "16.0 GT/s PCIe". */
export function parseTransferRate(text: string | undefined): number | undefined {
  const rate = /^([\d.]+) GT\/s/.exec(text ?? "")?.[1];
  return rate === undefined ? undefined : parseDecimal(rate);
}
