import { migrate as bringUpToDate } from "../db/migrate.store.ts";
import { loadConfig } from "../ops/config.file.ts";
import type { Command } from "./command.ts";
import { withOwnerAlone } from "./owner-alone.ts";
import { Said } from "./said.ts";

export const migrate: Command = {
  name: "migrate",
  summary: "Bring the database to this version, as its owner.",
  positionals: [],
  options: {},
  notes: ["Connects with DATABASE_OWNER_URL. Forward only; each migration is a transaction of its own; running it again does nothing."],
  examples: ["DATABASE_OWNER_URL=postgres://signalbox_owner@db/signalbox signalbox migrate"],
  exits: { done: "The database is at this version.", found: "It was refused; the message says what to do. What was applied before it stays." },
  async run(call, terminal) {
    const { databaseOwnerUrl } = loadConfig(withOwnerAlone(call.environment));
    if (databaseOwnerUrl === null) throw new Said("DATABASE_OWNER_URL is not set. (The embedded database needs no migrate: serve does it.)", 2);
    const json = call.flag("json");
    const { applied, already } = await bringUpToDate(databaseOwnerUrl, {
      onApplied: (name) => {
        if (!json) terminal.out(`applied    ${name}`);
      },
    });
    if (json) terminal.out(JSON.stringify({ applied, already }));
    else terminal.out(applied.length === 0 ? `Nothing to do: all ${already} migrations were there.` : `Applied ${applied.length}, ${already} were there.`);
    return 0;
  },
};
