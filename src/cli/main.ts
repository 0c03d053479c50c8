#!/usr/bin/env node
import { version } from "../version.ts";
import { adminCreate, adminRecover } from "./admin.ts";
import type { Command } from "./command.ts";
import { demo } from "./demo.ts";
import { device } from "./device.ts";
import { doctor } from "./doctor.ts";
import { exportBundle } from "./export.ts";
import { inWords } from "./failure.ts";
import { runWith } from "./heap.process.ts";
import { helpOf, helpOfAll } from "./help.ts";
import { migrate } from "./migrate.ts";
import { parse } from "./parse.ts";
import { partiesAcl, partiesDrift, partiesList, partiesPasswords } from "./parties.ts";
import { partiesAddKey, partiesRevokeKey } from "./parties-keys.ts";
import { registryApply } from "./registry-apply.ts";
import { replay } from "./replay.ts";
import { restored } from "./restored.ts";
import { retentionArchive } from "./retention-archive.ts";
import { retentionDispose } from "./retention-dispose.ts";
import { retentionHold, retentionKeep, retentionRelease } from "./retention-hold.ts";
import { retentionList } from "./retention-list.ts";
import { rotateKey } from "./rotate-key.ts";
import { serve } from "./serve.ts";
import { stateMachineCheck } from "./state-machine-check.ts";
import { tail } from "./tail.ts";
import { terminalOn } from "./terminal.ts";
import { verify } from "./verify.ts";
import { why } from "./why.ts";

const COMMANDS: readonly Command[] = [
  serve,
  migrate,
  restored,
  rotateKey,
  adminCreate,
  adminRecover,
  registryApply,
  stateMachineCheck,
  device,
  tail,
  why,
  verify,
  exportBundle,
  retentionList,
  retentionKeep,
  retentionHold,
  retentionRelease,
  retentionArchive,
  retentionDispose,
  partiesList,
  partiesAcl,
  partiesPasswords,
  partiesDrift,
  partiesAddKey,
  partiesRevokeKey,
  replay,
  doctor,
  demo,
];

// `tail | head`: whoever reads has read enough
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

const terminal = terminalOn(process.stdout, process.stderr);
const parsed = parse(process.argv.slice(2), COMMANDS, process.env);

switch (parsed.kind) {
  case "help":
    terminal.out(parsed.command === null ? helpOfAll(COMMANDS, version) : helpOf(parsed.command));
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
      const { lines, exit } = inWords(error);
      for (const line of lines) terminal.err(line);
      process.exitCode = exit;
    }
    // everything was stopped; whatever still lingers must not keep a person waiting
    setTimeout(() => process.exit(), 2_000).unref();
}
