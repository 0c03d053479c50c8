import { findCommand } from "./needs.ts";

/** What a command that needs mosquitto was asked for. Ends the process where that is help, or wrong, or mosquitto is not there. */
export function askedOf<T>(command: string, help: string, parse: (args: readonly string[]) => T | "help"): T {
  let asked: T | "help";
  try {
    asked = parse(process.argv.slice(2));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.error(`\n${help}`);
    process.exit(2);
  }
  if (asked === "help") {
    console.log(help);
    process.exit(0);
  }
  if (findCommand("mosquitto") === null) {
    console.error(`${command} needs mosquitto, and none is installed`);
    process.exit(2);
  }
  return asked;
}
