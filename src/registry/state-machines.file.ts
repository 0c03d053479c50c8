import { readdir, readFile } from "node:fs/promises";
import { z } from "zod";

const named = z.looseObject({ name: z.string(), revision: z.int() });

/** The state machines that are shipped with the service, as they are published. */
export async function shippedStateMachines(): Promise<readonly z.infer<typeof named>[]> {
  const root = new URL("../../state-machines/", import.meta.url);
  const found: z.infer<typeof named>[] = [];
  for (const kind of (await readdir(root, { withFileTypes: true })).filter((entry) => entry.isDirectory())) {
    for (const file of await readdir(new URL(`${kind.name}/`, root))) {
      if (/^[a-z0-9-]+\.v\d+\.json$/.test(file)) found.push(named.parse(JSON.parse(await readFile(new URL(`${kind.name}/${file}`, root), "utf8"))));
    }
  }
  return found;
}
