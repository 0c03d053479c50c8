import { setFlagsFromString } from "node:v8";

/**
 * Has this process run with options of Node that count from its beginning: it begins anew in its own place, with the same id, arguments and streams. Where that cannot be (before Node 22.15, and on Windows)
 * it goes on with those that count from now on as well. What somebody chose by themselves stands.
 */
export function runWith(options: readonly string[], environment: NodeJS.ProcessEnv): void {
  const chosen = [environment["NODE_OPTIONS"] ?? "", ...process.execArgv].join(" ").replaceAll("_", "-");
  const wanted = options.filter((option) => !chosen.includes(option.slice(0, option.indexOf("="))));
  if (wanted.length === 0) return;
  if (process.platform !== "win32" && "execve" in process && typeof process.execve === "function")
    process.execve(process.execPath, [process.execPath, ...wanted, ...process.execArgv, ...process.argv.slice(1)], environment);
  for (const option of wanted) setFlagsFromString(option);
}
