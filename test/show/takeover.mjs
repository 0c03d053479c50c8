// How long a shard is without an owner: under load its owner is killed, stopped, stopped inside a commit and ended cleanly, each three times (or as often as the argument
// says); from the fault to the first commit of the next owner, in seconds. Exit 1 when one took more than five, or something was lost, doubled or said by a former owner.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const times = process.argv[2] ?? "3";
const file = join(mkdtempSync(join(tmpdir(), "signalbox-takeover-")), "figures.jsonl");
const { status } = spawnSync(process.execPath, [join(root, "test", "support", "run-tests.mjs"), "--project", "services", "test/promises/owners.test.ts"], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, REQUIRE_MOSQUITTO: "1", SIGNALBOX_TAKEOVERS: times, SIGNALBOX_FIGURES: file },
});
const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
const figures = new Map(lines.map((line) => JSON.parse(line)).map(({ name, figure }) => [name, figure]));
for (const [name, figure] of figures) console.log(`${name}: ${figure}`);
process.exit(status === 0 && Number(figures.get("owners.takeover.most")) <= 5 ? 0 : 1);
