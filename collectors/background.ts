import type { CollectorDefinition } from "./collector.ts";
import { filesystem } from "./filesystem.ts";
import { infinibandLink } from "./infiniband-link.ts";
import { kmsg } from "./kmsg.ts";
import { nvidia } from "./nvidia.ts";
import { smart } from "./smart.ts";

/** The background collectors of the registry: all that the daemon process itself runs, and so all that it loads. */
export const backgroundCollectors: readonly CollectorDefinition[] = [filesystem, infinibandLink, kmsg, nvidia, smart];
