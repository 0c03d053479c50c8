import { readFileSync } from "node:fs";
import { GUARDS } from "../decide/guards.ts";
import { checkStateMachine } from "../decide/state-machine-check.ts";
import type { Command } from "./command.ts";
import { Said } from "./said.ts";

export const stateMachineCheck: Command = {
  name: "state-machine check",
  summary: "Say what speaks against publishing a state machine.",
  positionals: ["FILE"],
  options: {},
  notes: ["Works without a service. The same check runs when the state machine is registered."],
  examples: ["signalbox state-machine check state-machines/step/governed.v1.json"],
  exits: { done: "Nothing speaks against it.", found: "Each problem is on a line of its own, with a JSON pointer to its place." },
  async run(call, terminal) {
    const [file = ""] = call.positionals;
    const problems = checkStateMachine(readJsonFile(file), new Set(GUARDS.keys()));
    if (call.flag("json")) terminal.out(JSON.stringify({ file, problems }));
    else {
      for (const { pointer, problem } of problems) terminal.out(`${terminal.paint("red", pointer === "" ? "/" : pointer)}  ${problem}`);
      terminal.out(problems.length === 0 ? `${file}: nothing speaks against it.` : `${file}: ${problems.length} problem${problems.length === 1 ? "" : "s"}.`);
    }
    return problems.length === 0 ? 0 : 1;
  },
};

/** The content of a JSON file that a person named. Throws Said: exit 2 where there is no such file, 1 where it is no JSON. */
export function readJsonFile(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new Said(`${file} cannot be read (${Object(error).code ?? error}).`, 2);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Said(`${file} is no JSON: ${error instanceof Error ? error.message : error}.`);
  }
}
