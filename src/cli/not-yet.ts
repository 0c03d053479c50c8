import type { Command } from "./command.ts";

// These two need the audit log, which this version does not have. They say so instead of doing something that looks like it.
const notYet = (name: string, summary: string, sentence: string): Command => ({
  name,
  summary: `${summary} (Not in this version.)`,
  positionals: [],
  options: {},
  notes: [sentence],
  examples: [`signalbox ${name}`],
  exits: { done: "Never, in this version.", found: "Never, in this version." },
  async run(call, terminal) {
    if (call.flag("json")) terminal.out(JSON.stringify({ available: false, reason: sentence }));
    terminal.err(sentence);
    return 2;
  },
});

export const verify: Command = notYet(
  "verify",
  "Prove that the record was not altered.",
  "verify needs the audit log, which this version does not have yet: nothing was verified.",
);
export const replay: Command = notYet(
  "replay",
  "Decide the record again and compare.",
  "replay needs the audit log, which this version does not have yet: nothing was replayed.",
);
