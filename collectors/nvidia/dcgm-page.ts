import type { Labels, MetricFamily } from "../collector.ts";
import { createFamilySet, type FamilyHead, type FamilySet } from "../families.ts";
import { type Counter, type Counters, windowCounters, xidFields } from "./counters.ts";
import { dcgmFields, type Entity, labelFields } from "./dcgm-fields.ts";
import type { HpcJobs } from "./hpc-jobs.ts";
import { throttleReasons } from "./throttle.ts";
import { countWindowMs, type SeenXid, type WatchedGpu } from "./watch-state.ts";
import { toXidMessage } from "./xid-messages.ts";

export interface DcgmPageOptions {
  readonly counters: Counters;
  /** Label key of `hostname`: "Hostname" up to dcgm-exporter 4.8.2, "hostname" later; undefined for no such label. */
  readonly hostnameLabel: string | undefined;
  readonly hostname: string;
  readonly uuidLabel: "UUID" | "uuid";
  readonly replaceBlanksInModelName: boolean;
}

export interface DcgmPageInput {
  /** All that have been seen: an Xid is told of a GPU that is lost as well, and more than ever. */
  readonly gpus: readonly WatchedGpu[];
  /** Those of `gpus` with a sample that may be shown. */
  readonly readable: readonly WatchedGpu[];
  readonly versions: { readonly driverVersion: string; readonly nvmlVersion: string };
  readonly jobs: HpcJobs;
  readonly nowMs: number;
}

interface LabelledEntity extends Entity {
  readonly gpu: WatchedGpu;
  readonly gpuInstanceId: number | undefined;
  /** One for each job that has the GPU; one without a job label else. */
  readonly labels: readonly Labels[];
}

/** The families of dcgm-exporter. A value that the device does not tell has no series, a family without series no lines. */
export function dcgmFamilies(input: DcgmPageInput, options: DcgmPageOptions): MetricFamily[] {
  const set = createFamilySet();
  const entities = input.readable.flatMap((gpu) => toEntities(gpu, input, options));
  for (const counter of options.counters.counters) {
    const head = { name: counter.field, help: counter.help, type: counter.type };
    const read = dcgmFields.get(counter.field);
    if (read !== undefined) {
      for (const entity of entities) addAll(set, head, entity.labels, read(entity));
    } else {
      addEvents(set, counter, head, { input, options, entities });
    }
  }
  return set.list();
}

/** The GPU, or instead of it its GPU instances. */
function toEntities(gpu: WatchedGpu, input: DcgmPageInput, options: DcgmPageOptions): LabelledEntity[] {
  const { identity, reading, nvlinkRate, linkRates } = gpu;
  if (reading === undefined) return [];
  const { values, instances } = reading;
  const common = { gpu, identity, values, nvlinkRate, linkRates };
  if (instances.length === 0) {
    const labels = withJobs(gpuLabels(gpu, input, options), input.jobs[String(identity.index)]);
    return [{ ...common, own: values, gpm: reading.gpm, gpuInstanceId: undefined, labels }];
  }
  return instances.map(({ gpuInstanceId, profile, values: own, gpm }) => {
    const instanceLabels = { GPU_I_PROFILE: profile, GPU_I_ID: String(gpuInstanceId) };
    const jobs = input.jobs[`${identity.index}.${gpuInstanceId}`];
    const labels = withJobs({ ...gpuLabels(gpu, input, options), ...instanceLabels }, jobs);
    return { ...common, own, gpm, gpuInstanceId, labels };
  });
}

function gpuLabels({ identity }: WatchedGpu, { versions }: DcgmPageInput, options: DcgmPageOptions): Labels {
  const { index, uuid, pciBusId, name, texts } = identity;
  const labels: Record<string, string> = {
    gpu: String(index),
    [options.uuidLabel]: uuid,
    pci_bus_id: pciBusId,
    device: `nvidia${index}`,
    modelName: options.replaceBlanksInModelName ? name.replaceAll(/\s+/g, "-") : name,
  };
  if (options.hostnameLabel !== undefined) labels[options.hostnameLabel] = options.hostname;
  const told: Readonly<Record<string, string>> = {
    ...texts,
    DCGM_FI_DRIVER_VERSION: versions.driverVersion,
    DCGM_FI_NVML_VERSION: versions.nvmlVersion,
  };
  for (const label of options.counters.labels) {
    const text = told[labelFields.get(label) ?? ""];
    if (text !== undefined && text !== "") labels[label] = text;
  }
  return labels;
}

function withJobs(labels: Labels, jobs: readonly string[] = []): Labels[] {
  return jobs.length === 0 ? [labels] : jobs.map((job) => ({ ...labels, hpc_job: job }));
}

function addAll(set: FamilySet, head: FamilyHead, labels: readonly Labels[], value: number | undefined): void {
  for (const each of labels) set.add(head, each, value);
}

interface Page {
  readonly input: DcgmPageInput;
  readonly options: DcgmPageOptions;
  readonly entities: readonly LabelledEntity[];
}

function addEvents(set: FamilySet, { field }: Counter, head: FamilyHead, page: Page): void {
  if (xidFields.includes(field)) addLastXids(set, head, page);
  else if (field === windowCounters.xids) addXidCounts(set, head, page);
  else if (field === windowCounters.clockEvents) addClockEvents(set, head, page);
}

/** An Xid without an instance concerns the whole GPU, also one that has instances. */
function labelsOf(gpu: WatchedGpu, gpuInstance: number | undefined, page: Page): readonly Labels[] {
  const entity = page.entities.find((each) => each.gpu === gpu && each.gpuInstanceId === gpuInstance);
  return entity?.labels ?? [gpuLabels(gpu, page.input, page.options)];
}

function addLastXids(set: FamilySet, head: FamilyHead, page: Page): void {
  for (const gpu of page.input.gpus) {
    const last = new Map<number | undefined, SeenXid>();
    for (const xid of gpu.xids) last.set(xid.gpuInstance, xid);
    for (const [gpuInstance, { code }] of last) {
      const error = { err_code: String(code), err_msg: toXidMessage(code) };
      for (const labels of labelsOf(gpu, gpuInstance, page)) set.add(head, { ...labels, ...error }, code);
    }
  }
}

const window = { window_size_in_ms: String(countWindowMs) };

function addXidCounts(set: FamilySet, head: FamilyHead, page: Page): void {
  const isRecent = ({ atMs }: SeenXid): boolean => atMs > page.input.nowMs - countWindowMs;
  for (const { gpu, gpuInstanceId, labels } of page.entities) {
    if (!gpu.xids.some((xid) => isRecent(xid) && xid.gpuInstance === gpuInstanceId)) addNothing(set, head, labels);
  }
  for (const gpu of page.input.gpus) {
    const recent = gpu.xids.filter(isRecent);
    const groups = Map.groupBy(recent, ({ gpuInstance, code }) => `${gpuInstance ?? ""} ${code}`);
    for (const [first, ...more] of groups.values()) {
      if (first === undefined) continue;
      for (const labels of labelsOf(gpu, first.gpuInstance, page)) {
        set.add(head, { ...labels, ...window, xid: String(first.code) }, 1 + more.length);
      }
    }
  }
}

function addClockEvents(set: FamilySet, head: FamilyHead, page: Page): void {
  for (const { gpu, labels } of page.entities) {
    const recent = gpu.throttleSamples.filter(({ atMs }) => atMs > page.input.nowMs - countWindowMs);
    if (recent.every(({ reasons }) => reasons === 0)) addNothing(set, head, labels);
    for (const { bit, dcgmName } of throttleReasons) {
      const count = recent.filter(({ reasons }) => (reasons & bit) !== 0).length;
      if (count === 0) continue;
      for (const each of labels) set.add(head, { ...each, ...window, clock_event: dcgmName }, count);
    }
  }
}

/** dcgm-exporter's series of an entity with nothing to count. */
function addNothing(set: FamilySet, head: FamilyHead, labels: readonly Labels[]): void {
  for (const each of labels) set.add(head, { ...each, ...window }, 0);
}
