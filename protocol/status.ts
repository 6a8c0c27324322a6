import { type Static, Type as t } from "@sinclair/typebox";

const Revision = t.Object(
  {
    epoch: t.Integer({ minimum: 0 }),
    version: t.Integer({ minimum: 0 }),
    hash: t.String({ maxLength: 64 }),
  },
  { additionalProperties: false },
);

const CheckReport = t.Object(
  {
    instance_id: t.String({ maxLength: 64 }),
    name: t.String({ maxLength: 64 }),
    result: t.String({
      maxLength: 32,
      description:
        "ok, warning, critical, unknown; absent: nothing on the node to judge; else why there is no verdict: timeout, " +
        "output, oom, sandbox_error, stuck, refused, …",
    }),
    exit_code: t.Optional(t.Integer()),
    duration_seconds: t.Optional(t.Number({ minimum: 0 })),
    finished_at: t.Optional(t.String({ maxLength: 40 })),
    message: t.Optional(t.String({ maxLength: 2048 })),
  },
  { additionalProperties: false },
);

/** POST /api/v1/nodes/self/status: on change and every few minutes; the server keeps the last one. At most Limits.statusBytes. */
export const NodeStatus = t.Object(
  {
    /** Rises with every report; an older one is dropped. Milliseconds of the node's clock serve well. */
    sequence: t.Integer({ minimum: 0 }),
    daemon_version: t.String({ maxLength: 64 }),
    boot_id: t.Optional(t.String({ maxLength: 64 })),
    received: t.Optional(Revision),
    active: t.Optional(Revision),
    state: t.Union(["unset", "applying", "applied", "failed", "rolled_back"].map((state) => t.Literal(state))),
    error: t.Optional(
      t.Object(
        { code: t.String({ maxLength: 64 }), message: t.String({ maxLength: 1024 }) },
        { additionalProperties: false },
      ),
    ),
    sandbox_ok: t.Optional(t.Boolean()),
    sandbox_message: t.Optional(t.String({ maxLength: 1024 })),
    clock_skew_seconds: t.Optional(t.Number()),
    checks: t.Optional(t.Array(CheckReport, { maxItems: 500 })),
  },
  { additionalProperties: false },
);
export type NodeStatus = Static<typeof NodeStatus>;

/** Paths that a node uses. Proofs are bound to them, so both sides take them from here. */
export const nodePaths = {
  register: "/api/v1/bootstrap/register",
  bundle: "/api/v1/nodes/self/bundle",
  status: "/api/v1/nodes/self/status",
  blob: (hash: string) => `/api/v1/blobs/${hash}`,
} as const;

/** Request header of a bundle poll: the revision that runs, `epoch.version`; doubles as heartbeat. */
export const appliedRevisionHeader = "aami-applied-revision";
