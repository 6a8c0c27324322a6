import { describe, expect, test } from "bun:test";
import type { NodeView } from "../../../daemon/node/status.ts";
import { renderStatusPage } from "../../../daemon/status/page.ts";
import { renderStatusText } from "../../../daemon/status/text.ts";
import type { CheckResult } from "../../../checks/check.ts";
import { actionTexts } from "../../../checks/catalogue/catalogue.ts";
import { overallStatus, type StatusView, toAdvice, toCheckView } from "../../../daemon/status/view.ts";
import { defineBuiltinCheck } from "../../checks/builtin/grading.ts";
import { checkView, statusView } from "./views.ts";

const page = (changes: Partial<StatusView>) => renderStatusPage(statusView(changes), { telemetryPath: "/metrics" });
/** What a reader sees, on one line. */
const words = (html: string) =>
  html
    .replace(/<style>.*?<\/style>/s, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ");

const lostGpu = checkView("gpu_xid", {
  status: "critical",
  since: "2026-11-20T11:55:00.000Z",
  action: "reboot",
  findings: [
    { status: "critical", subject: "GPU 0000:3b:00", summary: "Xid 79, GPU has fallen off the bus", action: "reboot" },
    { status: "warning", subject: "GPU 0000:4c:00", summary: "Xid 94", action: "check_application" },
  ],
});
const worn = checkView("nvme_wear", { status: "warning", findings: [], summary: "nvme0: 93 % used" });

describe("the page", () => {
  test("names what is wrong, since when and what to do, the worst first", () => {
    const text = words(page({ status: "critical", checks: { checks: [checkView("mounts"), worn, lostGpu] } }));
    expect(text).toContain("Critical – 1 critical, 1 warning of 3 checks");
    expect(text).toContain("gpu_xid for 5 min, since 2026-11-20 11:55:00 UTC");
    expect(text).toContain("GPU 0000:3b:00 : Xid 79, GPU has fallen off the bus");
    expect(text).toContain("Warning : GPU 0000:4c:00 : Xid 94");
    expect(text).toContain("What to do about GPU 0000:3b:00: Drain the node and reboot it.");
    expect(text).toContain("What to do about GPU 0000:4c:00: Look at the job that ran there");
    expect(text).toContain("nvme0: 93 % used");
    expect(text).toContain("What this means The driver writes an Xid");
    expect(text.indexOf("gpu_xid")).toBeLessThan(text.indexOf("nvme_wear"));
  });

  test("a node that is well says so", () => {
    const text = words(page({ checks: { checks: [checkView("mounts"), checkView("zombies")] } }));
    expect(text).toContain("OK – All 2 checks are well");
    expect(text).not.toContain("What to do");
  });

  test("before the first run nothing is claimed", () => {
    const { status: _status, ...waiting } = checkView("mounts");
    const text = words(page({ status: "unknown", checks: { checks: [waiting] } }));
    expect(text).toContain("Unknown – No check has run yet; 1 have not run yet");
  });

  test("where there is nothing to judge that is no problem", () => {
    const absent = checkView("gpu_xid", { status: "absent" });
    for (const [checks, says] of [
      [[], "no checks run here"],
      [[absent], "no check has anything to judge here"],
    ] as const) {
      const view = statusView({ status: "absent", checks: { checks } });
      expect(words(page(view))).toContain(`Nothing judged – ${says}`);
      expect(renderStatusText(view, { all: false })).toStartWith(`gpu-17: ${says}\n`);
    }
  });

  test("failed collectors and hung probes are not folded away", () => {
    const html = page({
      collectors: {
        cpu: { state: "ok", duration_seconds: 0.001, series: 40, skipped_total: 0 },
        nvidia: { state: "failed", duration_seconds: 0, series: 0, error: "ERROR_UNKNOWN", skipped_total: 0 },
      },
      stuck: [{ job: "collect hwmon", step: "collect", pid: 9, kernel_function: "rpc_wait", duration_seconds: 90 }],
    });
    const [visible = ""] = html.slice(html.indexOf("Collectors</h2>")).split("<details>");
    expect(visible).toContain("ERROR_UNKNOWN");
    expect(visible).not.toContain("cpu");
    expect(words(html)).toContain("1 ok, 1 failed");
    expect(words(html)).toContain("collect hwmon: collect, process 9 in rpc_wait, for 1 min");
  });

  test("no script, and nothing of the node's text becomes markup", () => {
    const evil = `<script>alert("1")</script><img src=x onerror='y'>&`;
    const html = page({
      hostname: evil,
      status: "critical",
      version: { version: evil },
      checks: {
        sandbox: { ok: false, problems: [evil] },
        checks: [
          checkView("script", { status: "critical", summary: evil, findings: [] }),
          checkView("builtin", {
            status: "warning",
            findings: [{ status: "unknown", subject: evil, summary: evil, action: "none" }],
          }),
          checkView(evil, { summary: evil }),
        ],
      },
      collectors: { [evil]: { state: "failed", error: evil, duration_seconds: 0, series: 0, skipped_total: 0 } },
      stuck: [{ job: evil, step: evil, pid: 1, kernel_function: evil, duration_seconds: 1 }],
      events: [{ at: evil, source: evil, kind: evil, severity: "warning", device: evil, message: evil }],
    });
    expect(html).not.toContain("<script");
    expect(html).not.toContain("<img");
    expect(html).not.toContain("='y'");
    expect(html.split("&lt;script&gt;").length - 1).toBeGreaterThanOrEqual(15);
  });

  test("a telemetry path is escaped as well", () => {
    expect(renderStatusPage(statusView(), { telemetryPath: `/"><b>` })).toContain('href="/&quot;&gt;&lt;b&gt;"');
  });

  test("a hundred findings are cut", () => {
    const findings = Array.from({ length: 100 }, (_, index) => ({
      status: "warning" as const,
      subject: `disk${index}`,
      summary: "worn",
      action: "none" as const,
    }));
    const text = words(page({ checks: { checks: [checkView("smart", { status: "warning", findings })] } }));
    expect(text).toContain("disk19");
    expect(text).not.toContain("disk20");
    expect(text).toContain("and 80 more");
  });
});

const fleetNode = {
  server: {
    url: "https://control:8443",
    reachable: true,
    registered: true,
    last_success_at: "2026-11-20T11:59:40.000Z",
  },
  node_id: "n-17",
  fleet: "f-1",
  bundle: {
    epoch: 1,
    version: 42,
    hash: "ab",
    source: "server",
    accepted_at: "2026-11-20T10:00:00.000Z",
    expires_at: "2026-11-27T10:00:00.000Z",
    expired: false,
    groups: ["env:prod"],
    checks: 3,
    refused: [],
  },
  events: [],
} satisfies NodeView;

test("of one subject the worst finding decides what to do", () => {
  const warning = { status: "warning", action: "check_application" } as const;
  const findings = [
    { status: "critical", subject: "GPU 1", summary: "Xid 79", action: "reboot" },
    { ...warning, subject: "GPU 1", summary: "Xid 94" },
    { ...warning, subject: "", summary: "out of memory" },
    ...["a", "b", "c", "d"].map((subject) => ({
      ...warning,
      subject,
      summary: "hung",
      action: "inspect_hardware" as const,
    })),
  ] as const;
  expect(toAdvice(checkView("x", { action: "reboot", findings }))).toEqual([
    { text: actionTexts.reboot, about: "GPU 1" },
    { text: actionTexts.check_application, about: "the node" },
    { text: actionTexts.inspect_hardware, about: "a, b, c and 1 more" },
  ]);
  expect(toAdvice(checkView("x", { action: "reboot", findings: findings.slice(0, 2) }))).toEqual([
    { text: actionTexts.reboot, about: "" },
  ]);
  expect(toAdvice(checkView("x", { action: "reboot" }))).toEqual([{ text: actionTexts.reboot, about: "" }]);
});

test("what is known better than by the action is said in its place", () => {
  const remedy = "Start it: `systemctl start chrony`.";
  const finding = { status: "warning", subject: "", summary: "off", action: "check_configuration", remedy } as const;
  const check = checkView("clock_sync", { status: "warning", action: "check_configuration", findings: [finding] });
  expect(toAdvice(check)).toEqual([{ text: remedy, about: "" }]);
  expect(page({ checks: { checks: [check] } })).toContain("Start it: <code>systemctl start chrony</code>.");
});

describe("what there is to say about the control server", () => {
  test.each<[string, NodeView | undefined, readonly string[]]>([
    ["none configured", { events: [] }, []],
    ["no state directory", undefined, []],
    [
      "all is well",
      fleetNode,
      [
        "registered with https://control:8443 as n-17 of f-1, last answer 20 s ago",
        "policies of revision 1.42: 3 checks, groups env:prod",
      ],
    ],
    [
      "no token",
      {
        server: { url: "https://control:8443", reachable: false, registered: false },
        error: { code: "TOKEN_MISSING", message: "put the token into /etc/aami/token" },
        events: [],
      },
      ["! not registered with https://control:8443", "! TOKEN_MISSING: put the token into /etc/aami/token"],
    ],
    [
      "out of reach, expired, and a check refused",
      {
        ...fleetNode,
        server: { ...fleetNode.server, reachable: false, clock_skew_seconds: -90 },
        bundle: {
          ...fleetNode.bundle,
          source: "peer:n-3",
          expired: true,
          expires_at: "2026-11-20T10:00:00.000Z",
          refused: [{ name: "disk", code: "PERMISSION", message: "asks for the network" }],
        },
      },
      [
        "! registered with https://control:8443 as n-17 of f-1, out of reach, last answer 20 s ago",
        "! the clock differs from the server's by 1 min",
        "policies of revision 1.42 from peer:n-3: 3 checks, groups env:prod",
        "! these policies have expired 2 h ago: they go on, and new ones are missing",
        "! check disk is refused, PERMISSION: asks for the network",
      ],
    ],
  ])("%s", (_what, node, lines) => {
    const view = statusView(node === undefined ? {} : { node });
    const [, , ...rest] = renderStatusText(view, { all: false }).trimEnd().split("\n");
    expect(rest).toEqual([...lines]);
    const text = words(renderStatusPage(view, { telemetryPath: "/metrics" }));
    for (const line of lines) expect(text).toContain(line.replace(/^! /, "").replace("'", "&#39;"));
  });
});

describe("the text", () => {
  test("is what is wrong, and what to do", () => {
    const view = statusView({ status: "critical", checks: { checks: [checkView("mounts"), lostGpu] } });
    expect(renderStatusText(view, { all: false })).toBe(`gpu-17: critical, 1 of 2 checks not ok
aami 1.2.3, up for 3 d

CRITICAL gpu_xid, for 5 min
  - GPU 0000:3b:00: Xid 79, GPU has fallen off the bus
  - warning: GPU 0000:4c:00: Xid 94
  > GPU 0000:3b:00: Drain the node and reboot it.
  > GPU 0000:4c:00: Look at the job that ran there: its log, its kernel, its memory accesses. The node itself can go on.
`);
  });

  test.each([
    ["/var/lib/aami", "  > Dealt with? aami acknowledge gpu_xid --note TEXT\n"],
    ["/srv/a b", '  > Dealt with? aami acknowledge gpu_xid --note TEXT --state-directory "/srv/a b"\n'],
    [undefined, undefined],
  ])("says how to acknowledge what a daemon with its state in %s has found", (directory, hint) => {
    const xid = { status: "critical", subject: "GPU 0000:3b:00", summary: "Xid 79", action: "reboot" } as const;
    const checks = [
      checkView("gpu_xid", { status: "critical", findings: [{ ...xid, at: "2026-11-20T11:55:00.000Z" }] }),
    ];
    const state = directory === undefined ? {} : { state_directory: directory };
    const text = renderStatusText(statusView({ status: "critical", checks: { checks, ...state } }), { all: false });
    expect(text.split(/^(?=  > Dealt)/m)[1]?.trimEnd()).toBe(hint?.trimEnd());
  });

  test("--all has the rest", () => {
    const view = statusView({
      checks: { checks: [checkView("mounts"), checkView("gpu_xid", { status: "absent", summary: "no NVIDIA GPU" })] },
      collectors: { cpu: { state: "ok", duration_seconds: 0, series: 1, skipped_total: 0 } },
    });
    const text = renderStatusText(view, { all: true });
    expect(text).toContain("check mounts: ok, all is well\n");
    expect(text).toContain("check gpu_xid: absent, no NVIDIA GPU\n");
    expect(text).toContain("collector cpu: ok\n");
    expect(renderStatusText(view, { all: false })).not.toContain("cpu");
  });

  test("control characters do not reach the terminal", () => {
    const view = statusView({
      checks: { checks: [checkView("x", { status: "warning", summary: "\u001b[2J\u009b1m" })] },
    });
    expect(renderStatusText(view, { all: false })).toContain("  - ?[2J?1m\n");
  });
});

test("a result that is too old is not told as what is so now", () => {
  const definition = defineBuiltinCheck("gpu_xid");
  const result: CheckResult = {
    check: "gpu_xid",
    definition: "d",
    startedAt: "2026-11-20T11:00:00.000Z",
    durationSeconds: 1,
    outcome: "exit",
    exitCode: 2,
    error: "exit",
    families: [],
    verdict: {
      status: "critical",
      summary: "GPU 3: lost",
      action: "reboot",
      findings: [{ status: "critical", subject: "GPU 3", summary: "lost", action: "reboot" }],
    },
  };
  const state = {
    definition,
    result,
    running: false,
    nextRunSeconds: 1,
    periodSeconds: 30,
    runs: new Map(),
    skippedRuns: 9,
  };
  const view = toCheckView({ ...state, ageSeconds: 3600, stale: true });
  const text = renderStatusText(statusView({ status: "unknown", checks: { checks: [view] } }), { all: false });
  expect(text).toContain("UNKNOWN gpu_xid");
  expect(text).toContain("  - no result for 3600 s, the last: GPU 3: lost\n");
  expect(text).not.toContain("  >");
  expect(
    renderStatusText(statusView({ checks: { checks: [toCheckView({ ...state, ageSeconds: 9, stale: false })] } }), {
      all: false,
    }),
  ).toContain("> Drain");
});

test.each([
  [[], "absent"],
  [["ok", undefined], "ok"],
  [["absent", undefined], "unknown"],
  [["ok", "absent"], "ok"],
  [["absent"], "absent"],
  [["ok", "unknown"], "unknown"],
  [["unknown", "warning"], "warning"],
  [["warning", "critical", "unknown"], "critical"],
] as const)("checks %p make the node %s", (all, status) => {
  const checks = all.map((each, index) => {
    const { status: _status, ...waiting } = checkView(`c${index}`);
    return each === undefined ? waiting : { ...waiting, status: each };
  });
  expect(overallStatus(checks)).toBe(status);
});
