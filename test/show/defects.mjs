// The tests of defects that this programme found: the comment before each tells the story and by what it was found. Lists them and runs their files.
import { spawnSync } from "node:child_process";
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const stories = readdirSync(join(root, "test"), { recursive: true })
  .filter((name) => name.endsWith(".test.ts"))
  .sort()
  .flatMap((name) =>
    [...readFileSync(join(root, "test", name), "utf8").matchAll(/(?:^[ \t]*\/\/.*\n)+/gm)]
      .map(([comment]) =>
        comment
          .replaceAll(/^[ \t]*\/\/ ?/gm, "")
          .replaceAll("\n", " ")
          .trim(),
      )
      .filter((comment) => /Found (?:by|under) /.test(comment))
      .map((story) => ({ file: join("test", name), story })),
  );
const files = [...new Set(stories.map(({ file }) => file))];
for (const { file, story } of stories) console.log(`${file}\n  ${story}`);
const { status } = spawnSync(process.execPath, [join(root, "test", "support", "run-tests.mjs"), ...files], { stdio: "inherit" });
if (process.env["SIGNALBOX_FIGURES"] !== undefined && stories.length > 0)
  appendFileSync(
    process.env["SIGNALBOX_FIGURES"],
    `${JSON.stringify({ name: "defects", figure: `${stories.length} stories, their tests ${status === 0 ? "pass" : "fail"}` })}\n`,
  );
process.exit(stories.length > 0 && status === 0 ? 0 : 1);
