// `npm run seeds`, `variants`, `chaos`: builds the service with its fault harness (tsconfig.faults.json), and starts the part that the first argument names. Code that reads the
// repository's data beside its own source finds it beside the built code too.
import { spawnSync } from "node:child_process";
import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const built = join(root, ".cache", "faults");
const [part] = process.argv.splice(2, 1);
const { status } = spawnSync(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", join(root, "tsconfig.faults.json")], {
  stdio: "inherit",
});
if (status !== 0) process.exit(1);
for (const data of ["state-machines", "migrations", "deploy"]) if (!existsSync(join(built, data))) symlinkSync(join(root, data), join(built, data));
await import(join(built, "test", "faults", part, "main.js"));
