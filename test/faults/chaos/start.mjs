// Starts what tsconfig.faults.json has built. Code that reads the repository's data beside its own source finds it beside the built code too.
import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const built = join(root, ".cache", "faults");
for (const data of ["state-machines", "migrations", "deploy"]) if (!existsSync(join(built, data))) symlinkSync(join(root, data), join(built, data));
await import(join(built, "test/faults/chaos/main.js"));
