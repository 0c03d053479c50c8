import { DatabaseUnfit } from "../db/fit.store.ts";
import { MigrationRefused } from "../db/migrate.store.ts";
import { PortTaken } from "../embedded/broker.process.ts";
import { DataDirTaken } from "../embedded/data-dir.file.ts";
import { ConfigInvalid } from "../ops/config.file.ts";
import { DisposedOf } from "../replay/recorded.store.ts";
import { NoBundle } from "../verify/verify-bundle.ts";
import type { ExitCode } from "./command.ts";
import { Unreachable } from "./rest.fetch.ts";
import { Said } from "./said.ts";
import type { Terminal } from "./terminal.ts";

/** What to print for an error, and how to end. What was foreseen is its own sentence; anything else is shown whole, since somebody has to find it. */
export function inWords(error: unknown): { readonly lines: readonly string[]; readonly exit: ExitCode } {
  if (error instanceof ConfigInvalid) return { lines: ["The settings are not valid:", ...error.problems.map((problem) => `  ${problem}`)], exit: 2 };
  if (error instanceof Said) return { lines: [error.message], exit: error.exit };
  if (error instanceof DatabaseUnfit) return { lines: [...error.problems], exit: 1 };
  if (
    error instanceof DataDirTaken ||
    error instanceof PortTaken ||
    error instanceof MigrationRefused ||
    error instanceof Unreachable ||
    error instanceof NoBundle ||
    error instanceof DisposedOf
  )
    return { lines: [error.message], exit: 1 };
  const { code, port, syscall } = Object(error);
  if (code === "EADDRINUSE" && syscall === "listen")
    return { lines: [`Port ${port} is taken, so REST cannot listen there. Set HTTP_PORT to another one (0 picks a free one).`], exit: 1 };
  if (code === "ECONNREFUSED" || code === "ENOTFOUND")
    return { lines: [`Nothing answers: ${error instanceof Error && error.message !== "" ? error.message : code}.`], exit: 1 };
  return { lines: [error instanceof Error ? (error.stack ?? error.message) : String(error)], exit: 1 };
}

/** For commands that say what they found about a record: that they could not look is an answer of its own, and another one than asked wrongly. */
export function cannotTell(error: unknown, terminal: Terminal): ExitCode {
  const { lines, exit } = inWords(error);
  if (exit === 2) throw error;
  for (const line of [...lines, "Cannot tell."]) terminal.err(line);
  return 4;
}
