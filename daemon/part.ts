import type { PageSource } from "./scrape/reading.ts";

/**
 * A part of the daemon with a life of its own beside scrapes: node (registration and sync), checks. `app.ts` starts
 * the parts in order, puts their families on every page, and stops them in reverse.
 */
export interface DaemonPart extends PageSource {
  /** Key in /api/v1/status. */
  readonly name: string;
  /** Comes back soon: what takes longer goes on by itself. */
  start(): Promise<void>;
  /** For /api/v1/status. */
  status(): unknown;
  /** Answers a path of its own ("/peer/v1/…"); undefined when it is somebody else's. */
  route?(request: Request, path: string): Response | Promise<Response> | undefined;
  /** Within a second; nothing may be waited for that can hang. */
  stop(): Promise<void>;
}
