// Promise: an exported bundle is read and verified without database and service, by itself, the public key, and stock tools; what was taken out of it or changed in it is named.
// Attack: bundles of a batch and of a range, of a record that a real signer signs; every file of them changed and taken away, entries left out, proofs made to fit, and the procedure of
// README.txt done by a shell with sha256sum, xxd and openssl.
import { spawnSync } from "node:child_process";
import { appendFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signCheckpoint } from "../../../src/audit/checkpoint.ts";
import { Cover } from "../../../src/audit/cover.ts";
import { disk } from "../../../src/audit/disk.file.ts";
import { leafHash } from "../../../src/audit/hash.ts";
import { loadSigningKey, makeNextKey } from "../../../src/audit/signer-key.file.ts";
import { type Manifest, readManifest } from "../../../src/bundle/manifest.ts";
import { readTreeLine, writeTreeLine } from "../../../src/bundle/tree-line.ts";
import { MAX_EVENT_BYTES } from "../../../src/receive/delivery.ts";
import { decideBundle } from "../../../src/replay/decide-bundle.process.ts";
import { describeWith, findCommand } from "../../support/needs.ts";
import { BATCH, type Copy, runExport, runVerify, SITE, type SignedRecord, signedRecord, type Verification } from "../../support/signed-record.ts";

let record: SignedRecord;
let copy: Copy;
let batch: string;
let range: string;
let whole: string;
let registered: string;
/** Within commits, and at their ends. */
const ENDS = [7, 19, 40, 137];

beforeAll(async () => {
  record = await signedRecord();
  copy = await record.copy();
  batch = join(record.home, "batch");
  range = join(record.home, "range");
  whole = join(record.home, "whole");
  registered = join(record.home, "registered");
  await record.signing(copy, async () => {
    for (const args of [
      ["--batch", BATCH, "--out", batch, "--reason", "release"],
      ["--positions", "5-280", "--out", range],
      ["--positions", "1-2", "--out", registered],
      ["--positions", `1-${record.last}`, "--out", whole],
      ...ENDS.map((to) => ["--positions", `1-${to}`, "--out", `${whole}-${to}`]),
    ])
      expect(await runExport(["--site", SITE, ...args], { DATABASE_URL: copy.runtimeUrl })).toMatchObject({ exit: 0, err: "" });
  });
});
afterAll(async () => {
  await record?.drop();
});

const verify = (folder: string, ...args: string[]): Promise<Verification> => runVerify(["--bundle", folder, "--key", record.vkey, ...args], {});

const files = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => statSync(join(folder, name)).isFile());

const reading = { prefix: "", maxBytes: MAX_EVENT_BYTES };
function manifestOf(folder: string): Manifest {
  const manifest = readManifest(readFileSync(join(folder, "manifest.json"), "utf8"));
  if (manifest === null) throw new Error("the bundle has no manifest");
  return manifest;
}

/** As it is built: not every Node reads TypeScript in a thread. */
async function decideInThread(folder: string, as: string): Promise<ReturnType<typeof decideBundle>> {
  const { inThread } = await import(new URL("../../../dist/replay/decide-bundle.process.js", import.meta.url).href);
  return inThread(folder, manifestOf(as), reading);
}

async function decidedTwice(folder: string): Promise<{ readonly here: unknown; readonly thread: unknown }> {
  return { here: await decideBundle(folder, manifestOf(folder), reading).result(), thread: await (await decideInThread(folder, folder)).result() };
}

const alter = (file: string, change: (bytes: Buffer) => Uint8Array): void => writeFileSync(file, change(readFileSync(file)));

let copies = 0;
function changed(folder: string, change: (path: string) => void): string {
  copies += 1;
  const other = join(record.home, `changed-${copies}`);
  cpSync(folder, other, { recursive: true });
  change(other);
  return other;
}

describe("a bundle", () => {
  test("of a batch is sound, complete, and says what it does not cover", async () => {
    const { exit, report } = await verify(batch);
    expect(report.findings).toEqual([]);
    expect(exit).toBe(0);
    const [numbers] = await copy.query("select count(*)::int as n from audit_numbers where batch = $1", [BATCH]);
    expect(report).toMatchObject({ of: `batch ${BATCH}`, entries: Number(numbers?.["n"]) + 1, checkpoints: 1 });
    expect(report.notCovered.join()).toContain("anchors");
  });
  test("of a range is sound too, and agrees with the anchor that was kept", async () => {
    const { exit, report } = await verify(range, "--anchors", record.mirror);
    expect(report.findings).toEqual([]);
    expect([exit, report.positions.from, report.anchors > 0]).toEqual([0, 5, true]);
  });
  test("of the record from its beginning is decided again", async () => {
    const { exit, report } = await verify(whole);
    expect(report.findings).toEqual([]);
    expect(exit).toBe(0);
    expect(report.notCovered.join()).not.toContain("decisions: they were not replayed");
    expect((await verify(range)).report.notCovered.join()).toContain("the decisions: they were not replayed: that takes the whole record");
    expect((await verify(whole, "--no-replay")).report.notCovered.join()).toContain("the decisions: they were not replayed");
  });
  test("is decided in a thread of its own, as long ones are, as it is in this one", async () => {
    const { here, thread } = await decidedTwice(whole);
    expect(here).toMatchObject({ different: 0, stopped: null });
    expect(thread).toEqual(here);
    await expect((await decideInThread(join(record.home, "nowhere"), whole)).result()).rejects.toThrow("ENOENT");
  });
  test("is decided in a thread as far as it is here where a delivery or an entry is not what it was", async () => {
    const deliveries = changed(whole, (path) => alter(join(path, "log-1/deliveries.bin"), (bytes) => bytes.map((byte, at) => (at === 40 ? byte ^ 1 : byte))));
    const entries = changed(whole, (path) =>
      alter(join(path, "log-1/entries.txt"), (bytes) => Buffer.from(bytes.toString("latin1").replace('{"signals":', '{"signals";'), "latin1")),
    );
    for (const [folder, why] of [
      [deliveries, "the delivery's bytes are not those whose hash is in the entry"],
      [entries, "the entry is not two lines of JSON"],
    ] as const) {
      const { here, thread } = await decidedTwice(folder);
      expect(here).toMatchObject({ stopped: expect.stringContaining(why) });
      expect(thread).toEqual(here);
    }
  });
  test("is not decided by a thread that ends too early", async () => {
    const deciding = await decideInThread(whole, whole);
    deciding.discard();
    await expect(deciding.result()).rejects.toThrow("ended before it had decided");
  });
  test("of its first positions is decided again as far as its commits are whole", async () => {
    for (const to of ENDS) {
      const { exit, report } = await verify(`${whole}-${to}`);
      expect([to, exit, report.findings]).toEqual([to, 0, []]);
      expect(report.notCovered.join()).toMatch(/the decisions behind position \d+: the range may end within their commit/);
    }
  });
  test("holds what the batch was bound to, and every delivery", () => {
    expect(readdirSync(join(batch, "definitions"))).toHaveLength(3);
    expect(readFileSync(join(batch, "log-1/deliveries.txt"), "utf8").split("\n").length).toBeGreaterThan(4);
  });
  test("is on record, with how much there was", async () => {
    const [act] = await copy.query("select actor, body from signals where type = 'audit.exported' order by position limit 1");
    expect(act).toMatchObject({ body: { object: `batch ${BATCH}`, reason: "release", new: { form: "bundle", entries: expect.any(Number) } } });
  });
  test("is a table in which no text is a formula and every number is a number", () => {
    const csv = readFileSync(join(batch, "record.csv"), "utf8");
    expect(csv).toContain("'=shift plan");
    expect(csv).not.toMatch(/(^|,)"?[=+@]/m);
  });
  test("cannot be told without a key, nor when there is none", async () => {
    expect((await runVerify(["--bundle", batch], {})).exit).toBe(4);
    expect((await verify(join(record.home, "nowhere"))).exit).toBe(4);
  });
});

describe("in a bundle of the record from its beginning, made to fit by who has stolen the signer's key,", () => {
  test("a decision that was changed is found by deciding it again, and by nothing else", async () => {
    const key = await loadSigningKey(disk, join(record.state, SITE, "signer.pem"), `signalbox/${SITE}`, false);
    let position = 0;
    const forged = changed(whole, (path) => {
      const entries = readFileSync(join(path, "log-1/entries.txt"), "utf8").split("\n");
      // what a guard had expected of the weight that was refused; it stands in no table for people
      const at = entries.findIndex((line) => line.includes('"code":"EVD_ALREADY_SATISFIED"'));
      const before = entries[at] ?? "";
      entries[at] = before.replace('"expected":"net-weight: 1"', '"expected":"net-weight: 2"');
      expect(entries[at]).not.toBe(before);
      position = Object(JSON.parse(entries[at - 1] ?? "{}")).position;
      writeFileSync(join(path, "log-1/entries.txt"), entries.join("\n"));
      const cover = new Cover();
      const lines = readFileSync(join(path, "log-1/tree.txt"), "utf8").trimEnd().split("\n");
      const tree = lines.map((text) => {
        const line = readTreeLine(text);
        if (line === null) throw new Error(`no line of a tree: ${text}`);
        const hash = line.position === position ? leafHash(Buffer.from(`${entries[at - 1]}\n${entries[at]}`)) : line.hash;
        cover.put(line.subtree, hash);
        return writeTreeLine({ ...line, hash });
      });
      writeFileSync(join(path, "log-1/tree.txt"), tree.join(""));
      const checkpoint = { origin: `signalbox/${SITE}/1`, size: cover.size, root: cover.root(), extensions: [] };
      writeFileSync(join(path, "log-1/checkpoint.txt"), signCheckpoint(checkpoint, [key]));
      writeFileSync(join(path, "SHA256SUMS"), "");
    });
    const { exit, report } = await verify(forged);
    expect(report.findings).toMatchObject([
      {
        severity: "altered",
        position,
        table: "decisions",
        column: expect.stringContaining("/verdicts/0/explanation/guards"),
        stored: "net-weight: 2",
        expected: "net-weight: 1",
      },
    ]);
    expect(exit).toBe(1);
    expect((await verify(forged, "--no-replay")).exit).toBe(0);
    const { here, thread } = await decidedTwice(forged);
    expect(here).toMatchObject({ different: 1, differences: [{ position }] });
    expect(thread).toEqual(here);
  });
});

describe("a bundle of format 1, in which each delivery has a file of its own,", () => {
  const FORMAT_1 = fileURLToPath(new URL("../../data/bundles/format-1.tar.gz", import.meta.url));
  let old: string;
  beforeAll(() => {
    old = join(record.home, "format-1");
    mkdirSync(old);
    expect(spawnSync("tar", ["-xzf", FORMAT_1, "-C", old]).status).toBe(0);
  });
  const check = (folder: string): Promise<Verification> => runVerify(["--bundle", folder, "--key", join(old, "signer.vkey")], {});

  test("is sound, and is decided again", async () => {
    const { exit, report } = await check(join(old, "bundle"));
    expect([exit, report.findings]).toEqual([0, []]);
    expect(report.notCovered.join()).not.toContain("the decisions: ");
  });
  test("has a delivery that was changed or taken away named", async () => {
    const [name = ""] = readdirSync(join(old, "bundle", "deliveries"));
    const edited = changed(join(old, "bundle"), (path) => appendFileSync(join(path, "deliveries", name), " "));
    expect((await check(edited)).report.first).toMatchObject({ severity: "altered", key: { file: `deliveries/${name}`, position: expect.any(Number) } });
    const without = changed(join(old, "bundle"), (path) => rmSync(join(path, "deliveries", name)));
    const { exit, report } = await check(without);
    expect(exit).toBe(3);
    expect(report.first).toMatchObject({ severity: "incomplete", key: { file: `deliveries/${name}`, position: expect.any(Number) } });
  });
});

describe("in a bundle", () => {
  test("any file that is changed or gone is named", async () => {
    for (const name of files(batch)) {
      const one = changed(batch, (path) => appendFileSync(join(path, name), "x"));
      const { exit, report } = await verify(one);
      expect([name, name === "manifest.json" ? [1, 4].includes(exit) : exit]).toEqual([name, name === "manifest.json" ? true : 1]);
      if (exit === 1)
        expect(
          report.findings.some(({ key }) => key["file"] === name),
          name,
        ).toBe(true);
      const other = changed(batch, (path) => rmSync(join(path, name)));
      expect([name, (await verify(other)).exit]).toEqual([name, name === "manifest.json" ? 4 : 3]);
      for (const path of [one, other]) rmSync(path, { recursive: true });
    }
  });

  /** As somebody would who leaves out entries and makes everything else fit: leaves stay as hashes, sums and manifest are written anew. */
  function without(folder: string, leave: (position: number) => boolean): string {
    return changed(folder, (path) => {
      const lines = readFileSync(join(path, "log-1/tree.txt"), "utf8").split("\n");
      const entries = readFileSync(join(path, "log-1/entries.txt"), "utf8").split("\n");
      const kept: string[] = [];
      let n = 0;
      const tree = lines.map((line) => {
        const [level, index, hash, position] = line.split(" ");
        if (position === undefined) return line;
        n += 2;
        if (leave(Number(position))) return `${level} ${index} ${hash}`;
        kept.push(entries[n - 2] ?? "", entries[n - 1] ?? "");
        return line;
      });
      writeFileSync(join(path, "log-1/tree.txt"), tree.join("\n"));
      writeFileSync(join(path, "log-1/entries.txt"), `${kept.join("\n")}\n`);
      for (const name of ["SHA256SUMS", "record.html", "record.csv"]) writeFileSync(join(path, name), "");
    });
  }

  test("an entry that is left out of the middle lacks its number", async () => {
    const [row] = await copy.query("select position::int as position from audit_numbers where batch = $1 and number = 4", [BATCH]);
    const { report } = await verify(without(batch, (position) => position === row?.["position"]));
    expect(report.findings.map(({ detail }) => detail).join()).toContain("lacks number 4");
  });
  test("entries that are left out at the end are missed by the export's own entry", async () => {
    const [row] = await copy.query("select max(position)::int as position from audit_numbers where batch = $1", [BATCH]);
    const { report } = await verify(without(batch, (position) => position === row?.["position"]));
    expect(report.findings.map(({ detail }) => detail).join()).toMatch(/had \d+ entries; the bundle has them up to/);
  });
  test("and where that is left out too, nobody says how much there was", async () => {
    const manifest = JSON.parse(readFileSync(join(batch, "manifest.json"), "utf8"));
    const { report } = await verify(without(batch, (position) => position === manifest.export.position));
    expect(report.findings.map(({ detail }) => detail).join()).toContain("nobody says how much there was");
  });
  test("an entry that is changed is named by its position, also with a leaf that fits it", async () => {
    const edited = changed(batch, (path) => {
      const before = readFileSync(join(path, "log-1/entries.txt"), "utf8");
      writeFileSync(join(path, "log-1/entries.txt"), before.replace('"value":"99"', '"value":"12.5"'));
    });
    const { exit, report } = await verify(edited);
    expect(exit).toBe(1);
    expect(report.first).toMatchObject({ severity: "altered", key: { file: "log-1/entries.txt", position: expect.any(Number) } });
    const text = readFileSync(join(edited, "log-1/entries.txt"), "utf8").split("\n");
    const at = text.findIndex((line) => line.includes('"value":"12.5"'));
    const leaf = leafHash(Buffer.from(`${text[at - 1]}\n${text[at]}`)).toString("hex");
    const tree = readFileSync(join(edited, "log-1/tree.txt"), "utf8");
    writeFileSync(
      join(edited, "log-1/tree.txt"),
      tree.replace(new RegExp(`^0 (\\d+) [0-9a-f]+ ${report.first?.position}$`, "m"), `0 $1 ${leaf} ${report.first?.position}`),
    );
    const again = await verify(edited);
    expect(again.exit).toBe(1);
    expect(again.report.findings.some(({ key, detail }) => key["file"] === "log-1/tree.txt" && detail.includes("root"))).toBe(true);
  });
});

const [sha256sum, xxd] = [findCommand("sha256sum"), findCommand("xxd")];
const openssl = findCommand("openssl", (command) => /^OpenSSL ([3-9]|[1-9][0-9])\./.test(spawnSync(command, ["version"], { encoding: "utf8" }).stdout ?? ""));

describeWith({ sha256sum, xxd, "openssl 3": openssl }, "with stock tools, as README.txt says,", () => {
  /** The commands of README.txt as they stand, done by a plain shell. */
  function procedure(folder: string, key = record.vkey): { readonly stdout: string; readonly stderr: string } {
    const text = readFileSync(join(folder, "README.txt"), "utf8");
    const steps = text.slice(text.indexOf("WITH STOCK TOOLS"), text.indexOf("WHAT IS NOT PROVEN"));
    const commands = steps
      .split("\n")
      .filter((line) => line.startsWith("     "))
      .join("\n");
    return spawnSync("sh", ["-c", `KEY='${readFileSync(key, "utf8").trim()}'\n${commands}\n`], { cwd: folder, encoding: "utf8" });
  }
  const verified = (stdout: string): number => stdout.split("Signature Verified Successfully").length - 1;
  const complains = /WRONG|FAILED|Failure/;

  test("a bundle is found sound, and a changed one not", () => {
    const sound = procedure(batch);
    expect(sound.stderr).toBe("");
    expect(sound.stdout).not.toMatch(complains);
    expect(sound.stdout).toMatch(/^log-1 has the root [A-Za-z0-9+/]{43}=$/m);
    expect(verified(sound.stdout)).toBe(1);
    const edited = changed(batch, (path) => {
      const before = readFileSync(join(path, "log-1/entries.txt"), "utf8");
      writeFileSync(join(path, "log-1/entries.txt"), before.replace("shift", "SHIFT"));
    });
    const wrong = procedure(edited);
    expect(wrong.stdout).toContain("WRONG entry");
    expect(wrong.stdout).toContain("FAILED");
  });

  test("a delivery is found changed, and found missing", () => {
    const edited = changed(batch, (path) => {
      const bytes = readFileSync(join(path, "log-1/deliveries.bin"));
      bytes[20] = (bytes[20] ?? 0) ^ 1;
      writeFileSync(join(path, "log-1/deliveries.bin"), bytes);
    });
    expect(procedure(edited).stdout.match(/WRONG delivery/g)).toHaveLength(1);
    const without = changed(batch, (path) => {
      const lines = readFileSync(join(path, "log-1/deliveries.txt"), "utf8").split("\n");
      writeFileSync(join(path, "log-1/deliveries.txt"), [...lines.slice(0, 2), ...lines.slice(3)].join("\n"));
    });
    expect(procedure(without).stdout).toContain("WRONG delivery");
  });

  // its first step complained of deliveries where nothing had been delivered
  test("a bundle of what was only registered, without any delivery, is found sound", () => {
    expect(existsSync(join(registered, "log-1/deliveries.bin"))).toBe(false);
    const { stdout, stderr } = procedure(registered);
    expect([stderr, stdout.match(complains), verified(stdout)]).toEqual(["", null, 1]);
  });

  // its last step took the key that was given for the one that signed, also where another had been introduced since
  test("a bundle of two logs, signed by the third key, is found sound by whoever has the first, and by no other key", async () => {
    const folder = join(record.home, "rotated");
    const name = `signalbox/${SITE}`;
    const rotate = () => makeNextKey(disk, join(record.state, SITE), name);
    const out = (path: string) => ["--site", SITE, "--positions", "8-9", "--out", join(record.home, path)];
    const [first] = await copy.query("select count(*)::int as n from audit_logs");
    await rotate();
    await record.signing(copy, async () => void (await runExport(out("second"), { DATABASE_URL: copy.runtimeUrl })));
    await rotate();
    // past the least that a site may set
    await copy.query("alter table sites disable trigger all; alter table sites drop constraint sites_rotate_after_check; update sites set rotate_after = 100");
    await record.signing(copy, async () => void (await runExport(out("third"), { DATABASE_URL: copy.runtimeUrl })));
    await record.signing(copy, async () => {
      const [last] = await copy.query("select max(first_position)::int as first from audit_logs");
      const range = `${Number(last?.["first"]) - 2}-${last?.["first"]}`;
      const args = ["--site", SITE, "--positions", range, "--out", folder];
      expect(await runExport(args, { DATABASE_URL: copy.runtimeUrl })).toMatchObject({ exit: 0 });
    });
    expect(first?.["n"]).toBe(1);
    expect(readdirSync(folder).filter((file) => file.startsWith("log-"))).toEqual(["log-1", "log-2"]);
    expect(readFileSync(join(folder, "log-2/keys.notes"), "utf8").match(/^key /gm)).toHaveLength(2);
    expect((await verify(folder)).exit).toBe(0);
    // the notes that introduced the keys stand in the first log's mirror
    expect((await verify(folder, "--anchors", record.mirror)).report).toMatchObject({ exit: 0, findings: [] });
    await copy.query("update sites set rotate_after = 10000000");
    const online = ["--site", SITE, "--key", record.vkey, "--anchors", record.mirror];
    expect((await runVerify(online, { DATABASE_URL: copy.runtimeUrl })).report.findings).toEqual([]);
    const { stdout, stderr } = procedure(folder);
    expect([stderr, stdout.match(complains)]).toEqual(["", null]);
    // of each log: two notes by two keys each, and the checkpoint
    expect(verified(stdout)).toBe(10);
    const stranger = join(record.home, "stranger");
    await loadSigningKey(disk, join(stranger, "signer.pem"), name, true);
    expect(procedure(folder, join(stranger, "signer.vkey")).stdout).not.toContain("Signature Verified Successfully");
  });
});
