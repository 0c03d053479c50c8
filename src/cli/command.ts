import type { ParseArgsConfig } from "node:util";
import type { Terminal } from "./terminal.ts";

/** Done; found something that a person should see, or could not do it; asked wrongly; and of a record: part of it is gone; nobody can tell. */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a person typed for one command, checked against its options. */
export interface Call {
  readonly environment: Environment;
  readonly positionals: readonly string[];
  text(option: string): string | undefined;
  /** Of an option that may be given several times. */
  texts(option: string): readonly string[];
  flag(option: string): boolean;
}

export interface Described {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** May be given several times. */
  readonly many?: boolean;
  /** How the value is called in the help: `URL`. */
  readonly value?: string;
  readonly default?: string;
  readonly help: string;
}

export interface Command {
  /** One or two words: `why`, `registry apply`. */
  readonly name: string;
  readonly summary: string;
  /** Names of the positional arguments, all of them required: `["SOURCE", "ID"]`. */
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, Described>>;
  /** What a user should know before running it, one sentence a line. */
  readonly notes: readonly string[];
  readonly examples: readonly string[];
  /** What exit 0 and exit 1 mean here, and those beyond 2, which is wrong usage everywhere. */
  readonly exits: { readonly done: string; readonly found: string; readonly incomplete?: string; readonly unclear?: string };
  /** Options of Node that its process runs with. */
  readonly node?: readonly string[];
  run(call: Call, terminal: Terminal): Promise<ExitCode>;
}

/** Every command has these. */
export const COMMON: Readonly<Record<string, Described>> = {
  help: { type: "boolean", short: "h", help: "Show this help." },
  json: { type: "boolean", help: "Print JSON, one document or one line each, for programs." },
};

export const URL_OPTION: Described = { type: "string", value: "URL", default: "http://127.0.0.1:8080", help: "Address of the running service." };

export function parserOptions(command: Command): NonNullable<ParseArgsConfig["options"]> {
  const described = { ...command.options, ...COMMON };
  return Object.fromEntries(
    Object.entries(described).map(([name, option]) => [
      name,
      {
        type: option.type,
        ...(option.many === true ? { multiple: true } : {}),
        ...(option.short === undefined ? {} : { short: option.short }),
        ...(option.default === undefined ? {} : { default: option.default }),
      },
    ]),
  );
}
