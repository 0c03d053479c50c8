import { parseArgs } from "node:util";
import { type Call, type Command, type Environment, parserOptions } from "./command.ts";
import { nearest } from "./nearest.ts";

export type Parsed =
  | { readonly kind: "run"; readonly command: Command; readonly call: Call }
  | { readonly kind: "help"; readonly command: Command | null }
  | { readonly kind: "version" }
  | { readonly kind: "wrong"; readonly message: string; readonly command: Command | null };

/** Reads what was typed after `signalbox`: a command to run, a wish for help, or what is wrong with it in one sentence. */
export function parse(argv: readonly string[], commands: readonly Command[], environment: Environment): Parsed {
  const [first, second] = argv;
  if (first === undefined || first === "--help" || first === "-h") return { kind: "help", command: null };
  if (first === "--version") return { kind: "version" };
  if (first === "help") return helpFor(argv.slice(1).join(" "), commands);
  const command = commands.find(({ name }) => name === first) ?? commands.find(({ name }) => name === `${first} ${second}`);
  if (command === undefined) return unknown(argv, commands);
  return parseCall(command, argv.slice(command.name.split(" ").length), environment);
}

function helpFor(name: string, commands: readonly Command[]): Parsed {
  const command = commands.find((one) => one.name === name);
  return name === "" || command !== undefined ? { kind: "help", command: command ?? null } : unknown([name], commands);
}

function unknown(argv: readonly string[], commands: readonly Command[]): Parsed {
  const words = argv.filter((word) => !word.startsWith("-"));
  const [first = argv[0] ?? ""] = words;
  const below = commands.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name);
  if (below.length > 0) {
    return argv.includes("--help") || argv.includes("-h")
      ? { kind: "help", command: commands.find(({ name }) => name === below[0]) ?? null }
      : { kind: "wrong", command: null, message: `"${first}" goes with a second word: ${below.join(", ")}.` };
  }
  const names = commands.map(({ name }) => name);
  const meant = nearest(words.slice(0, 2).join(" "), names) ?? nearest(first, names);
  return { kind: "wrong", command: null, message: `There is no command "${first}".${meant === null ? "" : ` Did you mean "${meant}"?`}` };
}

function parseCall(command: Command, args: readonly string[], environment: Environment): Parsed {
  const wrong = (message: string): Parsed => ({ kind: "wrong", command, message });
  const options = parserOptions(command);
  if (args.includes("--help") || args.includes("-h")) return { kind: "help", command };
  let values: Readonly<Record<string, unknown>>;
  let positionals: readonly string[];
  try {
    ({ values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true, strict: true }));
  } catch (error) {
    return wrong(sentence(error, Object.keys(options)));
  }
  const lacking = command.positionals.slice(positionals.length);
  if (lacking.length > 0) return wrong(`${lacking.join(" and ")} ${lacking.length === 1 ? "is" : "are"} missing.`);
  const extra = positionals.slice(command.positionals.length);
  if (extra.length > 0) return wrong(`"${extra.join(" ")}" is too much; ${command.name} takes ${command.positionals.join(" and ") || "no arguments"}.`);
  return {
    kind: "run",
    command,
    call: {
      environment,
      positionals,
      text: (option) => {
        const value = values[option];
        return typeof value === "string" ? value : undefined;
      },
      texts: (option) => [values[option] ?? []].flat().map(String),
      flag: (option) => values[option] === true,
    },
  };
}

function sentence(error: unknown, options: readonly string[]): string {
  const message = error instanceof Error ? error.message : String(error);
  const option = /^Unknown option '--?([^']+)'/.exec(message)?.[1];
  if (option === undefined) return `${message.split("\n")[0]?.replace(/\.?$/, "")}.`;
  const meant = nearest(option, options);
  return `There is no option --${option}.${meant === null ? "" : ` Did you mean --${meant}?`}`;
}
