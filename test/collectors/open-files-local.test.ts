import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createOpenFiles, type OpenFiles } from "../../collectors/open-files.ts";
import { lacks } from "../harness/requirements.ts";

const collectors = join(import.meta.dir, "../../collectors");
const needsRoot = await lacks("root");

/** A file that says "old" and what then happens, after which its name stands for "new". */
interface Change {
  readonly name: string;
  /** Below `root`. */
  readonly path?: string;
  prepare(root: string): void;
  change(root: string): void;
}

const folderOf = (root: string, text: string): void => {
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, "value"), text);
};
const replace = (path: string): void => {
  writeFileSync(`${path}.new`, "new");
  renameSync(`${path}.new`, path);
};
const retarget = (link: string, target: string): void => {
  unlinkSync(link);
  symlinkSync(target, link);
};

const changes: readonly Change[] = [
  {
    name: "a file that is written in place",
    prepare: (root) => folderOf(root, "old"),
    change: (root) => writeFileSync(join(root, "value"), "new"),
  },
  {
    name: "a file replaced by rename",
    prepare: (root) => folderOf(root, "old"),
    change: (root) => replace(join(root, "value")),
  },
  {
    name: "a file that is removed and made again",
    prepare: (root) => folderOf(root, "old"),
    change: (root) => {
      unlinkSync(join(root, "value"));
      writeFileSync(join(root, "value"), "new");
    },
  },
  {
    name: "two files that change places",
    prepare: (root) => {
      folderOf(root, "old");
      writeFileSync(join(root, "other"), "new");
    },
    change: (root) => {
      renameSync(join(root, "value"), join(root, "aside"));
      renameSync(join(root, "other"), join(root, "value"));
    },
  },
  {
    name: "a folder that is renamed, with another in its place",
    path: "folder/value",
    prepare: (root) => {
      folderOf(join(root, "folder"), "old");
      folderOf(join(root, "other"), "new");
    },
    change: (root) => {
      renameSync(join(root, "folder"), join(root, "aside"));
      renameSync(join(root, "other"), join(root, "folder"));
    },
  },
  {
    name: "a folder further up that is renamed, with another in its place",
    path: "above/folder/value",
    prepare: (root) => {
      folderOf(join(root, "above/folder"), "old");
      folderOf(join(root, "other/folder"), "new");
    },
    change: (root) => {
      renameSync(join(root, "above"), join(root, "aside"));
      renameSync(join(root, "other"), join(root, "above"));
    },
  },
  {
    name: "a folder that is removed and made again",
    path: "folder/value",
    prepare: (root) => folderOf(join(root, "folder"), "old"),
    change: (root) => {
      rmSync(join(root, "folder"), { recursive: true });
      folderOf(join(root, "folder"), "new");
    },
  },
  {
    name: "a link to a folder that leads elsewhere",
    path: "link/value",
    prepare: (root) => {
      folderOf(join(root, "one"), "old");
      folderOf(join(root, "two"), "new");
      symlinkSync("one", join(root, "link"));
    },
    change: (root) => retarget(join(root, "link"), "two"),
  },
  {
    name: "a link to a file that leads elsewhere",
    path: "link",
    prepare: (root) => {
      folderOf(join(root, "one"), "old");
      folderOf(join(root, "two"), "new");
      symlinkSync("one/value", join(root, "link"));
    },
    change: (root) => retarget(join(root, "link"), "two/value"),
  },
  {
    name: "a link to a file that is replaced",
    path: "link",
    prepare: (root) => {
      folderOf(join(root, "target"), "old");
      symlinkSync("target/value", join(root, "link"));
    },
    change: (root) => replace(join(root, "target/value")),
  },
];

/** Once with a look at the folder for each reading, and once with one for each round. */
const ways: Readonly<Record<string, (files: OpenFiles) => void>> = {
  "for each reading": () => {},
  "in rounds": (files) => files.beginRound(),
};

const places = [tmpdir(), "/dev/shm"].map((parent) => mkdtempSync(join(parent, "aami-test-")));
afterAll(() => places.forEach((place) => rmSync(place, { recursive: true })));

describe.each(places)("files held in %s", (place) => {
  // ext, XFS, Btrfs, tmpfs: a container's temporary folder lies on an overlay, where nothing is held.
  const isLocal = [0xef53, 0x58465342, 0x9123683e, 0x01021994].includes(statfsSync(place).type);
  const cases = Object.keys(ways).flatMap((way) => changes.map((change) => ({ ...change, way })));
  const rootOf = ({ name, way }: { name: string; way: string }): string => join(place, `${name}, ${way}`);

  beforeAll(async () => {
    mkdirSync(join(place, "many"));
    for (const size of sizes) writeFileSync(join(place, "many", `${size}`), "x".repeat(size));
    for (const one of cases) for (const part of ["", ", names"]) one.prepare(`${rootOf(one)}${part}`);
    folderOf(join(place, "last"), "");
    // Only what has been left alone for a second is held.
    const files = createOpenFiles();
    while (isLocal && files.size() === 0) {
      files.read(join(place, "last/value"));
      await Bun.sleep(20);
    }
  });

  test.each(cases)("$name, $way", ({ path = "value", change, way, ...one }) => {
    const root = rootOf({ ...one, way });
    const files = createOpenFiles();
    const beginRound = ways[way] ?? expect.unreachable();
    for (let index = 0; index < 3; index++) {
      beginRound(files);
      expect(files.read(join(root, path))).toBe("old");
    }
    expect(files.size()).toBe(isLocal && path !== "link" ? 1 : 0);
    change(root);
    beginRound(files);
    expect(files.read(join(root, path))).toBe("new");
    beginRound(files);
    expect(files.read(join(root, path))).toBe("new");
  });

  const sizes = [0, 1, 4095, 4096, 4097, 65_536, 300_000];
  test.each(cases)("names beside $name, $way", ({ path = "value", change, way, ...one }) => {
    const root = `${rootOf({ ...one, way })}, names`;
    const folder = dirname(join(root, path));
    const files = createOpenFiles();
    const list = (): readonly string[] => {
      (ways[way] ?? expect.unreachable())(files);
      return files.list(folder);
    };
    const before = list();
    expect(before).toEqual(readdirSync(folder).sort());
    expect(list()).toBe(before);
    change(root);
    expect(list()).toEqual(readdirSync(folder).sort());
    writeFileSync(join(folder, "added"), "");
    expect(list()).toContain("added");
    rmSync(folder, { recursive: true });
    expect(list()).toEqual([]);
  });

  test("files of all sizes are read whole, again and again, while they grow and shrink", () => {
    const files = createOpenFiles();
    const paths = sizes.map((size) => join(place, "many", `${size}`));
    for (const turn of [0, 1, 2, 3]) {
      for (const path of paths) expect(files.read(path)).toBe(readFileSync(path, "utf8"));
      paths.forEach((path, index) => writeFileSync(path, `${turn}`.repeat(sizes.at(index - turn) ?? 0)));
    }
    expect(files.size()).toBe(isLocal ? sizes.length : 0);
  });

  test("a file that is gone is not there, and what comes in its place is read", () => {
    const root = join(place, "last");
    const files = createOpenFiles();
    expect(files.read(join(root, "value"))).toBe("");
    rmSync(root, { recursive: true });
    expect(() => files.read(join(root, "value"))).toThrow("ENOENT");
    expect(files.size()).toBe(0);
    folderOf(root, "new");
    expect(files.read(join(root, "value"))).toBe("new");
  });

  test("a file that nobody asks for any more is let go", () => {
    const offset = { ms: 0 };
    const files = createOpenFiles({ now: () => Date.now() + offset.ms });
    files.read(join(place, "many", "1"));
    expect(files.size()).toBe(isLocal ? 1 : 0);
    offset.ms = 400_000;
    files.read("/proc/version");
    expect(files.size()).toBe(1);
  });

  test("where something has just changed nothing is held: the next change may bear the same time", () => {
    const root = join(place, "busy");
    folderOf(root, "0");
    const files = createOpenFiles();
    for (let index = 1; index < 300; index++) {
      writeFileSync(join(root, "next"), `${index}`);
      renameSync(join(root, "next"), join(root, "value"));
      writeFileSync(join(root, `${index}`), "");
      files.beginRound();
      expect(files.read(join(root, "value"))).toBe(`${index}`);
      expect(files.list(root)).toContain(`${index}`);
      expect(files.size()).toBe(0);
    }
  });
});

describe.skipIf(needsRoot)("mounts", () => {
  /** What a script prints that runs with a tmpfs of its own at /mnt. */
  const run = (script: string): unknown => {
    const mount = 'mount -t tmpfs none /mnt && cd /mnt && exec "$@"';
    const prelude = `
      import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
      import { createOpenFiles } from "${collectors}/open-files.ts";
      const sh = (line) => { if (Bun.spawnSync(["sh", "-ec", line]).exitCode !== 0) throw new Error(line); };
      const settle = async (path) => {
        for (const deadline = performance.now() + 5000; performance.now() < deadline; await Bun.sleep(20)) {
          const files = createOpenFiles();
          files.read(path);
          if (files.size() > 0) return;
        }
      };`;
    const argv = ["unshare", "--mount", "sh", "-ec", mount, "sh", process.execPath, "-e", `${prelude}${script}`];
    const { stdout, stderr } = Bun.spawnSync(argv);
    expect(`${stderr}`).toBe("");
    return JSON.parse(`${stdout}`);
  };

  test("a file that another is mounted over, and that comes out again", () => {
    const readings = run(`
      mkdirSync("folder");
      writeFileSync("folder/value", "below");
      writeFileSync("other", "above");
      await settle("/mnt/folder/value");
      const files = createOpenFiles();
      const read = () => { files.beginRound(); return [files.read("/mnt/folder/value"), files.size()]; };
      const readings = [read(), read()];
      sh("mount --bind /mnt/other /mnt/folder/value");
      readings.push(read(), read());
      sh("umount --lazy /mnt/folder/value");
      readings.push(read(), read());
      console.log(JSON.stringify(readings));`);
    const [below, above] = [
      ["below", 1],
      ["above", 1],
    ];
    expect(readings).toEqual([below, below, above, above, below, below]);
  });

  test("on an overlay nothing is held: the open file is not the copy that is written to", () => {
    const readings = run(`
      for (const name of ["lower", "upper", "work", "merged"]) mkdirSync(name);
      writeFileSync("lower/value", "lower");
      sh("mount -t overlay overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work /mnt/merged");
      await settle("/mnt/lower/value");
      const files = createOpenFiles();
      const readings = [[files.read("/mnt/merged/value"), files.size()]];
      writeFileSync("merged/value", "upper");
      readings.push([files.read("/mnt/merged/value"), files.size()]);
      console.log(JSON.stringify(readings));`);
    expect(readings).toEqual([
      ["lower", 0],
      ["upper", 0],
    ]);
  });
});

test("half of what the process may open is held", () => {
  const script = `
    import { readdirSync, statSync } from "node:fs";
    import { createOpenFiles } from "${collectors}/open-files.ts";
    const files = createOpenFiles();
    const folder = "/proc/sys/net/ipv4";
    const paths = readdirSync(folder).map((name) => folder + "/" + name).filter((path) => statSync(path).isFile());
    let count = 0;
    for (const path of paths) if (statSync(path).mode & 0o4) count += files.read(path).length > 0 ? 1 : 0;
    console.log(files.size(), count > 64);`;
  const argv = ["sh", "-c", 'ulimit -n 64 && exec "$@"', "sh", process.execPath, "-e", script];
  const { stdout, stderr } = Bun.spawnSync(argv);
  expect(`${stdout}${stderr}`).toBe("32 true\n");
});
