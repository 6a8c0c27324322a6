import { silentLogger, type Logger } from "../../runtime/log.ts";
import { type PageForm, toForm } from "./forms.ts";
import { type CollectorOutcome, createOutcomeFamilies, type OutcomeFamily } from "./own-families.ts";
import { createPageMaker, type PagePart } from "./page.ts";
import { createFamilyBytes, emptyReading, type PageSource, type Reading } from "./reading.ts";
import { createSlot, type Slot, type SlotStatus } from "./slot.ts";
import type { CollectorSource } from "./source.ts";

/** Makes metrics pages. Scrapes that ask for the same at the same time share one page. */
export interface ScrapeEngine {
  readonly collectorNames: readonly string[];
  /** `names`: the collectors to ask, undefined for all. What is not ready after `deadlineMs` is left out. */
  scrape(names: readonly string[] | undefined, deadlineMs: number, form?: PageForm): Promise<Uint8Array<ArrayBuffer>>;
  /** False when this scrape would join one that is running. */
  startsCollection(names: readonly string[] | undefined, deadlineMs: number): boolean;
  /** One collector for checks, at most `maxAgeMs` old; undefined when it is not enabled. Never rejects. */
  reading(
    name: string,
    limits: { readonly maxAgeMs: number; readonly deadlineMs: number },
  ): Promise<Reading | undefined>;
  /** Collections that are running. */
  running(): number;
  status(): Record<string, SlotStatus>;
}

export interface EngineOptions {
  readonly sources: readonly CollectorSource[];
  readonly timeoutMs: number;
  /** Families that are on every page, filtered or not. */
  readonly pageSources: readonly PageSource[];
  /** Collectors that are no part of any page: only checks read them. */
  readonly offPage?: ReadonlySet<string>;
  readonly log?: Logger;
}

export function createScrapeEngine({
  sources,
  timeoutMs,
  pageSources,
  offPage = new Set(),
  log = silentLogger,
}: EngineOptions): ScrapeEngine {
  const slots = new Map(
    sources
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map((source) => [source.name, createSlot({ source, timeoutMs, log })]),
  );
  const onPage = [...slots.values()].filter(({ name }) => !offPage.has(name));
  const ownParts = pageSources.map(createOwnPart);
  const inFlight = new Map<string, Sharers>();
  const selections = new Map<string, Selection>();
  const clashesTold = new Set<string>();

  const scrape: ScrapeEngine["scrape"] = (names, deadlineMs, form = "plain") => {
    const key = keyOf(names, deadlineMs);
    const sharers = inFlight.get(key) ?? begin(key, names, deadlineMs);
    const sharer = sharers.get(form) ?? Promise.withResolvers();
    sharers.set(form, sharer);
    return sharer.promise;
  };

  const begin = (key: string, names: readonly string[] | undefined, deadlineMs: number): Sharers => {
    const sharers: Sharers = new Map();
    inFlight.set(key, sharers);
    const end = (answer: (sharer: Sharer, form: PageForm) => void): void => {
      inFlight.delete(key);
      for (const [form, sharer] of sharers) answer(sharer, form);
    };
    const selection = select(names);
    collectParts(selection, deadlineMs)
      .then((parts) => {
        const { bytes, clashes } = selection.toPage(parts);
        tellClashes(clashes);
        // At once: the next page is made in the same memory.
        end(({ resolve }, form) => resolve(toForm(bytes, form)));
      })
      .catch((error: unknown) => end(({ reject }) => reject(error)));
    return sharers;
  };

  const collectParts = async ({ slots, outcomeFamilies }: Selection, deadlineMs: number): Promise<PagePart[]> => {
    const outcomes = await readAll(slots, deadlineMs);
    const parts: PagePart[] = outcomes.map(({ name, reading }) => ({ name, families: reading.families }));
    for (const part of ownParts) parts.push(await part());
    for (const family of outcomeFamilies) parts.push({ name: "", families: family(outcomes) });
    return parts;
  };

  const select = (names: readonly string[] | undefined): Selection => {
    const key = names === undefined ? "*" : names.toSorted().join(",");
    const known = selections.get(key);
    if (known !== undefined) return known;
    if (selections.size >= mostSelections) selections.clear();
    const selection = createSelection(names === undefined ? onPage : onPage.filter(({ name }) => names.includes(name)));
    selections.set(key, selection);
    return selection;
  };

  const tellClashes = (clashes: readonly string[]): void => {
    const fresh = clashes.filter((family) => !clashesTold.has(family));
    if (fresh.length === 0) return;
    for (const family of fresh) clashesTold.add(family);
    log.error("text files have metrics with names that are taken, they are left out", { families: fresh });
  };

  return {
    collectorNames: onPage.map(({ name }) => name),
    scrape,
    reading: async (name, { maxAgeMs, deadlineMs }) => {
      const slot = slots.get(name);
      if (slot === undefined) return undefined;
      const { promise, resolve } = Promise.withResolvers<Reading>();
      const isWorthWaiting = slot.recent(maxAgeMs, resolve);
      const late = emptyReading("timeout", 0, slot.status().error ?? "no answer in time");
      return isWorthWaiting ? withDeadline(promise, deadlineMs, late) : late;
    },
    startsCollection: (names, deadlineMs) => !inFlight.has(keyOf(names, deadlineMs)),
    running: () => inFlight.size,
    status: () => Object.fromEntries([...slots].map(([name, slot]) => [name, slot.status()])),
  };
}

/** Of one page, by the form in which they want it. */
type Sharers = Map<PageForm, Sharer>;
type Sharer = PromiseWithResolvers<Uint8Array<ArrayBuffer>>;

/** What is remembered from one page to the next of the same collectors. */
interface Selection {
  readonly slots: readonly Slot[];
  readonly outcomeFamilies: readonly OutcomeFamily[];
  readonly toPage: ReturnType<typeof createPageMaker>;
}

/** Each is a scrape job somewhere, or somebody trying things out. */
const mostSelections = 8;

function createSelection(slots: readonly Slot[]): Selection {
  return {
    slots,
    outcomeFamilies: createOutcomeFamilies(),
    toPage: createPageMaker(),
  };
}

function createOwnPart(source: PageSource): () => Promise<PagePart> {
  const encode = createFamilyBytes();
  return async () => ({ name: "", families: encode(await source.families()) });
}

function keyOf(names: readonly string[] | undefined, deadlineMs: number): string {
  return `${names === undefined ? "*" : names.toSorted().join(",")} ${deadlineMs}`;
}

async function withDeadline(reading: Promise<Reading>, deadlineMs: number, late: Reading): Promise<Reading> {
  const timeout = Promise.withResolvers<Reading>();
  const timer = setTimeout(() => timeout.resolve(late), deadlineMs);
  return Promise.race([reading, timeout.promise]).finally(() => clearTimeout(timer));
}

/** Waits for all that are worth it, up to the deadline; what has not come is a timeout. */
function readAll(slots: readonly Slot[], deadlineMs: number): Promise<CollectorOutcome[]> {
  const startedAt = performance.now();
  const readings: (Reading | undefined)[] = slots.map(() => undefined);
  const awaited = new Set<number>();
  const { promise, resolve } = Promise.withResolvers<CollectorOutcome[]>();
  const finish = (): void => {
    clearTimeout(timer);
    resolve(
      slots.map((slot, index) => ({
        name: slot.name,
        reading: readings[index] ?? late(),
        skippedTotal: slot.skippedTotal(),
      })),
    );
  };
  const late = (): Reading => {
    const seconds = (performance.now() - startedAt) / 1000;
    return emptyReading("timeout", seconds, "no answer before the scrape had to end");
  };
  const timer = setTimeout(finish, deadlineMs);
  for (const [index, slot] of slots.entries()) {
    const isWorthWaiting = slot.read((reading) => {
      readings[index] = reading;
      if (awaited.delete(index) && awaited.size === 0) finish();
    });
    if (isWorthWaiting && readings[index] === undefined) awaited.add(index);
  }
  if (awaited.size === 0) finish();
  return promise;
}
