import { COMMON, type Command, type Described } from "./command.ts";

/** The help of the whole command line. */
export function helpOfAll(commands: readonly Command[], version: string): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    `signalbox ${version}: signals in, facts out.`,
    "",
    "Usage: signalbox COMMAND [options]",
    "",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "Every command has --help and --json. Exit codes: 0 done, 1 found something, 2 wrong usage; of a record also 3 incomplete, 4 cannot tell.",
    "Settings come from the environment, each secret also as NAME_FILE.",
  ].join("\n");
}

/** The help of one command: usage, options, examples, exit codes. */
export function helpOf(command: Command): string {
  const options = { ...command.options, ...COMMON };
  const heads = Object.entries(options).map(([name, option]) => head(name, option));
  const width = Math.max(...heads.map(({ length }) => length));
  return [
    command.summary,
    "",
    `Usage: signalbox ${[command.name, ...command.positionals, "[options]"].join(" ")}`,
    ...(command.notes.length === 0 ? [] : ["", ...command.notes]),
    "",
    "Options:",
    ...Object.values(options).map(
      (option, index) => `  ${(heads[index] ?? "").padEnd(width)}  ${option.help}${option.default === undefined ? "" : ` Default: ${option.default}.`}`,
    ),
    "",
    "Examples:",
    ...command.examples.map((example) => `  ${example}`),
    "",
    "Exit codes:",
    `  0  ${command.exits.done}`,
    `  1  ${command.exits.found}`,
    "  2  Wrong usage.",
    ...(command.exits.incomplete === undefined ? [] : [`  3  ${command.exits.incomplete}`]),
    ...(command.exits.unclear === undefined ? [] : [`  4  ${command.exits.unclear}`]),
  ].join("\n");
}

const head = (name: string, option: Described): string =>
  `${option.short === undefined ? "    " : `-${option.short}, `}--${name}${option.type === "string" ? ` ${option.value ?? "TEXT"}${option.many === true ? " …" : ""}` : ""}`;
