#!/usr/bin/env node
import { version } from "../version.ts";
import { loadFor } from "./commands.ts";
import { runWith } from "./heap.process.ts";
import { helpOf, helpOfAll } from "./help.ts";
import { parse } from "./parse.ts";
import { terminalOn } from "./terminal.ts";

// `tail | head`: whoever reads has read enough
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

const terminal = terminalOn(process.stdout, process.stderr);
const typed = process.argv.slice(2);
const commands = await loadFor(typed);
const parsed = parse(typed, commands, process.env);

switch (parsed.kind) {
  case "help":
    terminal.out(parsed.command === null ? helpOfAll(commands, version) : helpOf(parsed.command));
    break;
  case "version":
    terminal.out(version);
    break;
  case "wrong":
    terminal.err(parsed.message);
    terminal.err(`"signalbox ${parsed.command === null ? "" : `${parsed.command.name} `}--help" says how.`);
    process.exitCode = 2;
    break;
  case "run":
    runWith(parsed.command.node ?? [], process.env);
    try {
      process.exitCode = await parsed.command.run(parsed.call, terminal);
    } catch (error) {
      const { inWords } = await import("./failure.ts");
      const { lines, exit } = inWords(error);
      for (const line of lines) terminal.err(line);
      process.exitCode = exit;
    }
    // everything was stopped; whatever still lingers must not keep a person waiting
    setTimeout(() => process.exit(), 2_000).unref();
}
