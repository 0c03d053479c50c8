import type { Command } from "./command.ts";

const sentence = "replay is not in this version: nothing was replayed.";

// It says that it is not there instead of doing something that looks like it.
export const replay: Command = {
  name: "replay",
  summary: "Decide the record again and compare. (Not in this version.)",
  positionals: [],
  options: {},
  notes: [sentence],
  examples: ["signalbox replay"],
  exits: { done: "Never, in this version.", found: "Never, in this version." },
  async run(call, terminal) {
    if (call.flag("json")) terminal.out(JSON.stringify({ available: false, reason: sentence }));
    terminal.err(sentence);
    return 2;
  },
};
