// A clean copy of the committed tree, a PATH that holds node and npm alone: npm ci, npm start until /health/ready is 200, then npm ci && npm test.
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const home = mkdtempSync(join(tmpdir(), "signalbox-fresh-"));
chmodSync(home, 0o755);
const checkout = join(home, "signalbox");
const bin = join(home, "bin");
const note = (name, figure) => {
  console.log(`${name}: ${figure}`);
  if (process.env.SIGNALBOX_FIGURES !== undefined) appendFileSync(process.env.SIGNALBOX_FIGURES, `${JSON.stringify({ name, figure })}\n`);
};

const cloned = spawnSync("git", ["clone", "--quiet", root, checkout], { stdio: "inherit" });
if (cloned.status !== 0) process.exit(1);
mkdirSync(bin);
symlinkSync(process.execPath, join(bin, "node"));
// the npm of this node, found by asking it; a PATH with these two and nothing else
const npmCli = process.env.npm_execpath ?? realpathSync(join(dirname(process.execPath), "npm"));
writeFileSync(join(bin, "npm"), `#!/bin/sh\nexec "${process.execPath}" "${npmCli}" "$@"\n`);
chmodSync(join(bin, "npm"), 0o755);
const env = {
  PATH: bin,
  HOME: home,
  HTTP_PORT: "0",
  MQTT_PORT: "0",
  ...(process.env.npm_config_registry === undefined ? {} : { npm_config_registry: process.env.npm_config_registry }),
};
for (const [name, value] of Object.entries(process.env))
  if (/^npm_config_(registry|cafile|userconfig|globalconfig|prefix)$/.test(name) && value !== undefined) env[name] = value;
const run = (args, options = {}) => spawnSync(join(bin, "npm"), args, { cwd: checkout, env, encoding: "utf8", maxBuffer: 64 * 1024 * 1024, ...options });

const installed = run(["ci"]);
if (installed.status !== 0) {
  console.error(installed.stdout, installed.stderr);
  process.exit(1);
}
const began = Date.now();
const service = spawn(join(bin, "npm"), ["start"], { cwd: checkout, env, stdio: ["ignore", "pipe", "inherit"], detached: true });
let printed = "";
service.stdout.on("data", (chunk) => {
  printed += chunk;
});
let ready = null;
while (ready === null && Date.now() - began < 90_000 && service.exitCode === null) {
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(printed)?.[0];
  if (url !== undefined) {
    const answer = await fetch(`${url}/health/ready`).catch(() => null);
    if (answer?.status === 200) ready = (Date.now() - began) / 1000;
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
}
process.kill(-service.pid, "SIGTERM");
await new Promise((resolve) => service.once("exit", resolve));
if (ready === null) console.error(printed);
note("fresh.readySeconds", ready === null ? "never" : ready.toFixed(1));
if (process.env.FRESH_SKIP_TESTS === "1") process.exit(ready === null ? 1 : 0);

const again = run(["ci"]);
const tested = run(["test"], { timeout: 1_500_000 });
const lines = `${tested.stdout}${tested.stderr}`.trim().split("\n");
const closing = lines.findLast((line) => /\d+ passed, \d+ failed/.test(line)) ?? `exit ${tested.status}`;
note("fresh.test", again.status === 0 && tested.status === 0 ? `passed: ${closing}` : `failed: ${closing}`);
if (tested.status !== 0) console.error(lines.slice(-80).join("\n"));
rmSync(home, { recursive: true, force: true });
process.exit(tested.status === 0 && ready !== null ? 0 : 1);
