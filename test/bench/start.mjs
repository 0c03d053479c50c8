// `npm run bench`: builds the service as it is shipped, and the bench (tsconfig.bench.json), and starts it. Code that reads the repository's data beside its own source finds it beside
// the built code too.
import { spawnSync } from "node:child_process";
import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const built = join(root, ".cache", "bench");
if (!process.argv.includes("--help"))
  for (const project of ["tsconfig.build.json", "tsconfig.bench.json"]) {
    const { status } = spawnSync(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", join(root, project)], { stdio: "inherit" });
    if (status !== 0) process.exit(1);
  }
for (const data of ["state-machines", "migrations", "deploy"]) if (!existsSync(join(built, data))) symlinkSync(join(root, data), join(built, data));
await import(join(built, "test", "bench", "main.js"));
