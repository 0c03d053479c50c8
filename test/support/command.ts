import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** Runs the built command to its end, with these settings beside the environment's. `out`: what it said, on either stream. */
export function signalbox(
  settings: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<{ readonly exit: number | null; readonly out: string }> {
  const child = spawn(process.execPath, [program, ...args], { env: { ...process.env, ...settings }, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  for (const from of [child.stdout, child.stderr])
    from.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
  return new Promise((resolve) => child.once("close", (exit) => resolve({ exit, out })));
}
