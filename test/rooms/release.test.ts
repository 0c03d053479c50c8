// Promise: a release is what its commit says, to the byte, and whoever replaces any of it on its way is found out with nothing but openssl and sha256sum.
// Attack: make it twice, from two folders at two times; alter a byte of the archive, of the sums and of the signature; make it of what is not committed, and with keys that are none.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { version } from "../../src/version.ts";
import { describeWith, findCommand } from "../support/needs.ts";
import { repository } from "../support/repository.ts";

const openssl = findCommand("openssl");
const npm = findCommand("npm");
const work = mkdtempSync(join(tmpdir(), "signalbox-release-test-"));
const at = (...names: readonly string[]): string => join(work, ...names);
afterAll(() => rmSync(work, { recursive: true, force: true }));

const key = at("release-key.pem");
const publicKey = at("release-key.pub.pem");

// The whole of the sources takes tsc a while; how a release is made does not depend on how much there is to build.
const WHAT_IS_BUILT = ["src/bundle/tar.ts", "src/version.ts"];
const BESIDE = ["CHANGELOG.md", "LICENSE", "NOTICE", "README.md", "SECURITY.md", "deploy", "docs", "examples", "migrations", "state-machines"];
const FOR_BUILDING = [".npmrc", "package.json", "package-lock.json", "tsconfig.json", "tsconfig.build.json"];

function git(folder: string, ...args: readonly string[]): string {
  return execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", ...args], { cwd: folder, encoding: "utf8" });
}

function checkout(): string {
  const folder = at("checkout");
  for (const name of [...WHAT_IS_BUILT, ...BESIDE, ...FOR_BUILDING]) cpSync(join(repository(), name), join(folder, name), { recursive: true });
  symlinkSync(join(repository(), "node_modules"), join(folder, "node_modules"));
  git(folder, "init", "--quiet");
  writeFileSync(join(folder, ".git/info/exclude"), "node_modules\n");
  git(folder, "add", "--all");
  git(folder, "commit", "--quiet", "--message", "a commit");
  return folder;
}

function release(
  folder: string,
  settings: Readonly<Record<string, string>>,
  ...args: readonly string[]
): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync(npm ?? "", ["run", "--silent", "release", "--", ...args], {
    cwd: folder,
    env: { ...process.env, RELEASE_KEY_FILE: "", ...settings },
    encoding: "utf8",
  });
  return { status, said: stdout + stderr };
}

const bytesOf = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [
        name,
        createHash("sha256")
          .update(readFileSync(join(folder, name)))
          .digest("hex"),
      ]),
  );

/** The two commands of docs/operations.md, as they stand there. */
function check(folder: string): { readonly signature: boolean; readonly sums: boolean } {
  const [verify = "", sums = ""] = readFileSync(join(repository(), "docs/operations.md"), "utf8")
    .split("\n")
    .filter((line) => /^(?:openssl pkeyutl -verify|sha256sum) /.test(line));
  expect([verify, sums]).toEqual([expect.stringContaining("SHA256SUMS.sig"), expect.stringContaining("SHA256SUMS")]);
  const succeeds = (line: string): boolean =>
    spawnSync("sh", ["-c", line.replace("signalbox-release-key.pem", publicKey).replace(/^openssl/, openssl ?? "")], { cwd: folder, stdio: "ignore" })
      .status === 0;
  return { signature: succeeds(verify), sums: succeeds(sums) };
}

describeWith({ npm, openssl, git: findCommand("git") }, "a release", () => {
  let folder = "";
  let first = "";
  beforeAll(() => {
    execFileSync(openssl ?? "", ["genpkey", "-algorithm", "ed25519", "-out", key], { stdio: "ignore" });
    chmodSync(key, 0o600);
    execFileSync(openssl ?? "", ["pkey", "-in", key, "-pubout", "-out", publicKey], { stdio: "ignore" });
    folder = checkout();
    first = at("first");
    expect(release(folder, { RELEASE_KEY_FILE: key }, "--out", first)).toMatchObject({
      status: 0,
      said: expect.stringContaining(git(folder, "rev-parse", "HEAD").trim()),
    });
  }, 120_000);

  test("of one commit has the same bytes, wherever and whenever it is made, with the key and without", () => {
    const elsewhere = at("elsewhere");
    git(work, "clone", "--quiet", folder, elsewhere);
    symlinkSync(join(repository(), "node_modules"), join(elsewhere, "node_modules"));
    writeFileSync(join(elsewhere, ".git/info/exclude"), "node_modules\n");
    // what a file system adds is none of it
    chmodSync(join(elsewhere, "LICENSE"), 0o600);
    utimesSync(join(elsewhere, "README.md"), 1, 1);
    git(elsewhere, "config", "core.fileMode", "false");
    expect(release(elsewhere, {}, "--out", at("second"), "--unsigned").status).toBe(0);
    const { "SHA256SUMS.sig": _, ...unsigned } = bytesOf(first);
    expect(bytesOf(at("second"))).toEqual(unsigned);
    expect(Object.keys(bytesOf(first))).toEqual(["SHA256SUMS", "SHA256SUMS.sig", `signalbox-${version}.cdx.json`, `signalbox-${version}.tar`]);
  });

  test("has what was built, what runs with it and what says where it is from, and is checked by stock openssl and sha256sum as the documents say", () => {
    expect(check(first)).toEqual({ signature: true, sums: true });
    const listed = execFileSync("tar", ["-tf", join(first, `signalbox-${version}.tar`)], { encoding: "utf8" }).split("\n");
    for (const name of [
      "COMMIT",
      "dist/version.js",
      "package-lock.json",
      ".npmrc",
      "state-machines/published.json",
      "migrations/0001_record.sql",
      "docs/operations.md",
    ])
      expect(listed).toContain(`signalbox-${version}/${name}`);
    expect(listed.filter((name) => /node_modules|\.ts$|tsbuildinfo|\.git\//.test(name))).toEqual([]);
  });

  test.each([
    ["the archive", `signalbox-${version}.tar`, { signature: true, sums: false }],
    ["the list of packages", `signalbox-${version}.cdx.json`, { signature: true, sums: false }],
    ["the sums", "SHA256SUMS", { signature: false }],
    ["the signature", "SHA256SUMS.sig", { signature: false, sums: true }],
  ])("with one bit of %s altered is found out", (_what, name, expected) => {
    const altered = at("altered");
    rmSync(altered, { recursive: true, force: true });
    cpSync(first, altered, { recursive: true });
    const bytes = readFileSync(join(altered, name));
    const middle = Math.floor(bytes.length / 2);
    bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
    writeFileSync(join(altered, name), bytes);
    expect(check(altered)).toMatchObject(expected);
  });

  test("whose archive and sums were both replaced is found out by the signature", () => {
    const replaced = at("replaced");
    cpSync(first, replaced, { recursive: true });
    const archive = Buffer.from("another program");
    writeFileSync(join(replaced, `signalbox-${version}.tar`), archive);
    const sums = readFileSync(join(replaced, "SHA256SUMS"), "utf8").replace(/^\S+(?= {2}\S+\.tar$)/m, createHash("sha256").update(archive).digest("hex"));
    writeFileSync(join(replaced, "SHA256SUMS"), sums);
    expect(check(replaced)).toEqual({ signature: false, sums: true });
  });

  test("is not made of what is not committed, nor over another, nor by a key that is none, of another kind or open to others", () => {
    const rsa = at("rsa.pem");
    writeFileSync(rsa, generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
    const open = at("open.pem");
    cpSync(key, open);
    chmodSync(open, 0o644);
    for (const [settings, why] of [
      [{}, "RELEASE_KEY_FILE names no key"],
      [{ RELEASE_KEY_FILE: rsa }, "not an Ed25519 key"],
      [{ RELEASE_KEY_FILE: open }, "may be read by others"],
    ] as const)
      expect(release(folder, settings, "--out", at("none"))).toMatchObject({ status: 1, said: expect.stringContaining(why) });
    writeFileSync(join(folder, "src/more.ts"), "export const more = 1;\n");
    expect(release(folder, { RELEASE_KEY_FILE: key }, "--out", at("none"))).toMatchObject({ status: 1, said: expect.stringContaining("src/more.ts") });
    rmSync(join(folder, "src/more.ts"));
    expect(existsSync(at("none"))).toBe(false);
    expect(release(folder, { RELEASE_KEY_FILE: key }, "--out", first)).toMatchObject({ status: 1, said: expect.stringContaining("EEXIST") });
  });
});
