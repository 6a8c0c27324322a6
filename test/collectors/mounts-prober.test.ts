import { expect, test } from "bun:test";
import { join } from "node:path";
import { toFilesystemFamilies } from "../../collectors/mounts/families.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";
import type { MountProbes, ProbeEvents } from "../../collectors/mounts/probe-client.ts";
import type { ProbeReading, ProbeRequest } from "../../collectors/mounts/probe.ts";
import { createMountProber } from "../../collectors/mounts/prober.ts";
import { parseMountInfo, stripRoot } from "../../collectors/mounts/table.ts";
import { createLogger } from "../../runtime/log.ts";

const good: ProbeReading = {
  durationSeconds: 0.001,
  space: { sizeBytes: 4096, freeBytes: 2048, availBytes: 1024, files: 9, filesFree: 4 },
};

interface Probe {
  readonly request: ProbeRequest;
  readonly events: ProbeEvents;
}

/** A prober whose probes end when and how the test says, on a clock that stands still otherwise. */
function createScene(mountinfo: string, rootPath = "/") {
  let seconds = 1000;
  let table = mountinfo;
  let trouble: string | undefined;
  let out: Probe[] = [];
  const started: string[] = [];
  const lines: string[] = [];
  const probes: MountProbes = {
    start: (request, _, events) => {
      started.push(request.path);
      out.push({ request, events });
    },
  };
  const prober = createMountProber({
    settings: {
      sysPath: "/sys",
      probeIntervalSeconds: 30,
      deadlineSeconds: 5,
      maxStuckProbes: 3,
      isWatched: () => true,
      expected: [],
      writeTests: {
        mountPoints: ["/w"],
        intervalSeconds: 600,
        deadlineSeconds: 10,
        directory: ".aami",
        nodeName: "n1",
      },
    },
    probes,
    readTable: () => parseMountInfo(table),
    toHostPath: (mountPoint) => stripRoot(rootPath, mountPoint),
    toLocalPath: (hostPath) => join(rootPath, hostPath),
    kernelTrouble: () => trouble,
    isSameDevice: () => false,
    log: createLogger({ write: (line) => void lines.push(JSON.parse(line).msg) }),
    now: () => ({ monotonicMs: seconds * 1000, epochMs: seconds * 1000 }),
    random: () => 0.5,
  });
  const take = (path: string): Probe => {
    const index = out.findIndex(({ request }) => request.path === path);
    const [probe] = out.splice(index, index < 0 ? 0 : 1);
    if (probe === undefined) throw new Error(`no probe of ${path} is out`);
    return probe;
  };
  return {
    prober,
    started,
    lines,
    setTrouble: (event: string | undefined) => void (trouble = event),
    setTable: (text: string) => void (table = text),
    later: (by: number) => {
      seconds += by;
      prober.tick();
    },
    answer: (path: string, reading = good) => take(path).events.reading(reading),
    answerAll: () => {
      for (const { events } of out.splice(0)) events.reading(good);
    },
    stick: (path: string) => {
      const probe = take(path);
      probe.events.stuck("stat", { pid: 4711, wchan: "request_wait_answer" });
      return probe.events;
    },
    outNow: () => out.map(({ request }) => request.path),
    of: (path: string) => {
      const status = prober.status().mounts.find(({ mountPoint }) => mountPoint === path);
      if (status === undefined) throw new Error(`${path} is not watched`);
      return status;
    },
  };
}

const local = (id: number, path: string): string => `${id} 1 8:${id} / ${path} rw - ext4 /dev/sd${id} rw\n`;
const nfs = (id: number, path: string, server = "nas"): string =>
  `${id} 1 0:${id} / ${path} rw - nfs4 ${server}:/export${id} rw\n`;

test("every mount is probed at once and then every interval, never twice at a time", () => {
  const scene = createScene(local(1, "/a") + local(2, "/b"));
  scene.prober.refresh();
  expect(scene.outNow()).toEqual(["/a", "/b"]);
  scene.later(100);
  expect(scene.outNow()).toEqual(["/a", "/b"]);
  scene.answerAll();
  expect(scene.outNow()).toEqual(["/a", "/b"]); // the round that came due meanwhile
  scene.answerAll();
  scene.later(10);
  expect(scene.outNow()).toEqual([]);
  scene.later(25);
  expect(scene.outNow()).toEqual(["/a", "/b"]);
});

test("the first round is over when every mount has been answered for", async () => {
  const scene = createScene(local(1, "/a") + local(2, "/b"));
  scene.prober.refresh();
  let isOver = false;
  void scene.prober.firstRound.then(() => (isOver = true));
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  scene.answer("/a");
  await turn();
  expect(isOver).toBe(false);
  scene.stick("/b");
  await turn();
  expect(isOver).toBe(true);
});

test("a stuck mount is left alone, named once, and probed again at once when its probe has ended", () => {
  const scene = createScene(local(1, "/a") + nfs(2, "/hung"));
  scene.prober.refresh();
  scene.answer("/a");
  const events = scene.stick("/hung");
  for (let round = 0; round < 10; round++) {
    scene.later(40);
    scene.answer("/a");
  }
  expect(scene.started.filter((path) => path === "/hung")).toHaveLength(1);
  expect(scene.lines.filter((line) => line.includes("stuck"))).toHaveLength(1);
  expect(scene.of("/hung")).toMatchObject({ state: { health: "stuck", step: "stat", unhealthy: true } });
  expect(scene.of("/hung").stuckSeconds).toBe(400);
  events.released();
  expect(scene.outNow()).toEqual(["/hung"]);
  scene.answer("/hung");
  expect(scene.of("/hung").state).toMatchObject({ health: "ok", unhealthy: true });
  scene.later(40);
  scene.answer("/hung");
  expect(scene.of("/hung").state.unhealthy).toBe(false);
  expect(scene.lines.at(-1)).toBe("mount has recovered");
});

test("of one server's mounts one at a time is asked, and one more at most while one is stuck", () => {
  const scene = createScene(nfs(1, "/n1") + nfs(2, "/n2") + nfs(3, "/n3") + nfs(4, "/other", "nas2"));
  scene.prober.refresh();
  expect(scene.outNow()).toEqual(["/n1", "/other"]);
  scene.stick("/n1");
  expect(scene.outNow()).toEqual(["/other", "/n2"]);
  scene.stick("/n2");
  expect(scene.outNow()).toEqual(["/other"]);
  expect(scene.of("/n3").heldBack).toBe("group is stuck");
});

test("past the cap no remote mount is probed any more, local ones are", () => {
  const mounts = [1, 2, 3, 4, 5].map((id) => nfs(id, `/n${id}`, `server${id}`)).join("");
  const scene = createScene(mounts + local(9, "/local"));
  scene.prober.refresh();
  for (const path of ["/n1", "/n2", "/n3"]) scene.stick(path);
  scene.answerAll();
  expect(scene.prober.status().stuckProbes).toBe(3);
  scene.later(40);
  expect(scene.outNow()).toEqual(["/local"]);
  expect(scene.of("/n4").heldBack).toBe("too many stuck probes");
});

test("a mount that goes away while stuck is forgotten, its process still counted until it ends", () => {
  const scene = createScene(local(1, "/a") + nfs(2, "/hung"));
  scene.prober.refresh();
  const events = scene.stick("/hung");
  scene.setTable(local(1, "/a") + nfs(3, "/hung"));
  scene.prober.refresh();
  expect(scene.prober.status().mounts.map(({ mount }) => mount.id)).toEqual([1, 3]);
  expect(scene.prober.status().stuckProbes).toBe(1);
  expect(scene.outNow()).toContain("/hung"); // the new mount there
  events.released();
  expect(scene.prober.status().stuckProbes).toBe(0);
});

test.each([
  ["PID 1's table names it as the host does", "/data"],
  ["our own table names it below the host's root", "/host/data"],
])("in a container: %s", (_, listed) => {
  const scene = createScene(local(1, listed), "/host");
  scene.prober.refresh();
  expect(scene.outNow()).toEqual(["/host/data"]);
  expect(scene.of("/data").state.health).toBe("unknown");
});

test("an automount that expires is not touched, one that stays is", () => {
  const scene = createScene(
    "10 1 0:10 / /home rw - autofs auto.home rw,timeout=300\n11 10 0:11 / /home/ada rw - nfs4 nas:/ada rw\n" +
      "12 1 0:12 / /data rw - autofs systemd-1 rw,timeout=0,direct\n13 12 0:13 / /data rw - nfs4 nas2:/d rw\n",
  );
  scene.prober.refresh();
  expect(scene.outNow()).toEqual(["/data"]);
  expect(scene.of("/home/ada").heldBack).toBe("expiring automount");
});

test("the write test waits for its time, a good mount and room, and a freeze leaves the read probes alone", () => {
  const scene = createScene(local(1, "/w"));
  scene.prober.refresh();
  scene.answer("/w");
  expect(scene.of("/w").write).toEqual({ stuckSeconds: 0 });
  scene.later(310);
  const writes = (): number => scene.started.length;
  expect(scene.outNow()).toEqual(["/w", "/w"]);
  scene.answer("/w"); // the read probe was started first
  const events = scene.stick("/w");
  for (const _ of [1, 2, 3]) {
    scene.later(40);
    scene.answer("/w");
  }
  expect(scene.of("/w")).toMatchObject({ state: { health: "ok" }, write: { stuckSeconds: 120 } });
  expect(scene.lines).toEqual(["filesystem is frozen, a write does not come back"]);
  const before = writes();
  events.released();
  expect(scene.of("/w").write).toMatchObject({ success: false, stuckSeconds: 0 });
  expect(writes()).toBe(before);
});

/** A write test of /w has gone well, and the next is out beside a probe. */
function createWrittenScene() {
  const scene = createScene(local(1, "/w"));
  scene.prober.refresh();
  scene.answer("/w");
  scene.later(310);
  scene.answer("/w");
  scene.answer("/w", { ...good, wrote: true });
  expect(scene.of("/w").write).toMatchObject({ success: true });
  const { lastSuccessEpochSeconds = 0 } = scene.of("/w").write ?? {};
  return { scene, remembered: { stuckSeconds: 0, lastSuccessEpochSeconds } };
}

test("a write that does not come back is no success any more", () => {
  const { scene, remembered } = createWrittenScene();
  scene.later(700);
  scene.answer("/w");
  scene.stick("/w");
  scene.later(40);
  expect(scene.of("/w").write).toMatchObject({ ...remembered, success: false, stuckSeconds: 40 });
});

test.each<[string, (scene: ReturnType<typeof createScene>) => void]>([
  ["fails", (scene) => scene.answer("/w", { durationSeconds: 0.1, failure: { step: "stat", errno: "EIO" } })],
  ["has become read-only", (scene) => scene.setTable(local(1, "/w").replace(" rw - ", " ro - "))],
])("on a mount that %s nothing is written, and the last success is not passed off as one of now", (_, befall) => {
  const { scene, remembered } = createWrittenScene();
  scene.later(31);
  befall(scene);
  scene.prober.refresh();
  scene.later(700);
  expect(scene.of("/w").write).toEqual(remembered);
});

test("after trouble in the kernel log nothing is written until it is over", () => {
  const { scene, remembered } = createWrittenScene();
  scene.setTrouble("filesystem_error");
  for (let round = 0; round < 40; round++) {
    scene.later(31);
    expect(scene.outNow()).toEqual(["/w"]);
    scene.answerAll();
  }
  expect(scene.of("/w").write).toEqual({ ...remembered, stoppedBy: "filesystem_error" });
  expect(scene.lines).toEqual(["write tests stop after trouble in the kernel log"]);
  scene.setTrouble(undefined);
  scene.later(31);
  expect(scene.outNow()).toEqual(["/w", "/w"]);
  expect(scene.lines).toContain("write tests go on");
});

const page = (scene: ReturnType<typeof createScene>): string[] =>
  encodeFamilies(toFilesystemFamilies(scene.prober.status().mounts))
    .flatMap(({ text }) => text.split("\n"))
    .filter((line) => line !== "" && !line.startsWith("#"));

test("a mount that does not answer has only device_error and readonly, the others are complete", () => {
  const scene = createScene(local(1, "/a") + nfs(2, "/hung"));
  scene.prober.refresh();
  expect(page(scene)).toEqual([]);
  scene.answer("/a");
  scene.stick("/hung");
  const labels = 'device="nas:/export2",device_error="mountpoint timeout",fstype="nfs4",mountpoint="/hung"';
  expect(page(scene).filter((line) => line.includes("/hung"))).toEqual([
    `node_filesystem_device_error{${labels}} 1`,
    `node_filesystem_readonly{${labels}} 0`,
  ]);
  expect(page(scene).filter((line) => line.includes('mountpoint="/a"'))).toHaveLength(9);
  expect(page(scene)).toContain('node_filesystem_mount_info{device="/dev/sd1",major="8",minor="1",mountpoint="/a"} 1');
});

test.each([
  [
    "statfs fails",
    { durationSeconds: 0, failure: { step: "statfs", errno: "ENOTCONN" } },
    "transport endpoint is not connected",
    2,
  ],
  ["a later step fails", { ...good, failure: { step: "stat", errno: "EIO" } }, "", 9],
] as const)("%s", (_, reading, text, series) => {
  const scene = createScene(local(1, "/a"));
  scene.prober.refresh();
  scene.answer("/a", reading);
  expect(page(scene)).toHaveLength(series);
  expect(page(scene)[1]).toContain(`device_error="${text}"`);
});

test("a reading that has grown too old is not published", () => {
  const scene = createScene(local(1, "/a"));
  scene.prober.refresh();
  scene.answer("/a");
  scene.later(81);
  expect(page(scene).some((line) => line.startsWith("node_filesystem_size_bytes"))).toBe(false);
  expect(page(scene)[0]).toContain('device_error="mountpoint timeout"');
});
