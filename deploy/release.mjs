// Makes a release of the commit that is checked out: `npm run release -- --out DIR`, with the Ed25519 key of RELEASE_KEY_FILE (PKCS#8, PEM).
//
//   signalbox-VERSION.tar       what runs and what is read about it
//   signalbox-VERSION.cdx.json  every package of production, with its digest
//   SHA256SUMS                  of the two
//   SHA256SUMS.sig              the signature over those bytes, as openssl writes and reads it
//
// Whoever builds the same commit gets the same bytes, and needs no key to compare them: `--unsigned` leaves out the signature alone. So nothing of this machine goes in: no
// time but the commit's, no file that git does not know, no compression (what it writes depends on its version), no identity drawn at random.
// The public key is not in the release: whoever replaces a release would replace it too.
import { execFileSync } from "node:child_process";
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

/** What a release has of the sources, beside what is built of them. */
const AS_IT_IS = [
  "CHANGELOG.md",
  "LICENSE",
  "NOTICE",
  "README.md",
  "SECURITY.md",
  "deploy",
  "docs",
  "examples",
  "migrations",
  "package-lock.json",
  "package.json",
];
const OF_THE_SERVICE = [".npmrc", "state-machines"];

const { values } = parseArgs({ options: { out: { type: "string" }, unsigned: { type: "boolean", default: false } } });
if (values.out === undefined) throw new Error("say where to: npm run release -- --out DIR");

const git = (...args) => execFileSync("git", args, { encoding: "utf8", maxBuffer: 2 ** 28 }).trim();
// What is not committed could not be built again by anybody else.
const changed = git("status", "--porcelain");
if (changed !== "") throw new Error(`a release is made of a commit, and this is in none:\n${changed}`);
const commit = git("rev-parse", "HEAD");
const committed = git("show", "--no-patch", "--format=%cI", "HEAD");
const key = values.unsigned ? null : signingKey(process.env["RELEASE_KEY_FILE"]);

const tree = mkdtempSync(join(tmpdir(), "signalbox-release-"));
try {
  execFileSync("tar", ["-x", "-C", tree], { input: execFileSync("git", ["archive", "--format=tar", commit], { maxBuffer: 2 ** 28 }) });
  symlinkSync(join(process.cwd(), "node_modules"), join(tree, "node_modules"));
  const { version } = JSON.parse(readFileSync(join(tree, "package.json"), "utf8"));
  const name = `signalbox-${version}`;

  run("node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--incremental", "false", "--tsBuildInfoFile", "null");
  writeFileSync(join(tree, "COMMIT"), `${commit}\n`);
  run("deploy/sbom.mjs");
  const made = [
    [`${name}.cdx.json`, Buffer.from(steady(JSON.parse(readFileSync(join(tree, "sbom.cdx.json"), "utf8"))))],
    [`${name}.tar`, await packed(name, ["COMMIT", "dist", ...AS_IT_IS, ...OF_THE_SERVICE])],
  ];
  const sums = Buffer.from(made.map(([file, bytes]) => `${createHash("sha256").update(bytes).digest("hex")}  ${file}\n`).join(""));

  // A folder of its own: a release is never written over another.
  mkdirSync(values.out);
  for (const [file, bytes] of [...made, ["SHA256SUMS", sums], ...(key === null ? [] : [["SHA256SUMS.sig", sign(null, sums, key)]])])
    writeFileSync(join(values.out, file), bytes, { flag: "wx" });
  process.stdout.write(`${values.out} has ${name}, made of ${commit}\n${sums}`);
  if (key === null) process.stdout.write("It is not signed: it is there to be compared, not to be handed on.\n");
  else {
    const publicKey = createPublicKey(key).export({ type: "spki", format: "der" });
    process.stdout.write(`signed by the key whose DER has the SHA-256 ${createHash("sha256").update(publicKey).digest("hex")}\n`);
  }
} finally {
  rmSync(tree, { recursive: true, force: true });
}

function run(script, ...args) {
  execFileSync(process.execPath, [join(tree, script), ...args], { cwd: tree, stdio: ["ignore", "inherit", "inherit"] });
}

function signingKey(path) {
  if (path === undefined || path === "") throw new Error("RELEASE_KEY_FILE names no key; a release that is only compared is made by --unsigned");
  if ((statSync(path).mode & 0o077) !== 0) throw new Error("the key of the release may be read by others than its owner: chmod 600");
  const read = createPrivateKey(readFileSync(path));
  // One algorithm, so that nobody has to ask by which.
  if (read.asymmetricKeyType !== "ed25519") throw new Error("the key of the release is not an Ed25519 key");
  return read;
}

/** npm names each list by chance and by the minute at which it was written; here it is named by what it says, and dated like the commit. */
function steady(bom) {
  bom.metadata.timestamp = new Date(committed).toISOString();
  delete bom.serialNumber;
  const digest = createHash("sha256").update(JSON.stringify(bom)).digest("hex");
  const uuid = [digest.slice(0, 8), digest.slice(8, 12), `8${digest.slice(13, 16)}`, `8${digest.slice(17, 20)}`, digest.slice(20, 32)].join("-");
  return `${JSON.stringify({ ...bom, serialNumber: `urn:uuid:${uuid}` }, null, 2)}\n`;
}

/** The files below these names as one tar, in the order of their names, whatever order, owner, mode and time they have on the disk. */
async function packed(folder, names) {
  const { tarHeader, tarPadding, TAR_END } = await import(pathToFileURL(join(tree, "dist/bundle/tar.js")).href);
  const files = names.flatMap((below) =>
    statSync(join(tree, below)).isFile()
      ? [below]
      : readdirSync(join(tree, below), { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) =>
            join(entry.parentPath, entry.name)
              .slice(tree.length + 1)
              .replaceAll("\\", "/"),
          ),
  );
  const parts = files.sort().flatMap((file) => {
    const bytes = readFileSync(join(tree, file));
    return [tarHeader(folder, file, bytes.length), bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}
